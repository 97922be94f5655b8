"""What a thread does is never left behind, however often its task is cancelled."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from trawl.crawl.tasks import in_thread, to_the_end


async def cancelled_thrice(waiting: Callable[..., Any], result: str | None) -> tuple[asyncio.Task[Any], bool]:
    """The task after three cancellations, and whether it ended before its thread did."""
    begun, go_on = threading.Event(), threading.Event()

    def work() -> str | None:
        begun.set()
        go_on.wait(5)
        return result

    task = asyncio.ensure_future(waiting(work))
    await asyncio.to_thread(begun.wait, 5)
    for _ in range(3):
        task.cancel()
        await asyncio.sleep(0)
    left = task.done()
    go_on.set()
    await asyncio.wait([task])
    return task, left


async def test_a_cancellation_waits_for_the_thread() -> None:
    task, left = await cancelled_thrice(in_thread, "done")
    assert not left
    assert task.cancelled()


async def test_what_a_thread_came_to_counts_more_than_a_cancellation() -> None:
    task, left = await cancelled_thrice(to_the_end, "done")
    assert not left
    assert task.result() == "done"


async def test_where_it_came_to_nothing_the_cancellation_goes_on() -> None:
    task, left = await cancelled_thrice(to_the_end, None)
    assert not left
    assert task.cancelled()


async def test_an_error_of_the_thread_is_raised() -> None:
    def work() -> None:
        raise ValueError("no")

    for waiting in (in_thread, to_the_end):
        with pytest.raises(ValueError, match="no"):
            await waiting(work)
