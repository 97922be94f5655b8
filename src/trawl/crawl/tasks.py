"""Tasks that end together, with one error for all of them, and threads that are not left behind."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

from trawl.model.errors import TrawlError


@asynccontextmanager
async def task_group() -> AsyncIterator[asyncio.TaskGroup]:
    """A TaskGroup that raises one error instead of a group: ours before others, never a mere cancellation."""
    try:
        async with asyncio.TaskGroup() as group:
            yield group
    except BaseExceptionGroup as errors:
        raise _first(errors) from None


_Result = TypeVar("_Result")


async def in_thread(function: Callable[..., _Result], *args: Any, stop: Callable[[], object] | None = None) -> _Result:
    """Like `asyncio.to_thread`, but a cancellation waits for the thread: what it does must not come later.

    `stop` is called then, to make it end sooner.
    """
    thread = asyncio.ensure_future(asyncio.to_thread(function, *args))
    try:
        return await asyncio.shield(thread)
    except asyncio.CancelledError:
        if stop is not None:
            stop()
        await _rest(thread)
        thread.exception()  # seen: the cancellation is what goes on
        raise


async def to_the_end(function: Callable[..., _Result], *args: Any) -> _Result:
    """Like `asyncio.to_thread`, but what it came to counts more than a cancellation, unless that is nothing (None)."""
    thread = asyncio.ensure_future(asyncio.to_thread(function, *args))
    try:
        return await asyncio.shield(thread)
    except asyncio.CancelledError:
        await _rest(thread)
        if (result := thread.result()) is None:
            raise
        return result


async def _rest(thread: asyncio.Future[Any]) -> None:
    """Wait for a thread, whoever cancels once more (time limits do that again and again)."""
    while not thread.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait([thread])


def _first(errors: BaseExceptionGroup) -> BaseException:
    leaves: list[BaseException] = []
    stack: list[BaseException] = [errors]
    while stack:
        error = stack.pop()
        if isinstance(error, BaseExceptionGroup):
            stack.extend(error.exceptions)
        else:
            leaves.append(error)
    return next((error for error in leaves if isinstance(error, TrawlError)), leaves[0])
