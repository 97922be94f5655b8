"""Tasks that end together, with one error for all of them; threads that are not left behind; and the loop of both."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from contextvars import copy_context
from functools import partial
from typing import Any, TypeVar

from trawl.model.errors import TrawlError

try:
    from uvloop import new_event_loop
except ImportError:  # there is none for Windows
    from asyncio import new_event_loop  # type: ignore[assignment]

__all__ = ["in_thread", "new_event_loop", "task_group", "to_the_end"]


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
    thread = _begun(function, *args)
    try:
        return await asyncio.shield(thread)
    except asyncio.CancelledError:
        if stop is not None:
            stop()
        await _rest(thread)
        thread.exception()  # seen: the cancellation is what goes on
        raise


async def to_the_end(function: Callable[..., _Result], *args: Any, stop: Callable[[], object] | None = None) -> _Result:
    """Like `in_thread`, but what it came to counts more than a cancellation, unless that is nothing (None)."""
    thread = _begun(function, *args)
    try:
        return await asyncio.shield(thread)
    except asyncio.CancelledError:
        if stop is not None:
            stop()
        await _rest(thread)
        if (result := thread.result()) is None:
            raise
        return result


def _begun(function: Callable[..., _Result], *args: Any) -> asyncio.Future[_Result]:
    """A thread as a future, not a task: who cancels all tasks of a loop would cancel the waiting for it."""
    return asyncio.get_running_loop().run_in_executor(None, partial(copy_context().run, function, *args))


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
