"""Ctrl-C and SIGTERM end every command within five seconds, also one that is deep in a library and does not listen.

Python tells a program of the signal between two of its own steps. A query, a file that is being read or a storage that
does not answer may not come to one for minutes. Then the process simply ends: whatever it wrote counts only once it is
whole.
"""

import asyncio
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from types import FrameType
from typing import Any, TypeVar

PATIENCE = 4.0  # seconds
_AGAIN = 0.1  # seconds

_Result = TypeVar("_Result")
_watched = threading.Event()
_terminated = threading.Event()
_heard = threading.Event()
_farewell = "interrupted"
_patience = PATIENCE
_cancel: Callable[[], object] | None = None
_stop: Callable[[], object] = lambda: None  # noqa: E731


def watch(farewell: str) -> None:
    """From now on SIGTERM ends the process as Ctrl-C does, and if nobody heeds either it ends all the same.

    Called once, by the process' own entry. A process that was started with Ctrl-C ignored (`trawl run ... &` in a script)
    goes on ignoring that, and that alone.
    """
    global _farewell  # noqa: PLW0603
    _farewell = farewell
    listening, woken = socket.socketpair()
    woken.setblocking(False)
    signal.set_wakeup_fd(woken.fileno(), warn_on_full_buffer=False)
    signal.signal(signal.SIGTERM, _terminate)
    _watched.set()
    threading.Thread(target=_listen, args=(listening, woken), name="trawl-interrupts", daemon=True).start()


def allow(seconds: float) -> None:
    """For a command that has processes of its own to stop: so long it may take."""
    global _patience  # noqa: PLW0603
    _patience = seconds


def stop_with(stop: Callable[[], object]) -> None:
    """What ends the work of a library that Python cannot interrupt. Called in a thread, and again until all has ended."""
    global _stop  # noqa: PLW0603
    _stop = stop


def heard() -> bool:
    """Whether the process was told to end: an error of its work may be no more than that."""
    return _heard.is_set()


def exit_code() -> int:
    """130 after Ctrl-C, 143 after SIGTERM, as shells have it."""
    return 128 + (signal.SIGTERM if _terminated.is_set() else signal.SIGINT)


async def ending_soon(work: Coroutine[Any, Any, _Result]) -> _Result:
    """The work. Once it is cancelled (by Ctrl-C or SIGTERM), it and its threads have not for ever to end."""
    global _cancel  # noqa: PLW0603
    task, loop, own = asyncio.ensure_future(work), asyncio.get_running_loop(), asyncio.current_task()
    assert own is not None
    _cancel = lambda: loop.call_soon_threadsafe(own.cancel)  # noqa: E731
    try:
        await asyncio.wait([task])
    except asyncio.CancelledError:
        if _watched.is_set():
            threading.Thread(target=_end, name="trawl-end", daemon=True).start()
        task.cancel()
        await asyncio.wait([task])
    finally:
        _cancel = None
    try:
        return task.result()
    except asyncio.CancelledError:
        if _terminated.is_set():  # of Ctrl-C the loop itself makes this
            raise KeyboardInterrupt from None
        raise


def _terminate(_number: int, _: FrameType | None) -> None:
    """What SIGTERM does, without SIGINT, which may be ignored."""
    _terminated.set()
    if _cancel is None:
        raise KeyboardInterrupt
    _cancel()


def _listen(listening: socket.socket, _woken: socket.socket) -> None:
    while signals := listening.recv(64):
        if signal.SIGTERM in signals:
            _terminated.set()
        if signal.SIGINT in signals or signal.SIGTERM in signals:
            _heard.set()
            _end()


def _end() -> None:
    end = time.monotonic() + _patience
    while time.monotonic() < end:
        _stop()  # not once: what is just beginning does not hear it
        time.sleep(_AGAIN)
    with suppress(OSError):
        os.write(2, f"{_farewell}\n".encode())
    os._exit(exit_code())
