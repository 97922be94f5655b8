"""One request, explained: what `trawl try` tells of a list or of a record. Nothing is written.

What a crawl would do is asked of the crawl's own functions; only the words are of this module.
"""

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta
from difflib import get_close_matches
from functools import partial
from typing import Any, cast

from trawl.lake import HostBoard, Lake
from trawl.lake.history import find_key, nobody, several, standing
from trawl.model.canonical import byte_hash, fingerprint, parse, text
from trawl.model.classify import Action
from trawl.model.config import EndpointConfig, SourceConfig, VersionToken, host_of
from trawl.model.contract import Finding, json_type
from trawl.model.decide import Rules, settle
from trawl.model.diff import Difference, diff
from trawl.model.errors import BrokenBody, ConfigurationError, Retriable, Skippable, TornListing, TrawlError
from trawl.model.keys import fields_of, fill, scalar
from trawl.model.pagination import first_page, next_page, read_page
from trawl.model.records import Event, Prior, Result, State
from trawl.model.values import dig, each
from trawl.sources import Item, SourceCrawler, YamlCrawler, as_crawler
from trawl.transport import Client, Clock, CoolDown, Response, utc_now
from trawl.transport.auth import SecretLoader
from trawl.transport.hosts import base_url_and_origin

from .faults import fault_of
from .fetch import read_document
from .listing import Columns, closing
from .options import CrawlOptions, check_endpoints, resolve

_SHOWN = 5  # first keys of a list
_NEAR = 3

_MEANINGS = {
    Action.OK: "a document: a crawl reads it",
    Action.NOT_MODIFIED: "what is stored still holds",
    Action.RETRY: "passes by itself: a crawl waits and asks again, then leaves it to the next run",
    Action.LATER: "refused: a crawl counts it as failed and asks again in a later run",
    Action.GONE: "not there: a listed record counts as failed; one that is missing from the list is on its way to a tombstone",
    Action.QUARANTINE: "a success without a document: a crawl keeps it in quarantine",
}
_RESULTS = {
    Result.NEW: "a crawl would store it as a new record",
    Result.CHANGED: "a crawl would store a new version",
    Result.REORDERED: "only the order of declared unordered lists moved: a crawl counts that, and makes no version",
    Result.UNCHANGED: "the lake holds this content already",
    Result.REVIVED: "a crawl would revive it",
    Result.REGRESSED: "an older deploy answered than the lake's content is of: a crawl keeps what it has and asks again",
}
_NO_JSON = "must lead to a JSON document; open the address to see what it is"
_HEADERS = (
    "content-type",
    "content-encoding",
    "etag",
    "last-modified",
    "cache-control",
    "age",
    "retry-after",
    "link",
    "location",
)


@dataclass(frozen=True, slots=True)
class Problem:
    """What stands in a crawl's way, and what to change."""

    message: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Asked:
    """One request and its answer. `status` is None where none came."""

    url: str
    why: str
    status: int | None
    action: str
    meaning: str
    seconds: float
    bytes: int = 0
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class ListFacts:
    """What the (first page of a) list says. `complete`: one answer holds all of it, so it is one snapshot."""

    items: int
    count: int | None
    complete: bool
    verified: bool
    keys: list[tuple[str, str | None]] = field(default_factory=list)
    note: str = ""


@dataclass(slots=True)
class RecordFacts:
    """What the record's document says, and what a crawl would do with it."""

    key: str
    label: str | None
    contract: list[Finding]
    byte_hash: str
    canonical_hash: str
    semantic_hash: str
    unordered: dict[str, int]
    verdict: str | None = None
    meaning: str = ""
    state: str | None = None
    version: int | None = None
    differences: list[Difference] = field(default_factory=list)


@dataclass(slots=True)
class Probe:
    """All that one try taught."""

    source: str
    endpoint: str
    wanted: str | None
    requests: list[Asked] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    listing: ListFacts | None = None
    record: RecordFacts | None = None
    problems: list[Problem] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether a crawl could use the answer."""
        return not self.problems

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {"ok": self.ok, **asdict(self)}


async def probe(
    source: SourceConfig | SourceCrawler,
    endpoint: str,
    wanted: str | None,
    lake: Lake | None = None,
    options: CrawlOptions | None = None,
    *,
    clock: Clock = utc_now,
    load_block: SecretLoader | None = None,
) -> Probe:
    """Ask for an endpoint's list, or for one record by key or label, once.

    A second request is made only where the first needs it: a label that the lake does not know stands in the list alone,
    a child's address in its parent's record.
    """
    options = options or CrawlOptions()
    crawler = as_crawler(source)
    source = crawler.config_block
    check_endpoints(source, [endpoint], source.name)
    target = resolve(source, options)
    once = source.requests.model_copy(update={"attempts": 1})
    cool_down = CoolDown(clock)
    found = Probe(source.name, endpoint, wanted)
    if lake is not None and lake.store.exists:
        cool_down.learn(HostBoard(lake.store, host_of(target.base_url), clock).cool_down())
        if cool_down.until is not None and cool_down.until > clock():
            found.notes.append(f"the API asked to be left alone until {cool_down.until:%H:%M:%S} UTC: waited for that")
    async with Client(
        source=source.model_copy(update={"requests": once}),
        base_url=target.base_url,
        clock=clock,
        cool_down=cool_down,
        requests_per_second=target.requests_per_second,
        connections=1,
        api_key=partial(crawler.get_api_key, load_block),
    ) as client:
        origin = base_url_and_origin(source, options.base_url)[1]
        work = Explainer(found, crawler, client, f"base: {origin}; ", lake)
        await (work.list_it() if wanted is None else work.record(wanted))
    return found


@dataclass(slots=True)
class Explainer:
    """Asks, and writes into `found` what it learns. `origin`: who named the base address, for the reader."""

    found: Probe
    crawler: SourceCrawler
    client: Client
    origin: str = ""
    lake: Lake | None = None
    source: SourceConfig = field(init=False)
    config: EndpointConfig = field(init=False)

    def __post_init__(self) -> None:
        self.source = self.crawler.config_block
        self.config = self.source.endpoints[self.found.endpoint]

    async def list_it(self) -> list[tuple[str, str | None, Any]] | None:
        """Ask for the list; its keys, labels and items where they could be read."""
        name, config = self.found.endpoint, self.config.list
        if config is None:
            raise ConfigurationError(
                f"{name} has no list: it follows the records of {self.config.parent}",
                remedy=f"give a key: trawl try {self.source.name} {name} KEY",
            )
        if self._own("discover_item_ids") or self._own("get_item_unique_id_from_summary_data"):
            return await self._list_in_python()
        request = first_page(name, config)
        why = f"path: `list.path` {config.path!r}; pagination: {config.pagination.kind}"
        response = await self._ask(request.url, dict(request.params), why)
        if response is None or not self._usable(response, "list.path"):
            return None
        try:
            value = parse(response.body)
        except BrokenBody as error:
            self._problem(error.message, f"`list.path` {_NO_JSON}")
            return None
        try:
            page = read_page(value, config, response.headers.get("link", ""))
        except TornListing as error:
            self._problem(error.message, _list_remedy(value, config.items, config.count))
            return None
        columns, policy = Columns(self.source, name), self.config.key_policy
        for item in page.items:
            try:
                policy.key_of(item)
            except TornListing as error:
                shown = f"An item's fields: {_fields(item)}"
                self._problem(error.message, f"set `key.field` (and `key.pattern`) to what names the record. {shown}")
                return None
        try:
            columns.add(page.items)
            following = next_page(config, request, page, len(columns.keys))
        except TornListing as error:
            self._problem(error.message, _torn_remedy(error.message, page.items))
            return None
        facts = ListFacts(len(page.items), page.count, following is None, verified=False)
        facts.keys = list(zip(columns.keys[:_SHOWN], columns.labels[:_SHOWN], strict=True))
        self.found.listing = facts
        self._judge_list(facts, columns, page.items, following is None)
        return list(zip(columns.keys, columns.labels, page.items, strict=True))

    async def _list_in_python(self) -> list[tuple[str, str | None, Any]] | None:
        """The first batch of a list that the source finds in its own way."""
        name = self.found.endpoint
        columns = Columns(self.source, name, partial(self.crawler.get_item_unique_id_from_summary_data, name))
        client = self._watched(f"asked by {type(self.crawler).__name__}.discover_item_ids")
        try:
            async with closing(self.crawler.discover_item_ids(name, client)) as batches:
                batch = await anext(batches, None)
            if batch is None:
                self._problem("no page came at all", "an empty list is one page without items: yield `Batch([])`")
                return None
            if batch.response is not None and not self._usable(batch.response, "discover_item_ids"):
                return None
            columns.add(batch.items)
        except Exception as error:  # noqa: BLE001  a source's own code may raise anything
            self._fault(error)
            return None
        facts = ListFacts(len(batch.items), batch.count, complete=False, verified=False)
        facts.keys = list(zip(columns.keys[:_SHOWN], columns.labels[:_SHOWN], strict=True))
        facts.note = "the first batch: a crawl takes them all, and verifies the whole"
        self.found.listing = facts
        return list(zip(columns.keys, columns.labels, batch.items, strict=True))

    async def _fetch(self, prior: Prior, path: str, why: str) -> Response | None:
        """A record's answer, as a crawl would get it."""
        assert self.config.detail is not None
        if not self._own("fetch_item_details"):
            return await self._ask(path, dict(self.config.detail.params), why)
        try:
            item = Item(self.found.endpoint, prior.key, prior.label, path)
            return await self.crawler.fetch_item_details(item, self._watched(why))
        except Exception as error:  # noqa: BLE001  a source's own code may raise anything
            self._fault(error)
            return None

    def _own(self, member: str) -> bool:
        """Whether the source does this in Python of its own."""
        return getattr(type(self.crawler), member) is not getattr(YamlCrawler, member)

    def _watched(self, why: str) -> Client:
        """The client, for the source's own code: what it asks is written down."""

        async def get(url: str, *, params: Mapping[str, str | int] | None = None, **_: Any) -> Response:
            response = await self._ask(url, params or {}, why)
            if response is None:
                raise Retriable(self.found.problems[-1].message)
            return response

        return cast("Client", _Watched(self.client, get))

    def _fault(self, error: Exception) -> None:
        """What the source's own code raised: fatal errors end the try, the others are its answer."""
        if isinstance(error, TrawlError) and not isinstance(error, Retriable | Skippable):
            raise error
        message = error.message if isinstance(error, TrawlError) else fault_of(self.crawler, error)
        if all(problem.message != message for problem in self.found.problems):
            self._problem(
                message, f"look at {type(self.crawler).__name__}; trawl.testing has the laws that it must hold"
            )

    def _judge_list(self, facts: ListFacts, columns: Columns, items: Any, complete: bool) -> None:
        config = self.config.list
        assert config is not None
        if not complete:
            rest = "on" if facts.count is None else f"for all {facts.count:,}"
            facts.note = (
                f"the first page of more: a crawl asks {rest}, page by page. Pages of one list are no snapshot: "
                "a larger `pagination.limit` (or `size`) makes it one where the API allows that"
            )
        else:
            try:
                columns.verify(facts.count)
                facts.verified = True
                facts.note = (
                    "complete: every key once, as many as the API counts"
                    if facts.count is not None
                    else "complete as far as one can tell: the list names no count (`list.count` says where one stands)"
                )
            except TornListing as error:
                kind = config.pagination.kind
                self._problem(error.message, f"correct `pagination` (now of kind {kind}), or `list.count`")
        if self.config.label and items and not any(columns.labels):
            self.found.notes.append(
                f"`label` {self.config.label!r} is no text or integer in the items: labels come with the records, where they "
                f"have it. An item's fields: {_fields(items[0])}"
            )

    async def record(self, wanted: str) -> None:
        """Ask for one record by key or label."""
        name = self.found.endpoint
        part = None if self.lake is None or not self.lake.store.exists else self.lake.source(self.source.name)
        snapshot = None if part is None else part.log.snapshot()
        known = find_key(snapshot, name, wanted) if snapshot is not None else None
        prior, stored = (known and standing(snapshot, name, known)) or (_unknown(name, known or wanted), None)
        if known is not None:
            self.found.notes.append(f"the lake knows it: key {known}, label {prior.label}")
        if self.config.detail is None:
            await self._listed(wanted, prior, stored, known)
            return
        path, why, asked_list = prior.locator, "path: the one that answered last, from the lake", False
        if path is None:
            needed = fields_of(self.config.detail.path)
            if any(part.startswith("parent.") for part in needed):
                path, why = await self._below_parent(prior.key)
            elif set(needed) <= {"key", "endpoint"}:
                path = fill(self.config.detail.path, endpoint=name, key=prior.key)
                why = f"path: `detail.path` {self.config.detail.path!r}"
            else:
                prior, path, why = await self._through_list(wanted)
                asked_list = True
            if path is None:
                return
        response = await self._fetch(prior, path, why)
        if (
            response is not None
            and response.action is Action.GONE
            and known is None
            and not asked_list
            and self.config.list
        ):
            self.found.notes.append(f"{wanted!r} is no key that the API knows: the list may have it as a label")
            prior, path, why = await self._through_list(wanted)
            response = None if path is None else await self._fetch(prior, path, why)
        if response is None or path is None or not self._usable(response, "detail.path"):
            return
        self._judge(prior, stored, response, path)

    async def _through_list(self, wanted: str) -> tuple[Prior, str | None, str]:
        """A record's address where only the list can tell it."""
        name, detail = self.found.endpoint, self.config.detail
        assert detail is not None
        key, label, item = await self._in_list(wanted) or (wanted, None, None)
        prior = _unknown(name, key, label)
        if item is None:
            return prior, None, ""
        values = {"endpoint": name, "key": key, "label": label} | {
            part: scalar(item, part.removeprefix("item."))
            for part in fields_of(detail.path)
            if part.startswith("item.")
        }
        return (
            prior,
            fill(detail.path, **values),
            f"path: `detail.path` {detail.path!r}; key {key}, label {label}: from the list",
        )

    async def _in_list(self, wanted: str) -> tuple[str, str | None, Any] | None:
        """The item with this key or label; None where the list could not be read."""
        items = await self.list_it()
        if items is None:
            return None
        exact = [item for item in items if item[0] == wanted]
        found = exact or [item for item in items if (item[1] or "").lower() == wanted.lower()]
        if len(found) > 1:
            raise several(self.found.endpoint, wanted, [item[:2] for item in found])
        if not found:
            if self.found.listing is not None and not self.found.listing.complete:
                raise ConfigurationError(
                    f"{self.found.endpoint}: the list's first page has no record {wanted!r}",
                    remedy="give its key, or crawl first: the lake knows every label",
                )
            names = {(label or key).lower(): (key, label) for key, label, _ in items}
            near = [names[name] for name in get_close_matches(wanted.lower(), names, n=_NEAR)]
            raise nobody(self.found.endpoint, wanted, near)
        return found[0]

    async def _below_parent(self, key: str) -> tuple[str | None, str]:
        """A child's address, which stands in its parent's record."""
        detail, parent = self.config.detail, self.config.parent
        assert detail is not None
        assert parent is not None
        above = self.source.endpoints[parent]
        if above.detail is None or not set(fields_of(above.detail.path)) <= {"key", "endpoint"}:
            self._problem(
                f"the address stands in the record of {parent} {key}", f"crawl {parent} first: the lake then knows it"
            )
            return None, ""
        url = fill(above.detail.path, endpoint=parent, key=key)
        why = f"the address of {self.found.endpoint} {key} stands in its parent's record"
        response = await self._ask(url, dict(above.detail.params), why)
        if response is None or not self._usable(response, f"endpoints.{parent}.detail.path"):
            return None, ""
        try:
            value = parse(response.body)
        except BrokenBody as error:
            self._problem(error.message, f"the parent's record must be JSON (`endpoints.{parent}`)")
            return None, ""
        names = [part for part in fields_of(detail.path) if part.startswith("parent.")]
        values = {part: scalar(value, part.removeprefix("parent.")) for part in names}
        if missing := [part for part, text in values.items() if text is None]:
            self._problem(
                f"the parent's record has no {missing[0]!r}", f"correct `detail.path`. Its fields: {_fields(value)}"
            )
            return None, ""
        return fill(detail.path, key=key, **values), f"path: `detail.path` {detail.path!r}"

    async def _listed(self, wanted: str, prior: Prior, stored: str | None, known: str | None) -> None:
        """A list-only endpoint's record is an item of the list."""
        found = await self._in_list(known or wanted)
        if found is None:
            return
        key, label, item = found
        prior = prior if known is not None else _unknown(self.found.endpoint, key, label)
        response = Response(200, Action.OK, {}, text(item), self.client.clock())
        self._judge(prior, stored, response, None)

    def _judge(self, prior: Prior, stored: str | None, response: Response, path: str | None) -> None:
        """What the document holds, against contract, key, label and lake."""
        try:
            value = parse(response.body)
        except BrokenBody as error:
            self._problem(error.message, f"`detail.path` {_NO_JSON}")
            return
        contract = self.config.contract
        if own := self._called_by_label(prior, value):
            self.found.notes.append(f"the API also answers to the label {prior.key!r}; the record's key is {own}")
            prior = replace(prior, key=own)
        key = prior.key
        marks = fingerprint(parse(response.body), self.config.unordered_paths)
        facts = RecordFacts(
            key,
            scalar(value, self.config.label) if self.config.label else None,
            list(contract.findings(value, key)),
            byte_hash(response.body).hex(),
            marks.canonical.hex(),
            marks.semantic.hex(),
            _unordered(value, self.config),
        )
        self.found.record = facts
        if self.config.label and isinstance(value, dict) and facts.label is None:
            self.found.notes.append(
                f"`label` {self.config.label!r} is no text or integer here. Fields: {_fields(value)}"
            )
        try:
            answer = read_document(self.source, prior.endpoint, key, path or "", response)
        except BrokenBody as error:
            self._problem(error.message, _contract_remedy(next((f for f in facts.contract if not f.ok), None), value))
            facts.verdict, facts.meaning = Result.QUARANTINED, "a crawl would keep it in quarantine"
            return
        rules = Rules("try", self.config.unordered_paths, self.config.guards.tombstone_after)
        settled = settle(prior, answer, rules)
        facts.verdict, facts.meaning = settled.result, _RESULTS.get(settled.result, "")
        if prior.version:
            facts.state, facts.version = prior.state, prior.version
            if prior.state != State.PRESENT:
                facts.meaning += f" (it is {prior.state}: only a list that names it again revives it)"
        if stored is not None and settled.result in {Result.CHANGED, Result.REORDERED}:
            facts.differences = list(diff(parse(stored.encode()), value))

    def _called_by_label(self, prior: Prior, value: Any) -> str | None:
        """The record's key, where it was asked for by its label and answered nevertheless."""
        field, label = self.config.contract.key, self.config.label
        own = scalar(value, field) if field else None
        named = scalar(value, label) if label else None
        asked_by_label = prior.event == Event.NEW and own != prior.key and (named or "").lower() == prior.key.lower()
        return own if asked_by_label else None

    async def _ask(self, url: str, params: Mapping[str, str | int], why: str) -> Response | None:
        """One request, written down; None where no answer came that could be read."""
        query = "&".join(f"{name}={value}" for name, value in params.items())
        shown = self.client.locate(url) + (f"?{query}" if query else "")
        why = f"{self.origin}{why}"
        began = time.perf_counter()
        try:
            response = await self.client.get(url, params=params or None)
        except (Retriable, Skippable) as error:
            seconds = time.perf_counter() - began
            wait = getattr(error, "wait", None)
            meaning = _MEANINGS[Action.RETRY] if isinstance(error, Retriable) else "a crawl counts it as failed"
            asked = (
                f"; it asks to be left alone for {wait.total_seconds():.0f} s" if isinstance(wait, timedelta) else ""
            )
            self.found.requests.append(
                Asked(shown, why, None, Action.RETRY, f"{error.message}: {meaning}{asked}", seconds)
            )
            self._problem(
                error.message, "try again later; `requests` of the source says how often and how long a crawl asks"
            )
            return None
        seconds = time.perf_counter() - began
        headers = {
            name: response.headers[name] for name in _names(self.source.version_token) if name in response.headers
        }
        self.found.requests.append(
            Asked(
                shown,
                why,
                response.status,
                response.action,
                _MEANINGS[response.action],
                seconds,
                len(response.body),
                headers,
            )
        )
        return response

    def _usable(self, response: Response, setting: str) -> bool:
        if response.action is Action.GONE:
            self._problem(f"the API answers {response.status}", f"correct the key, `base_url` or `{setting}`")
        elif response.action is not Action.OK:
            remedy = f"see what it says at that address; it comes from `base_url` and `{setting}`"
            self._problem(f"the API answers {response.status}", remedy)
        elif response.headers.get("content-type", "").startswith("text/html"):
            self._problem(
                "not JSON: the answer is an HTML page",
                f"correct `base_url` or `{setting}`: many APIs lie below a path of their own, such as /api/v2",
            )
        else:
            return True
        return False

    def _problem(self, message: str, remedy: str) -> None:
        self.found.problems.append(Problem(message, remedy))


@dataclass(frozen=True, slots=True)
class _Watched:
    """A client with another `get`."""

    client: Client
    get: Callable[..., Awaitable[Response]]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.client, name)


def _unknown(endpoint: str, key: str, label: str | None = None) -> Prior:
    """A record of which the lake knows nothing."""
    nothing: dict[str, Any] = dict.fromkeys(Prior.__slots__)
    known = {"endpoint": endpoint, "key": key, "label": label, "event": Event.NEW, "state": State.PRESENT}
    return Prior(**nothing | known | {"version": 0, "failures": 0})


def _names(token: VersionToken | None) -> list[str]:
    own = [token.header, token.order_header] if token else []
    return [*_HEADERS, *(name.lower() for name in own if name)]


def _unordered(value: Any, config: EndpointConfig) -> dict[str, int]:
    """The declared unordered lists that the document has, and how many items they hold."""
    found: dict[str, int] = {}
    for path in config.unordered_paths:
        lists = [holder[name] for holder, name in each(value, path) if isinstance(holder[name], list)]
        if lists:
            found[".".join(path)] = sum(map(len, lists))
    return found


def _fields(value: Any) -> str:
    """What an object holds, for somebody who writes a source: `id (integer), name (string)`."""
    if not isinstance(value, dict):
        return f"none, it is {json_type(value)}: {str(value)[:60]}"
    shown = [f"{name} ({json_type(item)})" for name, item in list(value.items())[:20]]
    return ", ".join(shown) + (", ..." if len(value) > 20 else "") or "none"


def _list_remedy(value: Any, items: str, count: str | None) -> str:
    if isinstance(value, list):
        return "the document is the array itself: leave `list.items` and `list.count` out"
    arrays = [path for path in _paths(value) if isinstance(dig(value, path), list)]
    hints = (
        [f"set `list.items` to {' or '.join(repr(path) for path in arrays)}"] if arrays and items not in arrays else []
    )
    numbers = [path for path in _paths(value) if json_type(dig(value, path)) == "integer"]
    if count is not None and count not in numbers:
        hints.append(f"set `list.count` to {' or '.join(map(repr, numbers))}" if numbers else "leave `list.count` out")
    return "; ".join(hints) or f"the document's fields: {_fields(value)}"


def _paths(value: Any) -> list[str]:
    """The paths of an object's fields, two levels deep."""
    found: list[str] = []
    for name, inner in value.items() if isinstance(value, dict) else ():
        found.append(name)
        found += [f"{name}.{below}" for below in inner] if isinstance(inner, dict) else []
    return found


def _torn_remedy(message: str, items: Any) -> str:
    if "came twice" in message:
        return f"`key.field` does not tell the items apart. An item's fields: {_fields(items[0])}"
    return f"correct `detail.path` or `pagination`. An item's fields: {_fields(items[0]) if items else 'the page is empty'}"


def _contract_remedy(finding: Finding | None, value: Any) -> str:
    if finding is None:
        return f"the document's fields: {_fields(value)}"
    if not finding.path:
        return f"set `contract.type` to {finding.found!r} if that is how the API is"
    if finding.wanted.startswith("the key "):
        return f"`contract.key` names the field that repeats the key; here it is {finding.found!r}. Fields: {_fields(value)}"
    if finding.found is None:
        return f"take {finding.path!r} out of `contract.fields` if it may be missing. Fields: {_fields(value)}"
    return f"write `{finding.path}: {finding.wanted}|{finding.found}` in `contract.fields` if both are right"
