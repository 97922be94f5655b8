"""Ctrl-C ends every command within five seconds, also one that is deep in a library and does not listen.

Python tells a program of the signal between two of its own steps. A query or a file that is being read may not come to
one for minutes. Then the process simply ends: whatever it wrote counts only once it is whole.
"""

import os
import signal
import socket
import threading
import time
from contextlib import suppress

PATIENCE = 4.0  # seconds
EXIT_INTERRUPTED = 130

_watched = threading.Event()


def watch() -> None:
    """From now on a Ctrl-C that nobody heeds ends the process. Called once, by the process' own entry."""
    listening, woken = socket.socketpair()
    woken.setblocking(False)
    signal.set_wakeup_fd(woken.fileno(), warn_on_full_buffer=False)
    _watched.set()
    threading.Thread(target=_listen, args=(listening, woken), name="trawl-interrupts", daemon=True).start()


def end_soon() -> None:
    """End the process, unless it ends by itself; for what heard of the signal and now waits for others."""
    if _watched.is_set():
        threading.Thread(target=_end, name="trawl-end", daemon=True).start()


def _listen(listening: socket.socket, _woken: socket.socket) -> None:
    while signals := listening.recv(64):
        if signal.SIGINT in signals:
            _end()


def _end() -> None:
    time.sleep(PATIENCE)
    with suppress(OSError):
        os.write(2, b"interrupted\n")
    os._exit(EXIT_INTERRUPTED)
