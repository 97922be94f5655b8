"""A real Prefect server and a worker of it, as processes of their own on loopback."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx

PREFECT = [sys.executable, "-m", "prefect"]
PATIENCE = 240  # seconds until a process that does not answer is given up


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Server:
    """A server on SQLite, with its UI, and what its clients need to know."""

    home: Path
    port: int
    settings: dict[str, str]
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/api"

    def start(self) -> None:
        command = [*PREFECT, "server", "start", "--host", "127.0.0.1", "--port", str(self.port)]
        env = {name: value for name, value in self.env.items() if name != "PREFECT_API_URL"} | self.settings
        started = self.process = spawn(command, env, self.home / "server.log")
        until(lambda: answers(f"{self.url}/ready") or started.poll() is not None, "the server's start")
        if started.poll() is not None:
            raise RuntimeError((self.home / "server.log").read_text()[-2000:])

    def stop(self) -> None:
        if self.process is not None:
            end(self.process)

    @contextmanager
    def away(self) -> Iterator[None]:
        """The server is not there for a while."""
        self.stop()
        try:
            yield
        finally:
            self.start()

    def ask(self, verb: str, path: str, body: Any = None) -> Any:
        return asked(verb, f"{self.url}/{path.lstrip('/')}", body, auth=self.auth)

    def requests(self) -> int:
        """How many requests it has answered, by its log."""
        return (self.home / "server.log").read_text().count(' HTTP/1.1" ')

    @property
    def auth(self) -> tuple[str, str] | None:
        user, _, password = self.settings.get("PREFECT_SERVER_API_AUTH_STRING", "").partition(":")
        return (user, password) if user else None

    @property
    def env(self) -> dict[str, str]:
        return os.environ | {
            "PREFECT_API_URL": self.url,
            "PREFECT_HOME": str(self.home),
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_LOGGING_COLORS": "false",
            **({"PREFECT_API_AUTH_STRING": ":".join(self.auth)} if self.auth else {}),
        }


_HTTP = httpx.Client(
    verify=False, timeout=90, limits=httpx.Limits(max_keepalive_connections=0)
)  # reads no certificates


def asked(verb: str, url: str, body: Any = None, auth: tuple[str, str] | None = None) -> Any:
    """As Prefect's own client does: SQLite takes one writer at a time, and a busy server answers 503, or after a minute."""
    for _ in range(40):
        try:
            answer = _HTTP.request(verb, url, json=body, auth=auth)
        except httpx.ReadTimeout:
            if verb != "GET" and not url.endswith("/filter"):  # only a question can be asked twice
                raise
            continue
        if answer.status_code != HTTPStatus.SERVICE_UNAVAILABLE:
            break
        time.sleep(0.5)
    answer.raise_for_status()
    return answer.json() if answer.content else None


def spawn(command: list[str], env: dict[str, str], log: Path, folder: Path | None = None) -> subprocess.Popen[bytes]:
    """A process with a group of its own, so that nothing of it is left behind."""
    with log.open("ab") as out:
        return subprocess.Popen(
            command, env=env, stdout=out, stderr=subprocess.STDOUT, start_new_session=True, cwd=folder
        )


def end(started: subprocess.Popen[bytes]) -> None:
    """Ask it to end, and make it after a while."""
    for number, patience in ((signal.SIGTERM, 15), (signal.SIGKILL, 15)):
        try:
            os.killpg(started.pid, number)
        except ProcessLookupError:
            break
        try:
            started.wait(patience)
        except subprocess.TimeoutExpired:
            continue
    started.wait()


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return answer.status == 200
    except OSError:
        return False


def until(happened, what: str, patience: float = PATIENCE) -> None:
    deadline = time.monotonic() + patience
    while not happened():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not come to pass in {patience} s")
        time.sleep(0.2)


@contextmanager
def server(home: Path, port: int | None = None, **settings: str) -> Iterator[Server]:
    """A server on a port of loopback, for as long as the context lasts."""
    home.mkdir(parents=True, exist_ok=True)
    made = Server(home, port or free_port(), settings)
    try:
        made.start()
        yield made
    finally:
        made.stop()


@contextmanager
def worker(server: Server, pool: str, *, folder: Path, **env: str) -> Iterator[subprocess.Popen[bytes]]:
    """A worker that runs flow runs as processes on this machine."""
    command = [*PREFECT, "worker", "start", "--pool", pool, "--type", "process", "--name", "test"]
    more = {"PREFECT_WORKER_QUERY_SECONDS": "1", **env}
    started = spawn(command, server.env | more, server.home / "worker.log", folder)
    try:
        yield started
    finally:
        end(started)
