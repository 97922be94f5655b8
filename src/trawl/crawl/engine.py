"""The crawl, from the lease to the commit."""

import asyncio
import gc
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from functools import partial
from typing import Any

from trawl.lake import Lake, ListingState, Outcome, Plan, Snapshot
from trawl.lake.runs.lease import Lease
from trawl.model.config import SourceConfig
from trawl.model.errors import GuardTripped, LakeError, LeaseHeld, StaleCommit, TrawlError
from trawl.model.records import Result, Settled
from trawl.sources import SourceCrawler, as_crawler
from trawl.transport import Client, Clock, CoolDown, utc_now
from trawl.transport.auth import SecretLoader
from trawl.transport.client import KEYLESS

from . import holds, planning
from .doubts import Doubts
from .fetch import Fetcher, traffic_of
from .hosts import SharedHost
from .losses import Losses
from .options import CrawlOptions, resolve
from .planning import Context, NothingNew, Preview, adopt, check_keys, make_plan
from .progress import Progress, Quiet, some_of
from .reading import read_since, reading_of
from .report import EndpointReport, Report
from .tasks import in_thread, task_group, to_the_end
from .upkeep.rules import follow_rules
from .upkeep.upkeep import Upkeep, run_id

_SHARDS_AT_ONCE = 2  # so that the tail of one shard does not leave the connections idle


async def crawl(
    source: SourceConfig | SourceCrawler,
    lake: Lake,
    options: CrawlOptions | None = None,
    *,
    progress: Progress | None = None,
    clock: Clock = utc_now,
    load_block: SecretLoader | None = None,
) -> Report:
    """Crawl a source (a configuration, or a crawler of its own) into a lake, once: one run, at most one commit.

    Raises:
        ConfigurationError: something is wrong that can be known before the first request, or the host is unreachable.
        LeaseHeld: another run is writing this source.
        GuardTripped: too much failed or was set aside; nothing was committed, finished shards are kept.
        LakeError: the lake cannot be read or written; it is as it was.
    """
    with lake.faults():
        return await _crawl(source, lake, options, progress=progress, clock=clock, load_block=load_block)


async def _crawl(
    source: SourceConfig | SourceCrawler,
    lake: Lake,
    options: CrawlOptions | None,
    *,
    progress: Progress | None,
    clock: Clock,
    load_block: SecretLoader | None,
) -> Report:
    context = await _open(source, lake, options, progress, clock)
    lake.store.make()
    lease = context.lake.lease(context.run, clock)
    try:
        await _take(lease, context.options, context.progress, clock)
        context = await _read(context, context.lake.log.make)
        if decided := await to_the_end(holds.decide, context, lease):
            return decided
        work = Upkeep(context.run, context.started_at, context.lake, context.base, context.facts, lease, clock)
        work = await in_thread(follow_rules, work, context.source, context.target.endpoints, context.progress.say)
        context = replace(context, snapshot=work.snapshot, facts=work.facts)
        return await _run(context, lake, lease, load_block)
    finally:
        await in_thread(lease.release)


async def preview(
    source: SourceConfig | SourceCrawler,
    lake: Lake,
    options: CrawlOptions | None = None,
    *,
    progress: Progress | None = None,
    clock: Clock = utc_now,
    load_block: SecretLoader | None = None,
) -> Preview:
    """Say what a refresh would do. Asks the token and the lists, takes no lease, writes nothing."""
    context = await _open(source, lake, options, progress, clock)
    host = SharedHost(context, lake)
    await host.learn()
    async with _client(context, host.cool_down, load_block) as client:
        if client.keyless:
            context.progress.say(KEYLESS)
        return await planning.preview(context, client)


async def _open(
    source: SourceConfig | SourceCrawler,
    lake: Lake,
    options: CrawlOptions | None,
    progress: Progress | None,
    clock: Clock,
) -> Context:
    """How every run and preview begins: what can be wrong without a request is found here, and nothing is written."""
    options, crawler, started = options or CrawlOptions(), as_crawler(source), clock()
    part = lake.source(crawler.source_name)
    context = Context(
        run=run_id(started),
        started_at=started,
        crawler=crawler,
        target=resolve(crawler.config_block, options),
        options=options,
        lake=part,
        snapshot=None,
        facts={},
        clock=clock,
        progress=progress or Quiet(),
    )
    return await _read(context, part.log.snapshot)  # a newer format is refused before anything is written


async def _read(context: Context, snapshot: Callable[[], Snapshot | None]) -> Context:
    """The context with the log as it is now."""
    found = await in_thread(snapshot)
    facts = await in_thread(context.lake.facts, found)
    check_keys(context.source, facts)
    rules = reading_of(context.source, context.target.base_url)
    newest = await in_thread(context.lake.newest, found)
    return replace(context, snapshot=found, facts=facts, reading=read_since(facts, rules, context.started_at, newest))


async def _take(lease: Lease, options: CrawlOptions, progress: Progress, clock: Clock) -> None:
    """Take the lease; wait for another writer only where that was asked for."""
    until = None if options.wait is None else clock() + options.wait
    while True:
        try:
            await in_thread(lease.take)
        except LeaseHeld as error:
            if until is None or clock() >= until:
                raise
            progress.say(f"waiting: {error.message}")
            await asyncio.sleep(2)
        else:
            return


async def _run(context: Context, lake: Lake, lease: Lease, load_block: SecretLoader | None) -> Report:
    plan = await in_thread(adopt, context)
    if plan is not None:
        context = replace(context, run=plan.run)
        context.progress.say(f"going on with run {plan.run} of {plan.created_at}")
    host = SharedHost(context, lake)
    async with _client(context, host.cool_down, load_block) as client:
        if client.keyless:
            context.progress.say(KEYLESS)
        if bare := [name for name in context.source.uncontracted if name in context.target.endpoints]:
            context.progress.say(f"no contract for {some_of(bare)} (`trawl check` says what to write)")
        try:
            async with host.joined(client):
                if plan is None:
                    made = await make_plan(context, client)
                    if isinstance(made, NothingNew):
                        return _ended(context, client, "no change", said=made.endpoints)
                    plan = made
                with _few_collections():
                    outcomes = await _fetch(context, client, plan)
        except BaseException as error:
            _record_failure(context, client, error)
            raise
    return await to_the_end(_commit, context, client, plan, outcomes, lease)


def _client(context: Context, cool_down: CoolDown, load_block: SecretLoader | None) -> Client:
    return Client(
        source=context.source,
        base_url=context.target.base_url,
        clock=context.clock,
        cool_down=cool_down,
        requests_per_second=context.target.requests_per_second,
        connections=context.target.connections,
        budget=context.options.max_requests,
        api_key=partial(context.crawler.get_api_key, load_block),
    )


@contextmanager
def _few_collections() -> Iterator[None]:
    """Documents are trees: they go when nobody holds them, and looking for circles in them costs a third of parsing."""
    before = gc.get_threshold()
    gc.set_threshold(50_000, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


async def _fetch(context: Context, client: Client, plan: Plan) -> list[Outcome]:
    """Fetch what is left of the plan, parents before their children."""
    done = await asyncio.to_thread(context.lake.runs.outcomes, plan.run)
    due = {name: counts.get("due", 0) for name, counts in plan.endpoints.items()}
    losses = Losses(context.source, due, await asyncio.to_thread(context.lake.runs.losses))
    for outcome in done.values():
        losses.take(outcome)
    if done:
        context.progress.say(f"{len(done)} of {len(plan.shards)} shards are finished already")

    def on_result(settled: Settled) -> None:
        context.progress.advance(settled.result)
        losses.add(settled)

    def told(child: str, keys: list[str], unknown: list[str]) -> dict[str, str]:
        config = context.source.endpoints[child]
        assert config.parent is not None
        assert config.detail is not None
        found = context.lake.told_paths(context.base, config.parent, config.detail.path, unknown) if unknown else {}
        for outcome in list(done.values()):
            paths = outcome.told.get(child, {})
            found |= {key: paths[key] for key in keys if key in paths}
        return found

    fetcher = Fetcher(
        run=plan.run,
        crawler=context.crawler,
        source=context.source,
        lake=context.lake,
        client=client,
        clock=context.clock,
        token=plan.facts.get("token", {}).get("value"),
        conditional=not context.options.no_cache,
        believe_older=context.options.allow_rollback,
        doubts=Doubts(context.lake, context.base, context.source, partial(context.lake.runs.planned_keys, plan.run)),
        told=told,
        on_result=on_result,
    )
    context.progress.begin(sum(shard.records for shard in plan.shards if shard.number not in done))
    for level in sorted({shard.level for shard in plan.shards}):
        todo = iter([shard for shard in plan.shards if shard.level == level and shard.number not in done])

        async def work(todo=todo) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
            for shard in todo:
                done[shard.number] = await fetcher.fetch(shard.number)

        try:
            async with task_group() as group:
                for _ in range(_SHARDS_AT_ONCE):
                    group.create_task(work())
        except GuardTripped:
            with suppress(LakeError):
                await in_thread(context.lake.runs.note_losses, losses.noted())
            raise
    return [done[number] for number in sorted(done)]


def _commit(context: Context, client: Client, plan: Plan, outcomes: list[Outcome], lease: Lease) -> Report:
    """Line 7: the manifest, then everything at once."""
    results: dict[str, Counter[str]] = defaultdict(Counter)
    for outcome in outcomes:
        for endpoint, counts in outcome.results.items():
            results[endpoint].update(counts)
    held = dict(plan.held)
    endpoints: dict[str, EndpointReport] = {}
    for name, counts in plan.endpoints.items():
        endpoints[name] = _endpoint_report(context, name, counts, results[name], held)
    for names in context.source.levels:  # a child's news are no better than its parent's
        for name in names:
            parent = context.source.endpoints[name].parent
            if name in endpoints and parent in held and parent not in plan.held and name not in held:
                held[name] = {"reason": f"its parent {parent} is held"}
                endpoints[name].held = True
    files = [file for outcome in outcomes for file in outcome.files]
    for name, hold in held.items():
        hold.setdefault("files", [asdict(file) for file in files if file.endpoint == name])
    changed_held = {name for name in held if name not in plan.held}
    files = [*plan.files, *(file for file in files if file.endpoint not in changed_held)]
    report = _report(context, client, "held" if held else "done", endpoints, plan)
    if report.unread:
        report.status = "failed" if any(counts.never_read for counts in endpoints.values()) else "degraded"
    left = (
        sum(outcome.unfetched for outcome in outcomes)
        + sum(max(0, counts.get("due", 0)) for counts in plan.endpoints.values() if plan.mode == "refresh")
        - sum(shard.records for shard in plan.shards)
    )
    if plan.mode == "refresh" and left > 0:
        report.note = _both(f"the request budget is spent: {left} records stay due", report.note)
    writer = context.lake.log.writer(plan.run, "run")
    context.lake.write_run(writer, plan.run, context.clock(), plan.facts)
    for name in changed_held:  # the new keys of its list are held, too: it must come whole again
        if context.source.endpoints[name].list is not None:
            forgotten = ListingState("present", None, None, None, None, context.clock())
            context.lake.write_listing(writer, name, forgotten, size=0, digest=b"")
    files += writer.close()
    lease.check()
    context.lake.runs.save_manifest(report.to_dict() | {"committed": True, "holds": held})
    try:
        context.lake.log.commit(context.base, plan.run, files)
    except StaleCommit as error:
        _record_failure(context, client, error)
        raise
    with suppress(LakeError):  # the run is committed: the next one finds that, and drops the plan
        context.lake.runs.drop_losses()
        context.lake.runs.drop_plan(plan.run)
    return report


def _endpoint_report(
    context: Context,
    name: str,
    counts: Mapping[str, Any],
    results: Counter[str],
    held: dict[str, dict[str, Any]],
) -> EndpointReport:
    report = EndpointReport(
        listed=counts.get("listed", 0),
        new=counts.get("found", 0) if context.options.mode == "discover" else results[Result.NEW],
        changed=results[Result.CHANGED],
        reordered=results[Result.REORDERED],
        unchanged=results[Result.UNCHANGED],
        missing=counts.get("missing", 0),
        gone=counts.get("gone", 0) + results[Result.GONE],
        revived=counts.get("revived", 0),
        quarantined=results[Result.QUARANTINED] + results[Result.FORBIDDEN] + counts.get("keyless", 0),
        failed=results[Result.FAILED] + results[Result.REGRESSED],
        held=name in held,
        due=counts.get("due", 0),
        absent=bool(counts.get("absent")),
        unread=counts.get("unread", 0),
        never_read=bool(counts.get("never_read")),
        notes=list(counts.get("notes", [])),
    )
    guards = context.source.endpoints[name].guards
    if guards.changed.exceeded(report.changed, max(report.listed, report.changed)):
        reason = _alarm(context, name, report, "change", f"{report.changed} of {report.listed} records changed")
        if guards.changed.action == "hold" and name not in context.options.accept:
            held[name] = {"reason": reason}
            report.held = True
    if guards.quarantined.exceeded(report.quarantined, max(report.listed, report.quarantined)):
        _alarm(context, name, report, "quarantine", f"{report.quarantined} of {report.listed} records were set aside")
    return report


def _alarm(context: Context, name: str, report: EndpointReport, what: str, reason: str) -> str:
    report.notes.append(f"mass {what}: {reason}")
    context.progress.warn(f"{name}: mass {what}: {reason}")
    return reason


def _report(
    context: Context,
    client: Client,
    status: str,
    endpoints: dict[str, EndpointReport],
    plan: Plan | None = None,
) -> Report:
    traffic = traffic_of(client)
    return Report(
        run_id=context.run,
        source=context.source.name,
        mode=context.options.mode,
        status=status,
        started_at=context.started_at,
        finished_at=context.clock(),
        endpoints=endpoints,
        source_version=(plan.facts if plan else context.facts).get("token", {}).get("value"),
        note=KEYLESS if client.keyless else None,
        **traffic,
    )


def _both(note: str | None, other: str | None) -> str | None:
    return "; ".join(text for text in (note, other) if text) or None


def _ended(
    context: Context,
    client: Client,
    status: str,
    note: str | None = None,
    said: Mapping[str, Mapping[str, Any]] | None = None,
) -> Report:
    """A run that ends without a commit leaves only its manifest."""
    found = {name: (said or {}).get(name, {}) for name in context.target.endpoints}
    endpoints = {
        name: EndpointReport(absent=bool(facts.get("absent")), notes=list(facts.get("notes", [])))
        for name, facts in found.items()
    }
    report = _report(context, client, status, endpoints)
    report.note = _both(note, report.note)
    context.lake.runs.save_manifest(report.to_dict() | {"committed": False, "holds": {}})
    return report


def _record_failure(context: Context, client: Client, error: BaseException) -> None:
    """Leave a trace of a run that failed, if the lake can still take one."""
    status, note = "failed", str(error) or type(error).__name__
    if isinstance(error, GuardTripped):
        status = "aborted"
    elif not isinstance(error, Exception):
        status, note = "interrupted", "the next run with the same options goes on with what is finished"
    try:
        _ended(context, client, status, note)
    except TrawlError:
        context.progress.warn("the lake cannot even take the note that this run failed")
