"""Lines 2 to 4 of the crawl: ask the version token, list, decide what is due, store the plan."""

import asyncio
import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from trawl.lake import (
    LIST_PAGES,
    SHARD_RECORDS,
    EndpointCount,
    EndpointRule,
    ListingState,
    LogWriter,
    Plan,
    Planner,
    Shard,
    Snapshot,
    SourceLake,
    Token,
)
from trawl.model.classify import Action
from trawl.model.config import SourceConfig, VersionToken
from trawl.model.documents import read_json
from trawl.model.errors import BrokenBody, ConfigurationError, Retriable, Skippable
from trawl.model.keys import scalar
from trawl.model.version import order_of
from trawl.sources import SourceCrawler
from trawl.transport import Client, Clock

from .listing import Absent, Kept, Listed, Listing, Unchanged, list_endpoint
from .options import CrawlOptions, Target
from .progress import Progress, count_of
from .reading import since_of, still_good
from .tasks import in_thread, task_group

ADOPTABLE = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Seen:
    """The version token as this run knows it, with the instant of its first sighting."""

    value: str
    order: int | None
    first_seen: datetime


@dataclass(frozen=True, slots=True)
class Context:
    """What all of one run's steps need. `reading`: by which rules each endpoint is read, and since when."""

    run: str
    started_at: datetime
    crawler: SourceCrawler
    target: Target
    options: CrawlOptions
    lake: SourceLake
    snapshot: Snapshot | None
    facts: dict[str, Any]
    clock: Clock
    progress: Progress
    reading: Mapping[str, Any] = field(default_factory=dict)

    @property
    def source(self) -> SourceConfig:
        """What the crawler is configured with."""
        return self.crawler.config_block

    @property
    def base(self) -> Snapshot:
        """The log that this run writes to; only a preview has none."""
        assert self.snapshot is not None
        return self.snapshot


def fingerprint_of(context: Context) -> str:
    """The hash of all that shapes a plan: only a run with the same options may adopt it."""
    options = context.options
    wishes = (
        context.source.model_dump_json(),
        context.target.base_url,
        context.target.endpoints,
        options.mode,
        options.force,
        options.no_cache,
        options.max_requests,
        options.allow_rollback,
        sorted(options.accept),
    )
    return hashlib.sha256(repr(wishes).encode()).hexdigest()[:16]


def key_hashes(source: SourceConfig) -> dict[str, str]:
    """By endpoint, the hash of its key policy: stored keys are only good under the policy that made them."""
    return {
        name: _hash(config.key.model_dump_json()) for name, config in source.endpoints.items() if config.parent is None
    }


def rule_hashes(source: SourceConfig) -> dict[str, str]:
    """By endpoint, the hash of its semantic rules."""
    return {name: _hash(sorted(config.unordered)) for name, config in source.endpoints.items()}


def check_keys(source: SourceConfig, facts: dict[str, Any]) -> None:
    """Raise ConfigurationError where a key policy is no longer the one that the lake's keys were made with."""
    before = facts.get("keys", {})
    for name, now in key_hashes(source).items():
        if before.get(name, now) != now:
            raise ConfigurationError(
                f"source {source.name!r}, endpoint {name!r}: its key policy has changed, and the lake holds keys of "
                "the old one",
                remedy="`trawl rekey` gives what is stored its new keys (see --dry-run); or restore `key`",
            )


@dataclass(frozen=True, slots=True)
class NothingNew:
    """A run that has nothing to do and learnt nothing; by endpoint, what its listing says all the same: notes, absent."""

    endpoints: dict[str, dict[str, Any]]


class NoToken(Skippable):
    """The API does not have the document that would hold its version token."""


async def make_plan(context: Context, client: Client) -> Plan | NothingNew:
    """Decide what this run does and store it."""
    token, facts = await _ask_token(context, client)
    context = replace(context, facts=facts)
    known = still_good(await asyncio.to_thread(context.lake.listings, context.snapshot), context.reading)
    planner = Planner(context.snapshot, context.started_at, _forgotten(context.facts))
    try:
        await in_thread(planner.read, stop=planner.stop)
        if (
            token is not None
            and not context.options.force
            and await in_thread(_settled, context, planner, token, known, stop=planner.stop)
        ):
            context.progress.say(f"version {token.value}: unchanged and settled, nothing is due")
            return NothingNew({})
        unsettled = await in_thread(planner.unsettled, stop=planner.stop)
        listings = await _list_all(context, client, known, unsettled)
        return await in_thread(_plan, context, client, planner, token, known, listings, stop=planner.stop)
    finally:
        planner.close()


@dataclass(frozen=True, slots=True)
class Preview:
    """What a refresh would do: by endpoint, how many records got which decision; `seconds` at `rate`, if limited."""

    endpoints: dict[str, dict[str, int]]
    requests: int
    rate: float | None
    seconds: float | None

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


async def preview(context: Context, client: Client) -> Preview:
    """Decide as a refresh would, and write nothing."""
    token, _ = await _ask_token(context, client)
    known = still_good(await asyncio.to_thread(context.lake.listings, context.snapshot), context.reading)
    planner = Planner(context.snapshot, context.started_at, _forgotten(context.facts))
    try:
        await in_thread(planner.read, stop=planner.stop)
        unsettled = await in_thread(planner.unsettled, stop=planner.stop)
        listings = {listing.endpoint: listing for listing in await _list_all(context, client, known, unsettled)}
        tables = {name: listing.table for name, listing in listings.items() if isinstance(listing, Listed)}
        whole = {name for name, found in listings.items() if isinstance(found, Listed) and not found.without_key}
        gone = {name for name, listing in listings.items() if isinstance(listing, Absent)}
        planner.decide(
            _rules(context, listed={*whole, *gone}),
            list(tables.values()),
            token=_planner_token(context, token),
            force=context.options.force,
        )
        decisions = planner.decisions()
    finally:
        planner.close()
    due = sum(n for counts in decisions.values() for decision, n in counts.items() if decision != "fresh")
    requests, rate = due + client.traffic.requests, context.target.requests_per_second
    return Preview(decisions, requests, rate, None if rate is None else requests / rate)


def adopt(context: Context) -> Plan | None:
    """The unfinished plan that this run may go on with; others are given up, visibly."""
    found = None
    news, wanted, now = context.base.news, fingerprint_of(context), context.started_at
    for run, plan in context.lake.runs.unfinished().items():
        if plan is None:
            context.progress.say(f"run {run}: its unfinished plan is given up: it is incomplete")
            context.lake.runs.drop_plan(run)
            continue
        reason = _unfit(plan, wanted, news, now)
        if context.lake.log.holds(plan.run):
            reason = "its run is in the log already"
        if reason is None and found is None:
            found = plan
            if broken := context.lake.runs.drop_broken_outcomes(run):
                context.progress.say(
                    f"run {run}: {count_of(broken, 'shard')} must be fetched again: their files are incomplete"
                )
            continue
        context.progress.say(f"run {plan.run}: its unfinished plan is given up: {reason or 'an older one is finished'}")
        context.lake.runs.drop_plan(plan.run)
    return found


def check_plan(context: Context, run: str, shards: Sequence[int]) -> Plan:
    """The plan that holds these shards. Raises ConfigurationError where they cannot be fetched as its run would."""
    name, plan = context.source.name, context.lake.runs.plan(run)
    if plan is None or not set(shards) <= set(range(len(plan.shards))):
        raise ConfigurationError(
            f"the lake has no shards {', '.join(map(str, shards))} of run {run} of {name}: the run has ended",
            remedy="start a refresh: it makes a new plan",
        )
    if (reason := _unfit(plan, fingerprint_of(context), context.base.news, context.started_at)) is not None:
        raise ConfigurationError(f"run {run} of {name}: {reason}", remedy="start a refresh: it makes a new plan")
    return plan


def _unfit(plan: Plan, wanted: str, news: int, now: datetime) -> str | None:
    if plan.config != wanted:
        return "it was made with another configuration"
    if plan.base != news:
        return "the log has changed since"
    if now - datetime.fromisoformat(plan.created_at) > ADOPTABLE:
        return "it is older than a day"
    return None


async def _ask_token(context: Context, client: Client) -> tuple[Seen | None, dict[str, Any]]:
    """Ask the version token, and note whether the API has one: that it has none is said once, not in every run.

    An older deploy than the known one is not believed; an unreadable answer is no token.
    """
    config, facts = context.source.version_token, context.facts
    if config is None:
        return None, facts
    try:
        return await _token_now(context, client, config), {n: fact for n, fact in facts.items() if n != "no_token"}
    except NoToken as error:
        if facts.get("no_token") != config.path:
            context.progress.say(
                f"the API has no version token at {config.path} ({error.message}): continues without one"
            )
        return None, facts | {"no_token": config.path}
    except (Retriable, Skippable) as error:
        context.progress.warn(f"the version token {config.path} cannot be read: {error.message}")
        return None, facts


async def _token_now(context: Context, client: Client, config: VersionToken) -> Seen:
    stored = context.facts.get("token")
    known = (
        None if stored is None else Seen(stored["value"], stored["order"], datetime.fromisoformat(stored["first_seen"]))
    )
    seen = await read_token(client, config)
    if known is not None and seen.value == known.value:
        return known
    if known is not None and _is_older(seen.order, known.order) and not context.options.allow_rollback:
        context.progress.warn(
            f"the API serves an older deploy ({seen.value}) than the lake holds ({known.value}): what is older is not "
            "believed; if the API really went back, use --allow-rollback"
        )
        return known
    return seen


async def read_token(client: Client, config: VersionToken) -> Seen:
    """The version token as the API says it now. Raises NoToken where it has none, Retriable or Skippable where none came."""
    response = await client.get(config.path)
    if response.action is Action.GONE:
        raise NoToken(f"it answers {response.status}")
    if response.action is not Action.OK:
        raise BrokenBody(f"it answers {response.status}")
    document = read_json(response.body, response.headers.get("content-type", "")).value
    value = scalar(document, config.field)
    if value is None:
        raise BrokenBody(f"it has no {config.field!r}")
    return Seen(value, order_of(scalar(document, config.order)) if config.order else None, response.at)


def _is_older(order: int | None, known: int | None) -> bool:
    return order is not None and known is not None and order < known


def _settled(context: Context, planner: Planner, token: Seen, known: dict[str, ListingState]) -> bool:
    """Whether the lists stand verified under this token and (for a refresh) no record is due."""
    config = context.source.version_token
    assert config is not None
    for name in context.target.endpoints:
        if context.source.endpoints[name].list is not None and not _verified(
            known.get(name), token, config, context.started_at
        ):
            return False
    counts = planner.decide(_rules(context, listed=set()), [], token=_planner_token(context, token), force=False)
    return context.options.mode == "discover" or not any(count.due for count in counts.values())


def _verified(state: ListingState | None, token: Seen, config: VersionToken, now: datetime) -> bool:
    if state is None:
        return False
    if state.state == "absent":  # an error page names no deploy: ask once for each token, and once more when caches end
        again = token.first_seen + config.max_age
        return state.valid_from >= (token.first_seen if now < again else again)
    return state.source_version == token.value or state.valid_from >= token.first_seen + config.max_age


async def _list_all(
    context: Context, client: Client, known: dict[str, ListingState], unsettled: Collection[str]
) -> list[Listing]:
    """List the chosen endpoints side by side; the client keeps the pace.

    A list-only endpoint that lacks some content is listed unconditionally: it comes only with the list.
    """
    names = [name for name in context.target.endpoints if context.source.endpoints[name].list is not None]
    context.progress.say(f"listing {count_of(len(names), 'endpoint')}")
    options = context.options
    async with task_group() as group:
        tasks = [
            group.create_task(
                list_endpoint(
                    client,
                    context.crawler,
                    name,
                    known.get(name),
                    conditional=not options.no_cache
                    and (context.source.endpoints[name].detail is not None or name not in unsettled),
                    believe_older=options.allow_rollback,
                )
            )
            for name in names
        ]
    return [task.result() for task in tasks]


def _plan(
    context: Context,
    client: Client,
    planner: Planner,
    token: Seen | None,
    known: dict[str, ListingState],
    listings: list[Listing],
) -> Plan | NothingNew:
    options, runs = context.options, context.lake.runs
    endpoints: dict[str, dict[str, Any]] = {name: {"notes": []} for name in context.target.endpoints}
    listed = {listing.endpoint: listing for listing in listings if isinstance(listing, Listed)}
    held: dict[str, dict[str, Any]] = {}
    tables = {name: listing.table for name, listing in listed.items()}
    whole = {name for name, listing in listed.items() if not listing.without_key}
    planner_token = _planner_token(context, token)

    # An endpoint that vanished as a whole is a listing without keys: the guard below holds it.
    vanished = {listing.endpoint for listing in listings if isinstance(listing, Absent)}
    confirmed = {listing.endpoint for listing in listings if isinstance(listing, Unchanged)}
    fresh = {*whole, *vanished}

    def decide() -> dict[str, EndpointCount]:
        rules = _rules(context, listed=fresh, held=held, confirmed=confirmed)
        return planner.decide(rules, list(tables.values()), token=planner_token, force=options.force)

    counts = decide()
    unread = {name: fact for name, fact in context.facts.get("unread", {}).items() if name not in endpoints}
    for listing in listings:
        name, endpoint = listing.endpoint, endpoints[listing.endpoint]
        _note(context, listing, counts[name], endpoint)
        if isinstance(listing, Kept) and listing.unread:
            before = context.facts.get("unread", {}).get(name, {}).get("runs", 0)
            unread[name] = {"runs": before + 1, "reason": listing.reason}
            endpoint["unread"] = before + 1
            endpoint["never_read"] = counts[name].known == 0 and (name not in known or known[name].state == "absent")
    if absent := [name for name, endpoint in endpoints.items() if endpoint.get("absent")]:
        names = ", ".join(absent[:3]) + (", ..." if len(absent) > 3 else "")
        context.progress.say(f"the API does not have {count_of(len(absent), 'endpoint')}: {names}")
    for name, count in counts.items():
        guard = context.source.endpoints[name].guards.missing
        lossy = guard.exceeded(count.lost, count.known) or (name in vanished and count.lost > 0)
        if name not in options.accept and lossy:
            held[name] = {"reason": f"{count.lost} of {count.known} records are missing from the list"}
    if held:
        _hold(context, planner, held, listed)
        counts = decide()
    limit = 0 if options.mode == "discover" else _limit(options, client)
    planner.cut(limit=limit, records=_shard_records(context.target.requests_per_second))
    writer = context.lake.log.writer(context.run, "listing")
    for listing in listings:
        # Of a list-only endpoint the list is the content: what this run does not store must come again.
        stored = limit is None or context.source.endpoints[listing.endpoint].detail is not None
        if listing.endpoint not in held and stored:
            _write_listing(context, writer, listing, known.get(listing.endpoint), token)
            if isinstance(listing, Listed):
                _quarantine_pages(context, writer, listing)
                endpoints[listing.endpoint]["keyless"] = listing.without_key
    planner.write_listing_rows(writer, planned=True)
    files = writer.close()
    for name, count in counts.items():
        endpoints[name] |= {
            "listed": count.present,
            "found": count.new,
            "missing": count.lost,
            "revived": count.back,
            "gone": count.gone,
            "due": count.due,
            "held": name in held,
        }
    facts = _facts(context, token, unread, {name for name, found in endpoints.items() if found.get("never_read")})
    plan = Plan(
        run=context.run,
        source=context.source.name,
        mode=options.mode,
        config=fingerprint_of(context),
        base=context.base.news,
        created_at=context.started_at.isoformat(),
        shards=[Shard(number, *shard) for number, shard in enumerate(planner.shards())],
        files=files,
        held=held,
        endpoints=endpoints,
        facts=facts,
    )
    if not plan.shards and not files and not held and facts == context.facts:
        return NothingNew(endpoints)
    runs.save_plan(plan, planner)
    return plan


def _note(context: Context, listing: Listing, count: EndpointCount, endpoint: dict[str, Any]) -> None:
    match listing:
        case Kept(_, reason, remedy):
            note = "; ".join(filter(None, [f"old listing kept: {reason}", remedy and f"fix: {remedy}"]))
        case Listed() if listing.notes:
            note = "; ".join(listing.notes)
        case Absent(_, _, status) if count.lost:
            note = f"the list answers {status}"
        case Absent():
            endpoint["absent"] = True
            return
        case _:
            return
    endpoint["notes"].append(note)
    context.progress.warn(f"{listing.endpoint}: {note}")


def _hold(context: Context, planner: Planner, held: dict[str, dict[str, Any]], listed: dict[str, Listed]) -> None:
    """Write what the held listings would have taught, to be committed only if it is accepted."""
    for name, hold in held.items():
        context.progress.warn(f"{name}: held: {hold['reason']}")
        writer = context.lake.log.writer(context.run, "held")
        planner.cut(limit=0)
        planner.write_listing_rows(writer, [name], planned=False)
        if name in listed:
            listing = listed[name]
            context.lake.write_listing(writer, name, listing.state, size=listing.size, digest=listing.digest)
        hold["files"] = [asdict(file) for file in writer.close()]


def _quarantine_pages(context: Context, writer: LogWriter, listing: Listed) -> None:
    """Keep the pages whose items tell no key, whole."""
    for page in listing.keyless:
        place, name = f"{listing.endpoint}{LIST_PAGES}", str(page.page)
        answer = page.response
        context.lake.runs.quarantine(
            context.run,
            place,
            name,
            reason=page.reason,
            status=answer.status,
            headers=answer.headers,
            body=answer.body,
            at=answer.at,
        )
        context.lake.write_broken_page(writer, place, name, page.reason, answer.at)


def _write_listing(
    context: Context, writer: LogWriter, listing: Listing, known: ListingState | None, token: Seen | None
) -> None:
    """Remember a verified listing where it says anything that is not known. Of an absence, that it was asked for."""
    config = context.source.version_token
    settles = (
        token is not None
        and config is not None
        and context.started_at >= token.first_seen + config.max_age
        and not _verified(known, token, config, context.started_at)
    )
    match listing:
        case Listed(_, _, state, size, digest):
            same = (
                known is not None and state.etag is not None and (state.etag, state.state) == (known.etag, known.state)
            )
            if not same or settles or (known and state.source_version not in {None, known.source_version}):
                context.lake.write_listing(writer, listing.endpoint, state, size=size, digest=digest)
        case Unchanged(_, state):
            if settles or known is None or state.source_version not in {None, known.source_version}:
                context.lake.write_listing(writer, listing.endpoint, state, size=0, digest=b"")
        case Absent(_, state, _):
            asked = token is None or config is None or _verified(known, token, config, context.started_at)
            if known is None or known.state != "absent" or not asked:
                context.lake.write_listing(writer, listing.endpoint, state, size=0, digest=b"")
        case Kept():
            return


def _rules(
    context: Context, listed: Iterable[str], held: Collection[str] = (), confirmed: Collection[str] = ()
) -> list[EndpointRule]:
    source, chosen = context.source, set(context.target.endpoints)
    fresh, doubted = set(listed), set(held)
    for names in source.levels:  # what hangs on a held listing is as doubtful as that
        doubted |= {name for name in names if source.endpoints[name].parent in doubted}
    return [
        EndpointRule(
            endpoint=name,
            level=level,
            listed=name in fresh,
            detail=source.endpoints[name].detail is not None,
            freshness=source.endpoints[name].freshness,
            tombstone_after=source.endpoints[name].guards.tombstone_after,
            follow=source.endpoints[name].parent,
            held=name in doubted,
            confirmed=name in fresh or name in confirmed,
            since=since_of(context.reading, name),
        )
        for level, names in enumerate(source.levels)
        for name in names
        if name in chosen
    ]


def _planner_token(context: Context, token: Seen | None) -> Token | None:
    config = context.source.version_token
    if token is None or config is None:
        return None
    return Token(token.value, token.first_seen, config.max_age, config.audit)


def _shard_records(requests_per_second: float | None) -> int:
    """Small shards where requests are slow: a killed run loses its unfinished ones."""
    return (
        SHARD_RECORDS if requests_per_second is None else round(min(max(requests_per_second * 20, 100), SHARD_RECORDS))
    )


def _limit(options: CrawlOptions, client: Client) -> int | None:
    if options.max_requests is None:
        return None
    return max(0, options.max_requests - client.traffic.requests)


def _facts(context: Context, token: Seen | None, unread: dict[str, Any], never_read: Collection[str]) -> dict[str, Any]:
    """What the next run builds on. Endpoints that are not this run's keep what was known of them.

    A key policy by which nothing was ever read binds nobody.
    """
    before = context.facts
    own = [name for name in context.target.endpoints if name not in never_read]
    facts = before | {
        "base_url": context.source.base_url,
        "keys": before.get("keys", {}) | _of(key_hashes(context.source), own),
        "rules": before.get("rules", {}) | _of(rule_hashes(context.source), own),
        "reading": before.get("reading", {}) | _of(context.reading, own),
        "unread": unread,
        "parents": {name: config.parent for name, config in context.source.endpoints.items() if config.parent},
    }
    if token is not None:
        facts["token"] = {
            "value": token.value,
            "order": token.order,
            "first_seen": token.first_seen.isoformat(),
        }
    return facts


def _forgotten(facts: dict[str, Any]) -> list[str]:
    """The marks of the records that must not come back."""
    return [mark for marks in facts.get("forgotten", {}).values() for mark in marks]


def _of(hashes: Mapping[str, Any], endpoints: Collection[str]) -> dict[str, Any]:
    return {name: found for name, found in hashes.items() if name in endpoints}


def _hash(value: object) -> str:
    return hashlib.sha256(repr(value).encode()).hexdigest()[:12]
