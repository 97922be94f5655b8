"""Work pools and their queues."""

from collections.abc import Collection, Mapping
from contextlib import suppress
from urllib.parse import quote

from trawl.model.errors import ConfigurationError
from trawl.orchestration.setup.merging import ABSENT, Change, Found, Wanted

from .kind import Conflict, Server


class Pools:
    """The installation's pools. Whether it is paused, and its own limit, are the operator's; it is never removed."""

    name = "work pool"

    async def read(self, server: Server, names: Collection[str]) -> dict[str, Found]:
        found: dict[str, Found] = {}
        for name in names:
            pool = await server.maybe(_path(name))
            if pool is not None and name in server.pools:
                fields = {"type": pool["type"], "base_job_template": pool["base_job_template"] or None}
                found[name] = Found(pool["id"], fields, ours=True)
        return found

    async def make(self, server: Server, wanted: Wanted) -> None:
        await server.call("POST", "/work_pools/", {"name": wanted.name, **wanted.fields, **wanted.once})

    async def change(self, server: Server, wanted: Wanted, found: Found, changes: Mapping[str, Change]) -> None:
        if "type" in changes:
            raise wrong_type(wanted, found)
        news = {part: change.new for part, change in changes.items() if change.new is not ABSENT}
        if news:  # a template that the file gives no longer stays
            await server.call("PATCH", _path(wanted.name), news)

    async def remove(self, server: Server, found: Found) -> None:
        """Runs may wait in it."""


def wrong_type(wanted: Wanted, found: Found) -> ConfigurationError:
    """The error for a pool that cannot become what is wanted."""
    return ConfigurationError(
        f"the work pool {wanted.name!r} is of type {found.fields['type']!r}, not {wanted.fields['type']!r}",
        remedy="remove it (`prefect work-pool delete`), or give this installation another name for it",
    )


class Queues:
    """The pools' queues, `pool/queue`. Their priorities are set when they are made, and then the operator's."""

    name = "queue"

    async def read(self, server: Server, names: Collection[str]) -> dict[str, Found]:
        found: dict[str, Found] = {}
        for pool in sorted(server.pools):
            if await server.maybe(_path(pool)) is not None:
                there = await server.list(f"{_path(pool)}/queues/filter")
                found |= {f"{pool}/{queue['name']}": Found(queue["id"], {}) for queue in there}
        return {name: found[name] for name in names if name in found}

    async def make(self, server: Server, wanted: Wanted) -> None:
        pool, _, queue = wanted.name.rpartition("/")
        with suppress(Conflict):  # the pool brought its `default` with it
            await server.call("POST", f"{_path(pool)}/queues", {"name": queue, **wanted.once})

    async def change(self, server: Server, wanted: Wanted, found: Found, changes: Mapping[str, Change]) -> None:
        """Nothing of it is set-up's."""

    async def remove(self, server: Server, found: Found) -> None:
        """Runs may wait in it."""


def _path(pool: str) -> str:
    return f"/work_pools/{quote(pool, safe='')}"
