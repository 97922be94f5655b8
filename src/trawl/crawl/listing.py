"""A listing: a complete, verified set of keys of an endpoint at one moment; or nothing at all."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trawl.lake import ListingState, listed_table
from trawl.model.canonical import byte_hash, parse, text
from trawl.model.classify import Action
from trawl.model.config import ListConfig, SourceConfig, VersionToken
from trawl.model.errors import BrokenBody, Retriable, Skippable, TornListing
from trawl.model.keys import fields_of, fill, scalar
from trawl.model.pagination import first_page, next_page, read_page
from trawl.model.version import order_of
from trawl.transport import Client, Response


@dataclass(frozen=True, slots=True)
class Listed:
    """A new verified listing: its keys (an Arrow table of `lake.LISTED`), its size in bytes and its hash."""

    endpoint: str
    table: Any
    state: ListingState
    size: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class Unchanged:
    """The last verified listing still holds (304)."""

    endpoint: str
    state: ListingState


@dataclass(frozen=True, slots=True)
class Absent:
    """The API does not have the endpoint."""

    endpoint: str
    state: ListingState
    status: int


@dataclass(frozen=True, slots=True)
class Kept:
    """No believable listing came: the old one stays, for this reason."""

    endpoint: str
    reason: str


Listing = Listed | Unchanged | Absent | Kept


async def list_endpoint(
    client: Client,
    source: SourceConfig,
    endpoint: str,
    known: ListingState | None,
    *,
    conditional: bool,
    believe_older: bool,
) -> Listing:
    """List one endpoint whole. A torn listing is asked for once more, unconditionally; then the old one is kept."""
    config = source.endpoints[endpoint]
    assert config.list is not None
    known_here = known if known is not None and known.state == "present" else None
    reason = ""
    for attempt in range(2):
        try:
            listing = await _list(
                client, source, endpoint, config.list, known_here if conditional and not attempt else None
            )
        except (TornListing, BrokenBody) as error:
            reason = f"torn listing: {error.message}"
            continue
        except (Retriable, Skippable) as error:
            return Kept(endpoint, error.message)
        if not believe_older and not isinstance(listing, Kept) and _older(listing.state, known):
            return Kept(endpoint, "the listing is of an older deploy than the one that is held")
        return listing
    return Kept(endpoint, reason)


async def _list(
    client: Client, source: SourceConfig, endpoint: str, config: ListConfig, known: ListingState | None
) -> Listing:
    request = first_page(endpoint, config)
    etag, last_modified = (known.etag, known.last_modified) if known else (None, None)
    asked: set[str] = set()
    columns = Columns(source, endpoint)
    counts: set[int] = set()
    bodies: list[bytes] = []
    first: Response | None = None
    while True:
        step = f"{request.url} {sorted(request.params.items())}"
        if step in asked:
            raise TornListing(f"the page {request.url} came up twice: the list runs in a circle")
        asked.add(step)
        response = await client.get(request.url, params=request.params or None, etag=etag, last_modified=last_modified)
        first = first or response
        if response.action is Action.NOT_MODIFIED and known is not None:
            return Unchanged(endpoint, state_of(source.version_token, response, known.etag, known.last_modified))
        if response.action is not Action.OK:
            if response.status in {400, 404, 410} and len(asked) == 1:
                return Absent(endpoint, state_of(source.version_token, response, state="absent"), response.status)
            raise TornListing(f"page {len(asked)} answered {response.status}")
        page = read_page(parse(response.body), config, response.headers.get("link", ""))
        bodies.append(response.body)
        if page.count is not None:
            counts.add(page.count)
        columns.add(page.items)
        following = next_page(config, request, page, len(columns.keys))
        if following is None:
            break
        request, etag, last_modified = following, None, None
    if len(counts) > 1:
        raise TornListing(f"the count changed from page to page: {sorted(counts)}")
    columns.verify(next(iter(counts), None))
    # Only a listing of one page can be asked for conditionally: a later page has validators of its own.
    single = len(bodies) == 1
    state = state_of(
        source.version_token,
        first,
        first.headers.get("etag") if single else None,
        first.headers.get("last-modified") if single else None,
    )
    digest = byte_hash(bodies[0] if single else b"".join(map(byte_hash, bodies)))
    return Listed(endpoint, columns.table(), state, sum(map(len, bodies)), digest)


class Columns:
    """The keys of a listing as they come in, page by page."""

    def __init__(self, source: SourceConfig, endpoint: str) -> None:
        self._endpoint, self._config = endpoint, source.endpoints[endpoint]
        detail = self._config.detail
        self._template = detail.path if detail and any(f.startswith("item.") for f in fields_of(detail.path)) else None
        self._seen: set[str] = set()
        self.keys: list[str] = []
        self.labels: list[str | None] = []
        self.locators: list[str | None] = []
        self.bodies: list[bytes | None] = []

    def add(self, items: list[Any]) -> None:
        config = self._config
        for item in items:
            key = config.key_policy.key_of(item)
            label = scalar(item, config.label) if config.label else None
            if key in self._seen:
                raise TornListing(f"the key {key!r} came twice")
            self._seen.add(key)
            self.keys.append(key)
            self.labels.append(label)
            self.locators.append(self._locator(item, key, label))
            self.bodies.append(text(item) if config.detail is None else None)

    def verify(self, count: int | None) -> None:
        """All or nothing: as many keys as the API counts."""
        if count is not None and count != len(self.keys):
            raise TornListing(f"{len(self.keys)} items came, the API counts {count}")

    def table(self) -> Any:
        return listed_table(self._endpoint, self.keys, self.labels, self.locators, self.bodies)

    def _locator(self, item: Any, key: str, label: str | None) -> str | None:
        if self._template is None:
            return None
        values: dict[str, str | None] = {"endpoint": self._endpoint, "key": key, "label": label}
        for name in fields_of(self._template):
            if name.startswith("item."):
                values[name] = scalar(item, name.removeprefix("item."))
                if values[name] is None:
                    raise TornListing(f"the item {key!r} has no {name!r} for its path")
        return fill(self._template, **values)


def state_of(
    token: VersionToken | None,
    response: Response,
    etag: str | None = None,
    last_modified: str | None = None,
    state: str = "present",
) -> ListingState:
    """What to remember of a listing's answer."""
    version, order = version_of(token, response.headers)
    return ListingState(state, etag, last_modified, version, order, response.at)


def version_of(token: VersionToken | None, headers: Mapping[str, str]) -> tuple[str | None, int | None]:
    """The deploy that an answer says it came from."""
    if token is None:
        return None, None
    version = headers.get(token.header) if token.header else None
    return version, order_of(headers.get(token.order_header)) if token.order_header else None


def _older(state: ListingState, known: ListingState | None) -> bool:
    if known is None or known.source_order is None or state.source_order is None:
        return False
    return state.source_order < known.source_order
