"""Run a replica under uvicorn: in the foreground for people, in a thread for tests and demos."""

import asyncio
import contextlib
import signal
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from itertools import count

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from trawl.model.errors import ConfigurationError
from trawl.replica.answers import HANG_UP, ASGIApp
from trawl.replica.catalogue import PREFIX

_GRACE_SECONDS = 2
_START_SECONDS = 10
_LOOK_SECONDS = 0.005
_BACKLOG = 2_048
_PORTS = 65_535


def serve(app: ASGIApp, host: str = "127.0.0.1", port: int = 8000, *, ready: Callable[[str], object]) -> None:
    """Serve until SIGINT or SIGTERM, then return; answers under way get two seconds.

    `port` 0 takes a free one. `ready` is called once, with the base URL, when requests are answered. Raises
    ConfigurationError if the address cannot be listened on.
    """
    listener = _listen(host, port)
    with listener:
        _Server(app, lambda: ready(_url(listener))).run([listener])


@contextlib.contextmanager
def running(app: ASGIApp) -> Iterator[str]:
    """Serve in a background thread on a free loopback port; the value is the base URL, up to /api/v2."""
    ready = threading.Event()
    with _listen("127.0.0.1", 0) as listener:
        server = _Server(app, ready.set)
        thread = threading.Thread(target=server.run, args=([listener],), name="trawl-replica", daemon=True)
        thread.start()
        try:
            if not ready.wait(_START_SECONDS):
                raise TimeoutError(f"the replica did not start within {_START_SECONDS} s")
            yield _url(listener)
        finally:
            server.end()
            thread.join()


class _Protocol(HttpToolsProtocol):
    """HTTP whose applications may end the connection in the middle of everything (`answers.hang_up`)."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {HANG_UP: self._hang_up}  # type: ignore[dict-item]

    def _hang_up(self, *, reset: bool) -> None:
        if reset:
            linger = struct.pack("ii", 1, 0)  # for no time: what is not sent is dropped, and the peer is told
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.transport.abort()
        else:
            self.transport.close()


class _Server(uvicorn.Server):
    """uvicorn, which says when it is ready, ends on a signal without raising it again, and ends when nothing is under way.

    By itself it ends a fifth of a second later; tests start and end hundreds.
    """

    def __init__(self, app: ASGIApp, ready: Callable[[], object]) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=_Protocol,
                ws="none",
                lifespan="off",
                access_log=False,
                log_level="warning",
                server_header=False,
                timeout_graceful_shutdown=_GRACE_SECONDS,
            )
        )
        self._ready = ready
        self._wake: Callable[[], object] = lambda: None

    def end(self) -> None:
        """End soon; may be called from any thread."""
        self.should_exit = True
        self._wake()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        loop, self._woken = asyncio.get_running_loop(), asyncio.Event()
        self._wake = lambda: loop.call_soon_threadsafe(self._woken.set)
        self._ready()

    async def main_loop(self) -> None:
        ticks = count()
        while not await self.on_tick(next(ticks)):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), 0.1)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for listening in self.servers:
            listening.close()
        state, until = self.server_state, time.monotonic() + _GRACE_SECONDS
        for connection in list(state.connections):
            connection.shutdown()
        while (state.connections or state.tasks) and not self.force_exit and time.monotonic() < until:  # noqa: ASYNC110  nobody is told
            await asyncio.sleep(_LOOK_SECONDS)
        for task in state.tasks:
            task.cancel()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    problem: object = f"ports are 0 to {_PORTS}"
    if 0 <= port <= _PORTS:
        try:
            socket.getaddrinfo(host or None, port, family)  # first: it opens nothing that stays open where it fails
            return socket.create_server((host, port), family=family, backlog=_BACKLOG)
        except (OSError, ValueError, TypeError) as error:  # not there, not free, no name of a host, or with a NUL in it
            problem = error
    raise ConfigurationError(
        f"cannot listen on {host}, port {port}: {problem}",
        remedy="choose an address of this machine and a port that is free (0 takes any)",
    )


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}{PREFIX}"
