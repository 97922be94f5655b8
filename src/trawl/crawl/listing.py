"""A listing: a complete, verified set of keys of an endpoint at one moment; or nothing at all."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from trawl.lake import ListingState, listed_table
from trawl.model.canonical import byte_hash, text
from trawl.model.classify import Action
from trawl.model.config import NoPages, SourceConfig, Threshold, VersionToken
from trawl.model.errors import BrokenBody, BudgetSpent, Retriable, Skippable, TornListing, TrawlError
from trawl.model.keys import check_key, fields_of, fill, scalar
from trawl.model.more import Sign, page_told
from trawl.model.validators import Validators, validators_of
from trawl.model.version import order_of
from trawl.sources import Asking, Batch, SourceCrawler, answer_in, came
from trawl.transport import Client, Response

from .faults import fault_of


@dataclass(frozen=True, slots=True)
class Keyless:
    """A page of a list with items that tell no key: it goes to quarantine, whole."""

    page: int
    response: Response
    reason: str


@dataclass(frozen=True, slots=True)
class Listed:
    """A new verified listing: its keys (an Arrow table of `lake.LISTED`), its size in bytes and its hash.

    Attributes:
        keyless: pages with items that tell no key, and how many these are. What such a listing shows is believed, but
            nobody is missing by it.
        notes: what the pages have taught, for whoever wrote the source.

    """

    endpoint: str
    table: Any
    state: ListingState
    size: int
    digest: bytes
    keyless: tuple[Keyless, ...] = ()
    without_key: int = 0
    notes: tuple[str, ...] = ()


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
    """No believable listing came: the old one stays, for this reason.

    `unread`: the list could not be read. Else there is nothing wrong with it: it is an older one, or was not asked for.
    """

    endpoint: str
    reason: str
    remedy: str | None = None
    unread: bool = True


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
    reason, remedy = "", None
    for attempt in range(2):
        try:
            listing = await _list(client, crawler, endpoint, known_here if conditional and not attempt else None)
        except (TornListing, BrokenBody) as error:
            reason, remedy = f"torn listing: {error.message}", error.remedy
            continue
        except BudgetSpent as error:
            return Kept(endpoint, error.message, unread=False)
        except (Retriable, Skippable) as error:
            return Kept(endpoint, error.message, error.remedy)
        except TrawlError:
            raise
        except Exception as error:  # noqa: BLE001  a source's own code may raise anything
            reason, remedy = fault_of(crawler, error), None
            continue
        if not believe_older and not isinstance(listing, Kept) and _older(listing.state, known):
            return Kept(endpoint, "the listing is of an older deploy than the stored one", unread=False)
        return listing
    return Kept(endpoint, reason, remedy)


async def _list(client: Client, crawler: SourceCrawler, endpoint: str, known: ListingState | None) -> Listing:
    source = crawler.config_block
    token = source.version_token
    columns = Columns(source, endpoint, partial(crawler.get_item_unique_id_from_summary_data, endpoint))
    counts: list[tuple[int, int]] = []
    deploys: set[str] = set()
    digests: list[bytes] = []
    keyless: list[Keyless] = []
    notes: list[str] = []
    size, proved = 0, True
    first: Response | None = None
    validators = None if known is None else Validators(known.etag, known.last_modified)
    async with closing(Asking(crawler, client).batches(endpoint, validators)) as batches:
        async for batch in batches:
            if not isinstance(batch, Batch):
                raise TypeError(f"discover_item_ids yielded a {type(batch).__name__}, not a Batch")
            answer = await answer_in(batch, client.clock()) or Response(
                200, Action.OK, {}, text(batch.items), client.clock()
            )
            if answer.action is Action.NOT_MODIFIED and known is not None and first is None:
                if (sign := _told_by_304(source, endpoint, answer)) is not None:
                    raise TornListing(f"304, and there seem to be more pages: {sign.says}", remedy=sign.remedy)
                return Unchanged(endpoint, state_of(token, answer, Validators(known.etag, known.last_modified)))
            if answer.action is not Action.OK:
                if answer.status in {400, 404, 410} and first is None:
                    return Absent(endpoint, state_of(token, answer, state="absent"), answer.status)
                raise TornListing(f"page {len(digests) + 1} answered {came(answer)}")
            first = first or answer
            digests.append(byte_hash(answer.body))
            size += len(answer.body)
            if (deploy := version_of(token, answer.headers)[0]) is not None:
                deploys.add(deploy)
            if batch.count is not None:
                counts.append((batch.count, len(batch.items)))
            if batch.note is not None:
                notes.append(batch.note)
            proved = proved and batch.proved and (len(digests) == 1 or not batch.items)
            if (reason := columns.add(batch.items, batch.texts)) is not None:
                keyless.append(Keyless(len(digests), answer, reason))
    if first is None:
        raise TornListing("no page came at all: an empty list is one page without items")
    if len(deploys) > 1:
        raise TornListing(f"its pages are of different deploys: {', '.join(sorted(deploys))}")
    columns.verify_keys(source.endpoints[endpoint].guards.keyless)
    if (note := verify_counts(counts, columns.items)) is not None:
        notes.append(note)
    if columns.keyless:
        notes.append(
            f"{columns.keyless} of {columns.items} items have no key, so this list marks no record as missing: {columns.reason}"
        )
    # Only of a list in one answer, and by that answer, can a 304 say that nothing has changed.
    state = state_of(token, first, validators_of(first.headers, first.at) if proved and not keyless else None)
    digest = digests[0] if len(digests) == 1 else byte_hash(b"".join(digests))
    return Listed(
        endpoint, columns.table(), state, size, digest, tuple(keyless), columns.keyless, tuple(dict.fromkeys(notes))
    )


def _told_by_304(source: SourceConfig, endpoint: str, answer: Response) -> Sign | None:
    """Where a 304 to a list of one answer names a next page in its header."""
    config = source.endpoints[endpoint].list
    if config is None or not isinstance(config.pagination, NoPages):
        return None
    return page_told(None, answer.headers.get("link", ""), config.items, config.ignore)


def verify_counts(counts: Sequence[tuple[int, int]], items: int) -> str | None:
    """Hold the counts that the pages claimed (each beside its page's own items) against all items that came.

    Returns a note where they are no counts of the list. Raises TornListing where items are missing.
    """
    claimed = {count for count, _ in counts}
    if len(claimed) > 1:
        if any(count != own for count, own in counts):
            raise TornListing(
                f"the count changed from page to page: {sorted(claimed)}",
                remedy="the list changes while it is read: larger pages, or a fixed order (a sort parameter in "
                "`list.params`), make that rarer",
            )
        return "the API counts the items of each page, not those of the list: the count is ignored"
    if claimed and (count := claimed.pop()) != items:
        if items < count:
            raise TornListing(f"{items} items came, the API counts {count}")
        return f"{items} items came, the API counts {count}: the count is ignored"
    return None


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
        self.reason = ""
        self.items = 0
        self.keyless = 0
        self.keys: list[str] = []
        self.labels: list[str | None] = []
        self.locators: list[str | None] = []
        self.bodies: list[bytes | None] = []

    def add(self, items: list[Any], texts: list[bytes] | None = None) -> str | None:
        """Take a page's items; the reason of the first that tells no key (or no path), which is left out.

        Raises TornListing where a key comes twice.
        """
        config, reason = self._config, None
        for place, item in enumerate(items):
            try:
                key = check_key(self._key_of(item))
                label = scalar(item, config.label) if config.label else None
                locator = self._locator(item, key, label)
            except TornListing as error:
                self.keyless += 1
                reason = reason or error.message
                continue
            if key in self._seen:
                raise TornListing(f"the key {key!r} came twice")
            self._seen.add(key)
            self.keys.append(key)
            self.labels.append(label)
            self.locators.append(locator)
            self.bodies.append(None if config.detail is not None else text(item) if texts is None else texts[place])
        self.items += len(items)
        self.reason = self.reason or reason or ""
        return reason

    def verify_keys(self, guard: Threshold) -> None:
        """Raise TornListing where too many items tell no key."""
        if self.keyless and (guard.exceeded(self.keyless, self.items) or not self.keys):
            raise TornListing(
                f"{self.keyless} of {self.items} items have no key: {self.reason}",
                remedy="set `key.field` (and `key.pattern`) to what names the record",
            )

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
                    raise TornListing(f"the item {key!r} has no {name!r}, which its path needs")
        return fill(self._template, **values)


def state_of(
    token: VersionToken | None, response: Response, validators: Validators | None = None, state: str = "present"
) -> ListingState:
    """What to remember of a listing's answer."""
    version, order = version_of(token, response.headers)
    found = validators or Validators()
    return ListingState(state, found.etag, found.last_modified, version, order, response.at)


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
