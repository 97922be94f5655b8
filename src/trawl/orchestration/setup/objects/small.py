"""Limits and variables."""

from collections.abc import Collection, Mapping
from typing import Any

from trawl.orchestration.setup.deployments import MANAGED
from trawl.orchestration.setup.merging import Change, Found, Wanted

from .kind import Server


class Limits:
    """Global concurrency limits: a number. Whether one is active is the operator's."""

    name = "limit"

    async def read(self, server: Server, names: Collection[str]) -> dict[str, Found]:
        found = {one["name"]: one for one in await server.list("/v2/concurrency_limits/filter")}
        return {
            name: Found(one["id"], {"limit": one["limit"]}) for name in names if (one := found.get(name)) is not None
        }

    async def make(self, server: Server, wanted: Wanted) -> None:
        await server.call("POST", "/v2/concurrency_limits/", {"name": wanted.name, **wanted.fields, **wanted.once})

    async def change(self, server: Server, wanted: Wanted, found: Found, changes: Mapping[str, Change]) -> None:
        await server.call("PATCH", f"/v2/concurrency_limits/{found.id}", _news(changes))

    async def remove(self, server: Server, found: Found) -> None:
        await server.call("DELETE", f"/v2/concurrency_limits/{found.id}")


class Variables:
    """Variables: a JSON value and tags."""

    name = "variable"

    async def read(self, server: Server, names: Collection[str]) -> dict[str, Found]:
        found = {one["name"]: one for one in await server.list("/variables/filter")}
        return {
            name: Found(
                one["id"], {"value": one["value"], "tags": sorted(one["tags"] or [])}, ours=MANAGED in one["tags"]
            )
            for name in names
            if (one := found.get(name)) is not None
        }

    async def make(self, server: Server, wanted: Wanted) -> None:
        await server.call("POST", "/variables/", {"name": wanted.name, **wanted.fields})

    async def change(self, server: Server, wanted: Wanted, found: Found, changes: Mapping[str, Change]) -> None:
        await server.call("PATCH", f"/variables/{found.id}", _news(changes))

    async def remove(self, server: Server, found: Found) -> None:
        await server.call("DELETE", f"/variables/{found.id}")


def _news(changes: Mapping[str, Change]) -> dict[str, Any]:
    return {part: change.new for part, change in changes.items()}
