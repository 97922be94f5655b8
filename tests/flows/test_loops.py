"""The engine on a loop of its own: shards go to the flow's loop and back, and so do errors and cancellations."""

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

import pytest

from trawl.crawl import Done, ShardRunner, ShardWork
from trawl.crawl.shards import Here
from trawl.lake import Outcome, Shard
from trawl.model.errors import GuardTripped
from trawl.orchestration.loops import on_own_loop

Events = list[tuple[str, asyncio.AbstractEventLoop]]


def outcome(number: int) -> Outcome:
    return Outcome(number, [], {}, 0, {}, {}, {})


def works(number: int, events: Events, wait: asyncio.Event | None = None) -> list[ShardWork]:
    async def here(shard: int, connections: int) -> Outcome:
        events.append((f"shard {shard} by {connections}", asyncio.get_running_loop()))
        if wait is not None:
            await asyncio.sleep(60)
        return outcome(shard)

    return [
        ShardWork("run", Shard(n, 0, 1, 1), 7, lambda connections, n=n: here(n, connections))  # type: ignore[misc]
        for n in range(number)
    ]


class Watched(Here):
    """Notes on which loop it is asked."""

    def __init__(self, events: Events) -> None:
        super().__init__()
        self._events = events

    async def fetch(self, works: Sequence[ShardWork], done: Done) -> None:
        self._events.append(("fetch", asyncio.get_running_loop()))
        await super().fetch(works, done)


async def test_shards_are_of_the_flows_loop_and_their_requests_of_the_engines() -> None:
    events: Events = []
    found: list[Outcome] = []

    async def engine(*, shards: ShardRunner) -> str:
        events.append(("engine", asyncio.get_running_loop()))

        def done(outcome: Outcome) -> None:
            events.append(("done", asyncio.get_running_loop()))
            found.append(outcome)

        await shards.fetch(works(3, events), done)
        return threading.current_thread().name

    assert await on_own_loop(engine, Watched(events)) != threading.current_thread().name
    engines = dict(events)["engine"]
    assert engines is not asyncio.get_running_loop()
    assert sorted(outcome.shard for outcome in found) == [0, 1, 2]
    for name, loop in events:
        assert loop is (asyncio.get_running_loop() if name == "fetch" else engines), name


async def test_an_error_of_the_engine_or_of_an_outcome_is_the_flows() -> None:
    async def engine(*, shards: ShardRunner) -> None:
        def done(_: Outcome) -> None:
            raise GuardTripped("too much failed")

        await shards.fetch(works(1, []), done)

    with pytest.raises(GuardTripped, match="too much failed"):
        await on_own_loop(engine, Here())


async def test_a_cancelled_flow_cancels_its_engine_and_waits_until_that_has_cleaned_up() -> None:
    events: Events = []
    cleaned: list[str] = []

    async def engine(*, shards: ShardRunner) -> None:
        try:
            await shards.fetch(works(2, events, asyncio.Event()), lambda _: None)
        finally:
            await asyncio.sleep(0.2)
            cleaned.append("engine")

    flow = asyncio.ensure_future(on_own_loop(engine, Here()))
    while len(events) < 2:
        assert not flow.done()
        await asyncio.sleep(0.01)
    flow.cancel()
    with pytest.raises(asyncio.CancelledError):
        await flow
    assert cleaned == ["engine"]


async def test_what_an_engine_has_committed_counts_more_than_a_cancellation() -> None:
    begun = threading.Event()

    async def engine(*, shards: ShardRunner) -> str:
        begun.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            return "committed"
        return "slept"

    flow: asyncio.Future[Any] = asyncio.ensure_future(on_own_loop(engine, Here()))
    await asyncio.to_thread(begun.wait)
    flow.cancel()
    assert await flow == "committed"
