"""Where the shards of a plan are fetched: here, or wherever a caller of the engine wants them to be."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
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
        here: fetches it in this process, with at most so many concurrent requests, and stores its outcome.
    """

    run: str
    shard: Shard
    connections: int
    here: Callable[[int], Awaitable[Outcome]]


Done = Callable[[Outcome], None]


class ShardRunner(Protocol):
    """Has shards fetched."""

    async def fetch(self, works: Sequence[ShardWork], done: Done) -> None:
        """Have all of these fetched, in any order; tell `done` of each outcome, which is stored in the lake by then.

        What this or `done` raises ends the run; its plan and the finished shards stay for the next one.
        """


class Here:
    """In this process, some at a time."""

    def __init__(self, at_once: int = AT_ONCE) -> None:
        self._at_once = at_once

    async def fetch(self, works: Sequence[ShardWork], done: Done) -> None:
        async def each(work: ShardWork) -> None:
            done(await work.here(work.connections))

        await side_by_side(works, each, self._at_once)


async def side_by_side(works: Sequence[ShardWork], each: Callable[[ShardWork], Awaitable[None]], at_once: int) -> None:
    """Do something with each shard, so many at a time."""
    todo = iter(works)

    async def through() -> None:
        for work in todo:
            await each(work)

    async with task_group() as group:
        for _ in range(at_once):
            group.create_task(through())


class Fetching:
    """A plan while its shards are fetched: what is done, and what came to nothing."""

    def __init__(
        self,
        context: Context,
        client: Client,
        plan: Plan,
        done: dict[int, Outcome],
        losses: Losses,
        *,
        alone: bool,
    ) -> None:
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
            alone=alone,
        )

    @classmethod
    async def of(cls, context: Context, client: Client, plan: Plan, *, alone: bool = False) -> "Fetching":
        """`alone`: in a process that fetches some shards, one after the other, and does not commit."""
        done = await in_thread(context.lake.runs.outcomes, plan.run)
        due = {name: counts.get("due", 0) for name, counts in plan.endpoints.items()}
        losses = Losses(context.source, due, await in_thread(context.lake.runs.losses))
        for outcome in done.values():
            losses.take(outcome)
        return cls(context, client, plan, done, losses, alone=alone)

    async def here(self, shard: Shard, connections: int) -> Outcome:
        """Fetch a shard in this process, with at most so many concurrent requests."""
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

    async def through(self, chosen: Sequence[Shard], shards: ShardRunner) -> None:
        """Have what is left of these shards fetched, parents before their children."""
        self.context.progress.begin(sum(shard.records for shard in chosen if shard.number not in self.done))
        for level in sorted({shard.level for shard in chosen}):
            todo = [shard for shard in chosen if shard.level == level and shard.number not in self.done]
            if not todo:
                continue
            connections = self._fetcher.client.connections
            works = [ShardWork(self.plan.run, shard, connections, partial(self.here, shard)) for shard in todo]
            await shards.fetch(works, self.finish)
            if left := [shard.number for shard in todo if shard.number not in self.done]:
                raise LakeError(f"run {self.plan.run}: there is no outcome of the shards {left}")


async def fetch_all(context: Context, client: Client, plan: Plan, shards: ShardRunner) -> list[Outcome]:
    """Fetch what is left of the plan."""
    work = await Fetching.of(context, client, plan)
    if work.done:
        context.progress.say(f"{len(work.done)} of {len(plan.shards)} shards are finished already")
    await work.through(plan.shards, shards)
    return [work.done[number] for number in sorted(work.done)]
