"""Tasks that end together, with one error for all of them, and threads that are not left behind."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
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
        await asyncio.wait([thread])
        thread.exception()  # seen: the cancellation is what goes on
        raise


async def to_the_end(function: Callable[..., _Result], *args: Any) -> _Result:
    """Like `asyncio.to_thread`, but it cannot be cancelled: what it came to is what counts."""
    thread = asyncio.ensure_future(asyncio.to_thread(function, *args))
    try:
        return await asyncio.shield(thread)
    except asyncio.CancelledError:
        await asyncio.wait([thread])
        return thread.result()


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
