"""Quarantined answers once more: by the contract and rules of today, without a fetch."""

from collections import Counter, defaultdict
from collections.abc import Container
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from http import HTTPStatus
from typing import Any

from multidict import CIMultiDict

from trawl.crawl.doubts import Doubts, policy_of
from trawl.crawl.fetch import read_document
from trawl.crawl.planning import check_keys
from trawl.crawl.report import EndpointReport, Report
from trawl.lake import LIST_PAGES, Kept, Lake
from trawl.lake.reading.finding import check_endpoints
from trawl.model.canonical import parse
from trawl.model.classify import Action, classify
from trawl.model.config import SourceConfig
from trawl.model.decide import Rules, settle
from trawl.model.errors import BrokenBody, ConfigurationError
from trawl.model.keys import fields_of, fill
from trawl.model.records import Answer, Prior, Result, Settled, State
from trawl.sources import SourceCrawler, as_crawler
from trawl.transport import Clock, Response, utc_now

from .rules import follow_rules
from .upkeep import Upkeep, upkeep


class Verdict(StrEnum):
    """What became of an answer that was replayed, beside the results of a run."""

    BROKEN = "still broken"
    REFUSED = "still refused"
    LEFT = "left alone"


@dataclass(frozen=True, slots=True)
class Replayed:
    """One answer and what became of it: a `Result` or a `Verdict`, and the reason of the latter."""

    endpoint: str
    key: str
    label: str | None
    observed_at: datetime
    run: str
    result: str
    reason: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self) | {"observed_at": self.observed_at.isoformat()}


def find_quarantined(
    lake: Lake,
    name: str,
    endpoint: str | None = None,
    wanted: str | None = None,
    run: str | None = None,
    *,
    known: Container[str] = (),
) -> list[dict[str, Any]]:
    """The rows of the view `quarantine`, newest first: all, an endpoint's, or one record's (by key, else by label).

    Raises ConfigurationError for an endpoint that is neither `known` nor in the lake.
    """
    snapshot = lake.held(name).log.snapshot()
    if endpoint is not None and endpoint.removesuffix(LIST_PAGES) not in known:
        check_endpoints(snapshot, name, [endpoint.removesuffix(LIST_PAGES)])
    rows = [
        row
        for row in lake.query(f'FROM "{name}".quarantine ORDER BY observed_at DESC, endpoint, key').rows()
        if endpoint in {None, row["endpoint"], row["endpoint"].removesuffix(LIST_PAGES)} and run in {None, row["run"]}
    ]
    if wanted is None:
        return rows
    named = [row for row in rows if row["key"] == wanted]
    named = named or [row for row in rows if (row["label"] or "").lower() == wanted.lower()]
    if len(keys := {row["key"] for row in named}) > 1:
        raise ConfigurationError(f"{wanted!r} names several records", remedy=f"use a key: {', '.join(sorted(keys))}")
    if not named:
        place = "/".join(part for part in (name, endpoint) if part)
        raise ConfigurationError(
            f"{place} has no quarantined answer of {wanted!r}" + (f" in run {run}" if run else ""),
            remedy=f"trawl quarantine list {name} shows those that there are",
        )
    return named


def replay(
    lake: Lake,
    described: SourceConfig | SourceCrawler,
    endpoint: str | None = None,
    wanted: str | None = None,
    *,
    dry_run: bool = False,
    clock: Clock = utc_now,
) -> tuple[list[Replayed], Report | None]:
    """Run the newest kept document of each record in question through the source's contract and rules of today.

    What passes becomes content of the instant at which it came, in one commit; what does not stays open, and so does
    what holds no document: only the API can answer that anew. A record that was read well since is left alone. The
    report is None where nothing was committed.
    """
    crawler = as_crawler(described)
    source = crawler.config_block
    with upkeep(lake, source.name, clock, dry_run=dry_run) as work:
        check_keys(source, work.facts)
        rows = find_quarantined(lake, source.name, endpoint, wanted, known=source.endpoints)
        records = [row for row in rows if not row["endpoint"].endswith(LIST_PAGES)]  # a list is read anew by every run
        kept: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
        for row in records:
            if wanted or row["open"]:
                kept[row["endpoint"], row["key"]].append(row)
        if not dry_run:
            work = follow_rules(work, source, sorted({place for place, _ in kept}))  # noqa: PLW2901
        priors = work.source.priors(work.snapshot, list(kept))
        writer = work.source.log.writer(work.run, "replay")
        doubts = Doubts(work.source, work.snapshot, source)
        results = []
        passed: dict[str, Counter[str]] = defaultdict(Counter)
        for record in sorted(kept):
            row, answer = _newest_document(work, kept[record])
            settled = _replay(work, crawler, doubts, row, answer, priors[record])
            if isinstance(settled, Settled):
                passed[record[0]][settled.result] += 1
                if not dry_run and writer.add(settled.row):
                    writer.flush(writer.take())
                settled = _replayed(row, settled.result)
            results.append(settled)
        if not passed or dry_run:
            return results, None
        return results, work.commit_run("replay", work.facts, writer.close(), endpoints=_counts(passed))


def _newest_document(work: Upkeep, rows: list[dict[str, Any]]) -> tuple[dict[str, Any], Kept | None]:
    """The newest kept answer of a record that may hold a document; where none does, the newest."""
    found = ((row, work.source.runs.quarantined(row["run"], row["endpoint"], row["key"])) for row in rows)
    newest = next(found)
    return newest if not _is_refusal(newest[1]) else next((each for each in found if not _is_refusal(each[1])), newest)


def _is_refusal(kept: Kept | None) -> bool:
    """Whether an answer holds no document, whatever the contract: only the API can answer that anew."""
    if kept is None:
        return False
    return not kept.whole or kept.status is None or classify(kept.status) not in {Action.OK, Action.QUARANTINE}


def _replay(
    work: Upkeep, crawler: SourceCrawler, doubts: Doubts, row: dict[str, Any], kept: Kept | None, prior: Prior
) -> Settled | Replayed:
    source = crawler.config_block
    if not row["open"]:
        return _replayed(row, Verdict.LEFT, "the record was read well since")
    if prior.state == State.GONE:
        return _replayed(row, Verdict.LEFT, "the record is gone since")
    if prior.endpoint not in source.endpoints:
        return _replayed(row, Verdict.LEFT, f"the source has no endpoint {prior.endpoint!r} any longer")
    if kept is None:
        return _replayed(row, Verdict.LEFT, "its body is not kept any longer")
    if _is_refusal(kept):
        return _replayed(row, Verdict.REFUSED, kept.reason)
    try:
        answer = _answer(crawler, doubts, prior, kept)
    except BrokenBody as error:
        return _replayed(row, Verdict.BROKEN, error.message)
    config = source.endpoints[prior.endpoint]
    settled = settle(prior, answer, Rules(work.run, config.unordered_paths, config.guards.tombstone_after))
    if settled.result == Result.REGRESSED:
        return _replayed(row, Verdict.LEFT, "it is of an older deploy than what is stored")
    return settled


def _answer(crawler: SourceCrawler, doubts: Doubts, prior: Prior, kept: Kept) -> Answer:
    """What the answer says under the contract of today. Raises BrokenBody."""
    source = crawler.config_block
    config, policy = source.endpoints[prior.endpoint], policy_of(crawler, prior.endpoint)
    if config.detail is None:
        value = parse(kept.body)
        config.contract.check(value, prior.key)
        return Answer(kept.at, kept.body, value, label=prior.label)
    if kept.status != HTTPStatus.OK:
        raise BrokenBody(f"no document: status {kept.status}")
    path = prior.locator
    if path is None and not any(field.startswith(("parent.", "item.")) for field in fields_of(config.detail.path)):
        path = fill(config.detail.path, endpoint=prior.endpoint, key=prior.key, label=prior.label)
    response = Response(kept.status, Action.OK, CIMultiDict(kept.headers), kept.body, kept.at)
    answer = read_document(source, prior.endpoint, prior.key, path, response, policy)
    if answer.anonymous:
        doubts.check(prior, answer, policy, kept.led_to)
    return answer


def _replayed(row: dict[str, Any], result: str, reason: str | None = None) -> Replayed:
    return Replayed(row["endpoint"], row["key"], row["label"], row["observed_at"], row["run"], result, reason)


def _counts(passed: dict[str, Counter[str]]) -> dict[str, EndpointReport]:
    return {
        place: EndpointReport(
            new=counts[Result.NEW],
            changed=counts[Result.CHANGED],
            reordered=counts[Result.REORDERED],
            unchanged=counts[Result.UNCHANGED],
        )
        for place, counts in sorted(passed.items())
    }
