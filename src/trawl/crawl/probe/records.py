"""A record, explained: its document, and what a crawl would do with it."""

from dataclasses import replace
from difflib import get_close_matches
from typing import Any

from trawl.crawl.doubts import Doubts, policy_of
from trawl.crawl.fetch import led_to, read_document
from trawl.lake import Lake
from trawl.lake.reading.finding import find_key, nobody, several
from trawl.lake.reading.history import standing
from trawl.model.canonical import byte_hash, fingerprint, parse, text
from trawl.model.classify import Action
from trawl.model.config import EndpointConfig
from trawl.model.decide import Rules, settle
from trawl.model.describe import fields_text
from trawl.model.diff import diff
from trawl.model.documents import Document, read_json
from trawl.model.errors import BrokenBody, ConfigurationError
from trawl.model.keys import KeyPolicy, fields_of, fill, scalar
from trawl.model.records import Event, Prior, Result, State
from trawl.model.values import each
from trawl.sources import Item
from trawl.transport import Response

from .asking import Asker
from .facts import RecordFacts
from .lists import explain_list
from .remedies import NO_JSON, contract_remedy, contract_text

_NEAR = 3
_RESULTS = {
    Result.NEW: "a crawl would store it as a new record",
    Result.CHANGED: "a crawl would store a new version",
    Result.REORDERED: "only the order of lists declared `unordered` changed: a crawl counts that, and makes no version",
    Result.UNCHANGED: "the lake holds this content already",
    Result.REVIVED: "a crawl would revive it",
    Result.REGRESSED: "the answer is of an older deploy than the lake's content: a crawl keeps its content and asks again",
}


async def explain_record(work: Asker, wanted: str, lake: Lake | None = None) -> None:
    """Ask for one record by key or label."""
    name = work.found.endpoint
    part = None if lake is None or not lake.store.exists else lake.source(work.source.name)
    snapshot = None if part is None else part.log.snapshot()
    known = find_key(snapshot, name, wanted) if snapshot is not None else None
    prior, stored = (known and standing(snapshot, name, known)) or (_unknown(name, known or wanted), None)
    if known is not None:
        work.found.notes.append(f"it is in the lake: key {known}, label {prior.label}")
    if work.config.detail is None:
        await _listed(work, wanted, prior, stored, known)
        return
    path, why, asked_list = prior.locator, "path: the one that answered last, from the lake", False
    if path is None:
        needed = fields_of(work.config.detail.path)
        if any(part.startswith("parent.") for part in needed):
            path, why = await _below_parent(work, prior.key)
        elif set(needed) <= {"key", "endpoint"}:
            path = fill(work.config.detail.path, endpoint=name, key=prior.key)
            why = f"path: `detail.path` {work.config.detail.path!r}"
        else:
            prior, path, why = await _through_list(work, wanted)
            asked_list = True
        if path is None:
            return
    response = await _fetch(work, prior, path, why)
    if (
        response is not None
        and response.action is Action.GONE
        and known is None
        and not asked_list
        and work.config.list
    ):
        work.found.notes.append(f"{wanted!r} is not a key that the API knows: the list may have it as a label")
        prior, path, why = await _through_list(work, wanted)
        response = None if path is None else await _fetch(work, prior, path, why)
    if response is None or path is None or not work.usable(response, "detail.path"):
        return
    doubts = None if part is None else Doubts(part, snapshot, work.source)
    _judge(work, prior, stored, response, path, doubts)


async def _fetch(work: Asker, prior: Prior, path: str, why: str) -> Response | None:
    """A record's answer, as a crawl would get it."""
    assert work.config.detail is not None
    if not work.own("fetch_item_details"):
        return await work.ask(path, dict(work.config.detail.params), why)
    try:
        item = Item(work.found.endpoint, prior.key, prior.label, path)
        return await work.through(why).fetch(item)
    except Exception as error:  # noqa: BLE001  a source's own code may raise anything
        work.fault(error)
        return None


async def _through_list(work: Asker, wanted: str) -> tuple[Prior, str | None, str]:
    """A record's address where only the list can tell it."""
    name, detail = work.found.endpoint, work.config.detail
    assert detail is not None
    key, label, item = await _in_list(work, wanted) or (wanted, None, None)
    prior = _unknown(name, key, label)
    if item is None:
        return prior, None, ""
    values = {"endpoint": name, "key": key, "label": label} | {
        part: scalar(item, part.removeprefix("item.")) for part in fields_of(detail.path) if part.startswith("item.")
    }
    return (
        prior,
        fill(detail.path, **values),
        f"path: `detail.path` {detail.path!r}; key {key}, label {label}: from the list",
    )


async def _in_list(work: Asker, wanted: str) -> tuple[str, str | None, Any] | None:
    """The item with this key or label; None where the list could not be read."""
    items = await explain_list(work)
    if items is None:
        return None
    exact = [item for item in items if item[0] == wanted]
    found = exact or [item for item in items if (item[1] or "").lower() == wanted.lower()]
    if len(found) > 1:
        raise several(work.found.endpoint, wanted, [item[:2] for item in found])
    if not found:
        if work.found.listing is not None and not work.found.listing.complete:
            raise ConfigurationError(
                f"{work.found.endpoint}: the list's first page has no record {wanted!r}",
                remedy="give its key, or crawl first: the lake knows every label",
            )
        names = {(label or key).lower(): (key, label) for key, label, _ in items}
        near = [names[name] for name in get_close_matches(wanted.lower(), names, n=_NEAR)]
        raise nobody(work.found.endpoint, wanted, near)
    return found[0]


async def _below_parent(work: Asker, key: str) -> tuple[str | None, str]:
    """A child's address, which stands in its parent's record."""
    detail, parent = work.config.detail, work.config.parent
    assert detail is not None
    assert parent is not None
    above = work.source.endpoints[parent]
    if above.detail is None or not set(fields_of(above.detail.path)) <= {"key", "endpoint"}:
        work.problem(
            f"the address stands in the record of {parent} {key}", f"crawl {parent} first: the lake then knows it"
        )
        return None, ""
    url = fill(above.detail.path, endpoint=parent, key=key)
    why = f"the address of {work.found.endpoint} {key} stands in its parent's record"
    response = await work.ask(url, dict(above.detail.params), why)
    if response is None or not work.usable(response, f"endpoints.{parent}.detail.path"):
        return None, ""
    try:
        value = _json(response).value
    except BrokenBody as error:
        work.problem(error.message, f"the parent's record must be JSON (`endpoints.{parent}`)")
        return None, ""
    names = [part for part in fields_of(detail.path) if part.startswith("parent.")]
    values = {part: scalar(value, part.removeprefix("parent.")) for part in names}
    if missing := [part for part, text in values.items() if text is None]:
        work.problem(
            f"the parent's record has no {missing[0]!r}", f"correct `detail.path`. Its fields: {fields_text(value)}"
        )
        return None, ""
    return fill(detail.path, key=key, **values), f"path: `detail.path` {detail.path!r}"


async def _listed(work: Asker, wanted: str, prior: Prior, stored: str | None, known: str | None) -> None:
    """A list-only endpoint's record is an item of the list."""
    found = await _in_list(work, known or wanted)
    if found is None:
        return
    key, label, item = found
    prior = prior if known is not None else _unknown(work.found.endpoint, key, label)
    response = Response(200, Action.OK, {}, text(item), work.client.clock())
    _judge(work, prior, stored, response, None)


def _judge(
    work: Asker, prior: Prior, stored: str | None, response: Response, path: str | None, doubts: Doubts | None = None
) -> None:
    """What the document holds, against contract, key, label and lake."""
    try:
        value = _json(response).value
    except BrokenBody as error:
        work.problem(error.message, f"`detail.path` {NO_JSON}")
        return
    contract, policy = work.config.contract, policy_of(work.crawler, work.found.endpoint)
    if own := _called_by_label(work, prior, value, policy):
        work.found.notes.append(f"the API also answers to the label {prior.key!r}; the record's key is {own}")
        prior = replace(prior, key=own)
    key = prior.key
    marks = fingerprint(_json(response).value, work.config.unordered_paths)
    facts = RecordFacts(
        key,
        scalar(value, work.config.label) if work.config.label else None,
        list(contract.findings(value, key, policy)),
        byte_hash(_json(response).text).hex(),
        marks.canonical.hex(),
        marks.semantic.hex(),
        _unordered(value, work.config),
    )
    work.found.record = facts
    if work.config.label and isinstance(value, dict) and facts.label is None:
        work.found.notes.append(
            f"`label` {work.config.label!r} is not a text or integer here. Fields: {fields_text(value)}"
        )
    try:
        answer = read_document(work.source, prior.endpoint, key, path or "", response, policy)
        if answer.anonymous and doubts is not None:
            doubts.check(prior, answer, policy, led_to(work.client, path or "", response))
    except BrokenBody as error:
        work.problem(error.message, contract_remedy(next((f for f in facts.contract if not f.ok), None), value))
        facts.verdict, facts.meaning = Result.QUARANTINED, "a crawl would keep it in quarantine"
        return
    if work.config.detail is not None and not contract.written:
        facts.suggestion = contract_text(value, key)
    rules = Rules("try", work.config.unordered_paths, work.config.guards.tombstone_after)
    settled = settle(prior, answer, rules)
    facts.verdict, facts.meaning = settled.result, _RESULTS.get(settled.result, "")
    if prior.version:
        facts.state, facts.version = prior.state, prior.version
        if prior.state != State.PRESENT:
            facts.meaning += f" (it is {prior.state}: only a list that names it again revives it)"
    if stored is not None and settled.result in {Result.CHANGED, Result.REORDERED}:
        facts.differences = list(diff(parse(stored.encode()), value))


def _called_by_label(work: Asker, prior: Prior, value: Any, policy: KeyPolicy | None) -> str | None:
    """The record's key, where it was asked for by its label and answered nevertheless."""
    field, label = work.config.contract.key, work.config.label
    own = scalar(value, field) if isinstance(field, str) else policy.told_by(value) if field and policy else None
    named = scalar(value, label) if label else None
    asked_by_label = prior.event == Event.NEW and own != prior.key and (named or "").lower() == prior.key.lower()
    return own if asked_by_label else None


def _json(response: Response) -> Document:
    return read_json(response.body, response.headers.get("content-type", ""))


def _unknown(endpoint: str, key: str, label: str | None = None) -> Prior:
    """A record of which the lake knows nothing."""
    nothing: dict[str, Any] = dict.fromkeys(Prior.__slots__)
    known = {"endpoint": endpoint, "key": key, "label": label, "event": Event.NEW, "state": State.PRESENT}
    return Prior(**nothing | known | {"version": 0, "failures": 0})


def _unordered(value: Any, config: EndpointConfig) -> dict[str, int]:
    """The declared unordered lists that the document has, and how many items they hold."""
    found: dict[str, int] = {}
    for path in config.unordered_paths:
        lists = [holder[name] for holder, name in each(value, path) if isinstance(holder[name], list)]
        if lists:
            found[".".join(path)] = sum(map(len, lists))
    return found
