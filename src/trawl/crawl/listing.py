"""A listing: a complete, verified set of keys of an endpoint at one moment; or nothing at all."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from trawl.lake import ListingState, listed_table
from trawl.model.canonical import byte_hash, text
from trawl.model.classify import Action
from trawl.model.config import SourceConfig, VersionToken
from trawl.model.errors import BrokenBody, Retriable, Skippable, TornListing, TrawlError
from trawl.model.keys import check_key, fields_of, fill, scalar
from trawl.model.version import order_of
from trawl.sources import Batch, SourceCrawler, Validators
from trawl.transport import Client, Response

from .faults import fault_of


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
    crawler: SourceCrawler,
    endpoint: str,
    known: ListingState | None,
    *,
    conditional: bool,
    believe_older: bool,
) -> Listing:
    """List one endpoint whole. A torn listing is asked for once more, unconditionally; then the old one is kept."""
    known_here = known if known is not None and known.state == "present" else None
    reason = ""
    for attempt in range(2):
        try:
            listing = await _list(client, crawler, endpoint, known_here if conditional and not attempt else None)
        except (TornListing, BrokenBody) as error:
            reason = f"torn listing: {error.message}"
            continue
        except (Retriable, Skippable) as error:
            return Kept(endpoint, error.message)
        except TrawlError:
            raise
        except Exception as error:  # noqa: BLE001  a source's own code may raise anything
            reason = fault_of(crawler, error)
            continue
        if not believe_older and not isinstance(listing, Kept) and _older(listing.state, known):
            return Kept(endpoint, "the listing is of an older deploy than the one that is held")
        return listing
    return Kept(endpoint, reason)


async def _list(client: Client, crawler: SourceCrawler, endpoint: str, known: ListingState | None) -> Listing:
    token = crawler.config_block.version_token
    key_of = partial(crawler.get_item_unique_id_from_summary_data, endpoint)
    columns = Columns(crawler.config_block, endpoint, key_of)
    counts: set[int] = set()
    deploys: set[str] = set()
    digests: list[bytes] = []
    size = 0
    first: Response | None = None
    validators = None if known is None else Validators(known.etag, known.last_modified)
    async with closing(crawler.discover_item_ids(endpoint, client, validators)) as batches:
        async for batch in batches:
            if not isinstance(batch, Batch):
                raise TypeError(f"discover_item_ids gave a {type(batch).__name__}, no Batch")
            answer = batch.response or Response(200, Action.OK, {}, text(batch.items), client.clock())
            if answer.action is Action.NOT_MODIFIED and known is not None and first is None:
                return Unchanged(endpoint, state_of(token, answer, known.etag, known.last_modified))
            if answer.action is not Action.OK:
                if answer.status in {400, 404, 410} and first is None:
                    return Absent(endpoint, state_of(token, answer, state="absent"), answer.status)
                raise TornListing(f"page {len(digests) + 1} answered {answer.status}")
            first = first or answer
            digests.append(byte_hash(answer.body))
            size += len(answer.body)
            if (deploy := version_of(token, answer.headers)[0]) is not None:
                deploys.add(deploy)
            if batch.count is not None:
                counts.add(batch.count)
            columns.add(batch.items)
    if first is None:
        raise TornListing("no page came at all: an empty list is one page without items")
    if len(counts) > 1:
        raise TornListing(f"the count changed from page to page: {sorted(counts)}")
    if len(deploys) > 1:
        raise TornListing(f"its pages are of different deploys: {', '.join(sorted(deploys))}")
    columns.verify(next(iter(counts), None))
    # Only a listing of one page can be asked for conditionally: a later page has validators of its own.
    single = len(digests) == 1
    state = state_of(
        token,
        first,
        first.headers.get("etag") if single else None,
        first.headers.get("last-modified") if single else None,
    )
    return Listed(endpoint, columns.table(), state, size, digests[0] if single else byte_hash(b"".join(digests)))


@asynccontextmanager
async def closing(batches: AsyncIterator[Batch]) -> AsyncIterator[AsyncIterator[Batch]]:
    """Ends the source's iterator with the listing, also where it is left half-way."""
    try:
        yield batches
    finally:
        if (close := getattr(batches, "aclose", None)) is not None:
            await close()


class Columns:
    """The keys of a listing as they come in, page by page."""

    def __init__(self, source: SourceConfig, endpoint: str, key_of: Callable[[Any], str] | None = None) -> None:
        self._endpoint, self._config = endpoint, source.endpoints[endpoint]
        self._key_of = key_of or self._config.key_policy.key_of
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
            key = check_key(self._key_of(item))
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
