"""Where the shards of a plan are fetched: here, or wherever a caller of the engine wants them to be."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from trawl.lake import Outcome, Plan, Shard
from trawl.model.errors import GuardTripped, LakeError
from trawl.model.records import Result, Settled
from trawl.transport import Client

from .doubts import Doubts
from .fetch import Fetcher
from .losses import Losses
from .planning import Context
from .tasks import in_thread, task_group

AT_ONCE = 2  # so that the tail of one shard does not leave the connections idle


@dataclass(frozen=True, slots=True)
class ShardWork:
    """One shard that is to be fetched.

    Attributes:
        run: the run whose plan holds it.
        connections: how many requests this process may have in flight.
        here: fetches it in this process, with at most so many requests in flight, and stores its outcome.
    """

    run: str
    shard: Shard
    connections: int
    here: Callable[[int], Awaitable[Outcome]]


class ShardRunner(Protocol):
    """Has shards fetched, at most `at_once` of them side by side.

    `fetch` returns a shard's outcome, which is stored in the lake by then. What it raises ends the run; the plan and the
    finished shards stay for the next one.
    """

    @property
    def at_once(self) -> int: ...

    async def fetch(self, work: ShardWork) -> Outcome: ...


class Here:
    """In this process."""

    at_once = AT_ONCE

    async def fetch(self, work: ShardWork) -> Outcome:
        return await work.here(work.connections)


class Fetching:
    """A plan while its shards are fetched: what is done, and what came to nothing."""

    def __init__(self, context: Context, client: Client, plan: Plan, done: dict[int, Outcome], losses: Losses) -> None:
        self.context, self.plan, self.done, self.losses = context, plan, done, losses
        self._counted = set(done)
        self._fetcher = Fetcher(
            run=plan.run,
            crawler=context.crawler,
            source=context.source,
            lake=context.lake,
            client=client,
            clock=context.clock,
            token=plan.facts.get("token", {}).get("value"),
            conditional=not context.options.no_cache,
            believe_older=context.options.allow_rollback,
            doubts=Doubts(
                context.lake, context.base, context.source, partial(context.lake.runs.planned_keys, plan.run)
            ),
            told=self._told,
            on_result=self._on_result,
        )

    @classmethod
    async def of(cls, context: Context, client: Client, plan: Plan, done: dict[int, Outcome]) -> "Fetching":
        due = {name: counts.get("due", 0) for name, counts in plan.endpoints.items()}
        losses = Losses(context.source, due, await in_thread(context.lake.runs.losses))
        for outcome in done.values():
            losses.take(outcome)
        return cls(context, client, plan, done, losses)

    async def here(self, shard: Shard, connections: int) -> Outcome:
        """Fetch a shard in this process, with at most so many requests in flight."""
        self._counted.add(shard.number)
        with self._noted():
            return await self._fetcher.fetch(shard.number, connections)

    def finish(self, outcome: Outcome) -> None:
        """Take a shard's outcome. Raises GuardTripped where too much of another process' shard came to nothing."""
        self.done[outcome.shard] = outcome
        if outcome.shard in self._counted:
            return
        for counts in outcome.results.values():
            for result, number in counts.items():
                for _ in range(number):
                    self.context.progress.advance(Result(result))
        with self._noted():
            self.losses.take(outcome)
            self.losses.check()

    @contextmanager
    def _noted(self) -> Iterator[None]:
        try:
            yield
        except GuardTripped:
            with suppress(LakeError):
                self.context.lake.runs.note_losses(self.losses.noted())
            raise

    def _on_result(self, settled: Settled) -> None:
        self.context.progress.advance(settled.result)
        self.losses.add(settled)

    def _told(self, child: str, keys: list[str], unknown: list[str]) -> dict[str, str]:
        config = self.context.source.endpoints[child]
        assert config.parent is not None
        assert config.detail is not None
        found: dict[str, str] = {}
        if unknown:
            found = self.context.lake.told_paths(self.context.base, config.parent, config.detail.path, unknown)
        for outcome in list(self.done.values()):
            paths = outcome.told.get(child, {})
            found |= {key: paths[key] for key in keys if key in paths}
        return found


async def fetch_all(context: Context, client: Client, plan: Plan, shards: ShardRunner) -> list[Outcome]:
    """Fetch what is left of the plan, parents before their children."""
    work = await Fetching.of(context, client, plan, await in_thread(context.lake.runs.outcomes, plan.run))
    done = work.done
    if done:
        context.progress.say(f"{len(done)} of {len(plan.shards)} shards are finished already")
    context.progress.begin(sum(shard.records for shard in plan.shards if shard.number not in done))
    for level in sorted({shard.level for shard in plan.shards}):
        todo = iter([shard for shard in plan.shards if shard.level == level and shard.number not in done])

        async def through(todo: Iterator[Shard] = todo) -> None:
            for shard in todo:
                here = partial(work.here, shard)
                work.finish(await shards.fetch(ShardWork(plan.run, shard, client.connections, here)))

        async with task_group() as group:
            for _ in range(shards.at_once):
                group.create_task(through())
    return [done[number] for number in sorted(done)]
