"""The engine on an event loop of its own in a flow's process: uvloop's, as the command line has it.

Prefect has to keep asyncio's: it ends a run by raising out of a signal's handler, which uvloop swallows. With asyncio's
loop a request that answers 304 costs a third more CPU. So the engine has a thread, and only shards go to and fro.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Protocol, TypeVar

from trawl.crawl import Done, ShardRunner, ShardWork, new_event_loop, to_the_end
from trawl.lake import Outcome

__all__ = ["on_own_loop"]

_LOOK = 1.0  # seconds between two looks at whether the other loop still lives

_Result = TypeVar("_Result")
_Result_co = TypeVar("_Result_co", covariant=True)


class Engine(Protocol[_Result_co]):
    """`crawl` or `crawl_shards`, given all but where shards are fetched."""

    def __call__(self, *, shards: ShardRunner) -> Coroutine[Any, Any, _Result_co]: ...


async def on_own_loop(engine: Engine[_Result], shards: ShardRunner) -> _Result:
    """What the engine comes to, in a thread; `shards` stays on this loop. A cancellation is the engine's, too."""
    handed = _Handed(shards, asyncio.get_running_loop())
    thread = _Thread(lambda: engine(shards=handed))
    return await to_the_end(thread.run, stop=thread.stop)


class _Thread:
    """Work on a loop of its own, that another thread may cancel."""

    def __init__(self, work: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        self._work = work
        self._stopped = False
        self._cancel: Callable[[], object] | None = None

    def run(self) -> Any:
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            return runner.run(self._all())

    async def _all(self) -> Any:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        self._cancel = lambda: loop.call_soon_threadsafe(task.cancel)
        if self._stopped:  # before there was a task to cancel
            raise asyncio.CancelledError
        return await self._work()

    def stop(self) -> None:
        self._stopped = True
        if self._cancel is not None:
            with suppress(RuntimeError):  # the loop is closed: it is at its end
                self._cancel()


class _Handed:
    """A runner of shards for the engine's loop, by one of the flow's."""

    def __init__(self, shards: ShardRunner, flow: asyncio.AbstractEventLoop) -> None:
        self._shards, self._flow = shards, flow

    async def fetch(self, works: Sequence[ShardWork], done: Done) -> None:
        engine = asyncio.get_running_loop()

        def here(work: ShardWork) -> Callable[[int], Coroutine[Any, Any, Outcome]]:
            return lambda connections: _across(engine, _awaited(work, connections))

        async def finish(outcome: Outcome) -> None:
            done(outcome)

        def told(outcome: Outcome) -> None:
            asyncio.run_coroutine_threadsafe(finish(outcome), engine).result()

        handed = [replace(work, here=here(work)) for work in works]
        await _across(self._flow, self._shards.fetch(handed, told))


async def _awaited(work: ShardWork, connections: int) -> Outcome:
    return await work.here(connections)


async def _across(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, _Result]) -> _Result:
    """Await what runs on the loop of another thread. A cancellation goes over there, and waits for the end of the work.

    Raises RuntimeError where that loop is closed, as a flow's is by SystemExit: nobody would ever say that the work ended.
    """
    here = asyncio.get_running_loop()
    ended = here.create_future()
    tasks: list[asyncio.Task[_Result]] = []

    def end(_: object) -> None:
        with suppress(RuntimeError):  # closed: nobody waits
            here.call_soon_threadsafe(ended.set_result, None)

    def begin() -> None:
        tasks.append(loop.create_task(work))
        tasks[0].add_done_callback(end)

    loop.call_soon_threadsafe(begin)
    cancelled = False
    while not ended.done():
        if loop.is_closed():
            raise RuntimeError("the other event loop is closed")
        try:
            await asyncio.wait([ended], timeout=_LOOK)
        except asyncio.CancelledError:
            cancelled = True
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(lambda: [task.cancel() for task in tasks])
    if cancelled:
        tasks[0].cancelled() or tasks[0].exception()  # seen: the cancellation is what goes on
        raise asyncio.CancelledError
    return tasks[0].result()
