"""The crawl, from the lease to the commit."""

import asyncio
import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

from trawl.lake import Lake, Outcome, Snapshot
from trawl.lake.runs.lease import Lease
from trawl.model.config import SourceConfig
from trawl.model.errors import LeaseHeld
from trawl.sources import SourceCrawler, as_crawler
from trawl.transport import Client, Clock, CoolDown, utc_now
from trawl.transport.auth import SecretLoader
from trawl.transport.client import KEYLESS

from . import holds, planning
from .ending import commit, ended, record_failure
from .hosts import SharedHost
from .options import CrawlOptions, resolve
from .planning import Context, NothingNew, Preview, adopt, check_keys, check_plan, make_plan
from .progress import Progress, Quiet, some_of
from .reading import read_since, reading_of
from .report import Report
from .shards import Fetching, Here, ShardRunner, fetch_all
from .tasks import in_thread, to_the_end
from .upkeep.rules import follow_rules
from .upkeep.upkeep import Upkeep, run_id


async def crawl(
    source: SourceConfig | SourceCrawler,
    lake: Lake,
    options: CrawlOptions | None = None,
    *,
    progress: Progress | None = None,
    clock: Clock = utc_now,
    load_block: SecretLoader | None = None,
    shards: ShardRunner | None = None,
) -> Report:
    """Crawl a source (a configuration, or a crawler of its own) into a lake, once: one run, at most one commit.

    `shards` decides where due records are fetched: by default in this process.

    Raises:
        ConfigurationError: an error that can be found before the first request, or the host is unreachable.
        LeaseHeld: another run is writing this source.
        GuardTripped: too much failed or was set aside; nothing was committed, finished shards are kept.
        LakeError: the lake cannot be read or written; it is unchanged.
    """
    with lake.faults():
        return await _crawl(
            source, lake, options, progress=progress, clock=clock, load_block=load_block, shards=shards or Here()
        )


async def _crawl(
    source: SourceConfig | SourceCrawler,
    lake: Lake,
    options: CrawlOptions | None,
    *,
    progress: Progress | None,
    clock: Clock,
    load_block: SecretLoader | None,
    shards: ShardRunner,
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
        return await _run(context, lake, lease, load_block, shards)
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
    if found is not None and found.same_as(context.snapshot):
        return context
    facts, newest = await in_thread(context.lake.last_run, found)
    check_keys(context.source, facts)
    rules = reading_of(context.source, context.target.base_url)
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


async def _run(
    context: Context, lake: Lake, lease: Lease, load_block: SecretLoader | None, shards: ShardRunner
) -> Report:
    plan = await in_thread(adopt, context)
    if plan is not None:
        context = replace(context, run=plan.run)
        context.progress.say(f"continuing run {plan.run} of {plan.created_at}")
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
                        return ended(context, client, "no change", said=made.endpoints)
                    plan = made
                with _few_collections():
                    outcomes = await fetch_all(context, client, plan, shards)
        except BaseException as error:
            record_failure(context, client, error)
            raise
    return await to_the_end(commit, context, client, plan, outcomes, lease)


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


async def crawl_shards(
    source: SourceConfig | SourceCrawler,
    lake: Lake,
    options: CrawlOptions,
    run: str,
    numbers: Sequence[int],
    *,
    parts: int,
    shards: ShardRunner | None = None,
    progress: Progress | None = None,
    clock: Clock = utc_now,
    load_block: SecretLoader | None = None,
) -> list[Outcome]:
    """Fetch some shards of a run, one after the other, that another process has planned and will commit.

    The run's share of the host's rate is divided over `parts` processes.

    Raises:
        ConfigurationError: there is no such plan (any more), or it was made with another configuration.
        GuardTripped: too much failed or was set aside; the shard is not finished.
    """
    with lake.faults():
        context = replace(await _open(source, lake, options, progress, clock), run=run)
        plan = await in_thread(check_plan, context, run, numbers)
        host = SharedHost(context, lake, parts=parts)
        async with _client(context, host.cool_down, load_block) as client, host.joined(client):
            work = await Fetching.of(context, client, plan, alone=True)
            chosen = [plan.shards[number] for number in numbers]
            with _few_collections():
                await work.through(chosen, shards or Here(at_once=1))
            return [work.done[number] for number in numbers]
