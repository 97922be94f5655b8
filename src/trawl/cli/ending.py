"""How a command ends on Ctrl-C and SIGTERM: in order, but within seconds also where the storage hangs."""

import asyncio
import os
import signal
import sys
import threading
import time
from collections.abc import Coroutine
from types import FrameType
from typing import Any, TypeVar

_GRACE = 4.0  # seconds: Ctrl-C is to end a command within five
_Result = TypeVar("_Result")
_received: list[int] = []


def listen() -> None:
    """From now on SIGTERM does what Ctrl-C does, and neither waits for a call that does not come back."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    # Not a handler in Python: those wait until the main thread has left the library that it is in.
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    threading.Thread(target=_watch, args=(reading,), name="ending", daemon=True).start()
    signal.signal(signal.SIGTERM, _like_ctrl_c)


def interrupted() -> bool:
    """Whether the command was told to end."""
    return bool(_received)


def exit_code() -> int:
    """130 after Ctrl-C, 143 after SIGTERM, as shells have it."""
    return 128 + (signal.SIGTERM if signal.SIGTERM in _received else signal.SIGINT)


async def orderly(work: Coroutine[Any, Any, _Result]) -> _Result:
    """The work; cancelled (an event loop's way to pass on Ctrl-C), it has its seconds to put things in order."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait([task])
    except asyncio.CancelledError:
        threading.Thread(target=_give_up, name="ending", daemon=True).start()
        task.cancel()
        await asyncio.wait([task])
    return task.result()


def _like_ctrl_c(number: int, _: FrameType | None) -> None:
    _received.append(number)
    signal.raise_signal(signal.SIGINT)


def _watch(pipe: int) -> None:
    while True:
        number = os.read(pipe, 1)[0]
        if number in {signal.SIGINT, signal.SIGTERM}:
            _received.append(number)
            _give_up()


def _give_up() -> None:
    time.sleep(_GRACE)
    sys.stderr.write("interrupted: not all came to rest in time; the same command sees what was done, and goes on\n")
    sys.stderr.flush()
    os._exit(exit_code())
