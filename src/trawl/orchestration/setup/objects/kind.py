"""What the kinds have in common: a few words of Prefect's API, in its own JSON."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Literal, Protocol

from prefect.client.orchestration import PrefectClient
from prefect.exceptions import PrefectHTTPStatusError

from trawl.orchestration.setup.merging import Change, Found, Wanted

__all__ = ["Conflict", "Kind", "Server"]

_PAGE = 200  # what Prefect's lists give at the most

Verb = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]


class Conflict(Exception):
    """Somebody else changed the object since it was read: read again, decide again."""

    def __init__(self, cause: PrefectHTTPStatusError) -> None:
        super().__init__(str(cause))
        self.cause = cause


@dataclass(slots=True)
class Server:
    """Prefect's API. `pool` is the installation's, `pools` are all that it describes: what lies in another one is another
    installation's.
    """

    client: PrefectClient
    pool: str
    pools: frozenset[str]
    kept: dict[tuple[str, str], str] = field(default_factory=dict)
    """Ids by kind and name, of what others refer to."""

    async def call(self, verb: Verb, path: str, body: Any = None, **params: Any) -> Any:
        """The answer's JSON, None if it has none. Raises Conflict for a 404 or 409: the object came or went meanwhile."""
        try:
            # The path is any of the server's; the client's type lists those that its own methods use.
            answer = await self.client.request(verb, path, json=body, params=params or None)  # type: ignore[arg-type]
            answer.raise_for_status()
        except PrefectHTTPStatusError as error:
            if error.response.status_code in {HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT}:
                raise Conflict(error) from None
            raise
        return answer.json() if answer.content else None

    async def maybe(self, path: str, **params: Any) -> Any:
        """What lies there, or None."""
        try:
            return await self.call("GET", path, **params)
        except Conflict as error:
            if error.cause.response.status_code != HTTPStatus.NOT_FOUND or not _is_prefects(error.cause):
                raise error.cause from None
            return None

    async def list(self, path: str, filters: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """All that a filter finds, over all pages."""
        found: list[dict[str, Any]] = []
        while True:
            page = await self.call("POST", path, {**(filters or {}), "limit": _PAGE, "offset": len(found)})
            found += page
            if len(page) < _PAGE:
                return found

    async def deployment_id(self, name: str) -> str | None:
        """The id of the installation's deployment of this name, made now or before."""
        if ("deployment", name) not in self.kept:
            found = await self.list("/deployments/filter", {"deployments": {"name": {"any_": [name]}}})
            own = [one for one in found if one["work_pool_name"] in self.pools] or found
            if own:
                self.kept["deployment", name] = own[0]["id"]
        return self.kept.get(("deployment", name))

    async def block_id(self, block: str) -> str | None:
        """The id of the block `type/name`."""
        if ("block", block) not in self.kept:
            slug, _, name = block.partition("/")
            found = await self.maybe(f"/block_types/slug/{slug}/block_documents/name/{name}")
            if found is not None:
                self.kept["block", block] = found["id"]
        return self.kept.get(("block", block))


class Kind(Protocol):
    """One kind of object. Names are unique in it."""

    name: str

    async def read(self, server: Server, names: Collection[str]) -> dict[str, Found]:
        """Those of `names` that are there, and whatever else is recognisably this installation's."""
        ...

    async def make(self, server: Server, wanted: Wanted) -> None: ...

    async def change(self, server: Server, wanted: Wanted, found: Found, changes: Mapping[str, Change]) -> None: ...

    async def remove(self, server: Server, found: Found) -> None: ...


def _is_prefects(error: PrefectHTTPStatusError) -> bool:
    """Whether the 404 is about an object: another server may know no such path at all."""
    try:
        detail = error.response.json().get("detail")
    except (ValueError, AttributeError):
        return False
    return isinstance(detail, str) and detail != "Not Found"
