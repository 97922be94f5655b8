"""Processes to be killed, the API that they crawl, and what is compared when they are dead.

Everything is seen from outside: what was asked of the API, and what lies in the lake's folder.
"""

import asyncio
import multiprocessing
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pyarrow as pa

from tests.crawling import run
from trawl.crawl import Report
from trawl.lake import Lake
from trawl.model.config import SourceConfig
from trawl.replica import running

TRAWL = [sys.executable, "-c", "from trawl.cli import main; main()"]
PATIENCE = 60  # seconds after which a process that should have come to a point is taken to hang


_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload([__name__, "trawl.cli.run", "trawl.cli.maintain"])
_one_at_a_time = threading.Lock()  # who looks for one process looks for all: of two, one would miss how it ended


class Forked:
    """The command in a process of its own that has all its modules already: to load them takes longer than to crawl.

    All that it says comes from `stderr`.
    """

    def __init__(self, arguments: list[str]) -> None:
        ours, theirs = _forks.Pipe(duplex=False)
        self._process = _forks.Process(target=_command, args=(arguments, dict(os.environ), theirs))
        with _one_at_a_time:
            self._process.start()
        theirs.close()
        self.stderr = os.fdopen(os.dup(ours.fileno()))
        ours.close()

    def poll(self) -> int | None:
        with _one_at_a_time:
            return self._process.exitcode

    @property
    def returncode(self) -> int | None:
        return self.poll()

    def send_signal(self, number: int) -> None:
        if self._process.pid is not None and self.poll() is None:
            os.kill(self._process.pid, number)

    def kill(self) -> None:
        self._process.kill()

    def communicate(self, timeout: float = PATIENCE) -> tuple[str, str]:
        """What it says until it ends (the first place is for what it had said to another stream)."""
        deadline = time.monotonic() + timeout
        while self.poll() is None:
            assert time.monotonic() < deadline, "the process does not end"
            time.sleep(0.002)
        with self.stderr:
            return "", self.stderr.read()


def _command(arguments: list[str], environment: dict[str, str], said: Connection) -> None:
    from trawl.cli import main

    os.environ.clear()
    os.environ.update(environment)
    for stream in (1, 2):
        os.dup2(said.fileno(), stream)
    sys.stdout, sys.stderr = (os.fdopen(stream, "w", buffering=1, closefd=False) for stream in (1, 2))
    sys.argv = ["trawl", *arguments]
    main()


class Gate:
    """Stands before an ASGI application: counts what is asked, and tells of the n-th request before it is answered."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.asked: Counter[str] = Counter()
        self.on_request: Callable[[int, str], None] = lambda number, path: None
        self.slow_after: int | None = None  # from this request on there is time to look

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            path = scope["path"].removeprefix("/api/v2/").strip("/")
            self.asked[path] += 1
            self.on_request(self.asked.total(), path)
            if self.slow_after is not None and self.asked.total() > self.slow_after:
                await asyncio.sleep(0.1)
        await self.app(scope, receive, send)

    def forget(self) -> None:
        self.asked = Counter()
        self.on_request = lambda number, path: None
        self.slow_after = None


@dataclass
class Place:
    """A lake's folder and the API that is crawled into it."""

    lake: Path
    url: str
    gate: Gate
    source: SourceConfig
    flags: list[str] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)
    started: list[Forked] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        return self.lake / self.source.name

    def process(self, *arguments: str) -> Forked:
        """The command, as a process of its own."""
        process = Forked([*arguments, "--lake", str(self.lake)])
        self.started.append(process)
        return process

    def run(self, name: str | Path, *more: str) -> Forked:
        return self.process("run", str(name), "--base-url", self.url, "--rate", "unlimited", *self.flags, *more)

    def finish(self, **more: Any) -> Report:
        """A run that nobody disturbs."""
        return run(self.lake, self.url, self.source, **(self.options | more))

    def finished_shards(self) -> set[tuple[str, str]]:
        """The records of the shards whose outcome is stored, by endpoint and key."""
        found = set()
        for plan in (self.folder / "plans").glob("*/plan.json"):
            with pa.OSFile(str(plan.with_name("shards.arrow"))) as file:
                shards = pa.ipc.open_file(file)
                for outcome in plan.parent.glob("0*.json"):
                    batch = shards.get_batch(int(outcome.stem))
                    found |= set(zip(batch["endpoint"].to_pylist(), batch["key"].to_pylist(), strict=True))
        return found


@contextmanager
def place(lake: Path, app: Any, source: SourceConfig, **more: Any) -> Iterator[Place]:
    gate = Gate(app)
    with running(gate) as url:
        found = Place(lake, url, gate, source, **more)
        try:
            yield found
        finally:
            for process in found.started:
                kill(process)


def until(process: Forked | subprocess.Popen[str], happened: Callable[[], bool]) -> bool:
    """Watch closely until it happened; False where the process ended before."""
    deadline = time.monotonic() + PATIENCE
    while not happened():
        if process.poll() is not None:
            return happened()
        assert time.monotonic() < deadline, "the process neither came to that point nor ended"
        time.sleep(0.002)
    return True


def kill(process: Forked | subprocess.Popen[str]) -> str:
    """SIGKILL, unless it has ended; what the process had said."""
    process.kill()
    return "" if process.stderr is None or process.stderr.closed else process.communicate()[1]


# -- what is in a lake -------------------------------------------------------------------------------------

QUESTIONS = {
    "records": "SELECT endpoint, key, label, payload, url, state, version, etag, source_version, failures",
    "versions": "SELECT endpoint, key, version, label, payload, source_version, etag, bytes, semantic_hash, "
    "valid_to IS NULL AS newest",
    "changes": "SELECT endpoint, key, label, change, old_label, version",
}


def holdings(lake: Path | str, source: str, **more: Any) -> dict[str, pa.Table]:
    """All that the views tell of the records, run ids and times apart; a row that appears twice is there twice."""
    found = Lake(lake)
    rows = {
        view: found.query(f"{select} FROM {source}.{view}", **more).to_arrow() for view, select in QUESTIONS.items()
    }
    return {view: table.sort_by([(name, "ascending") for name in table.column_names]) for view, table in rows.items()}


def difference(found: Counter[Any], expected: Counter[Any]) -> dict[str, list[Any]]:
    """What is missing and what is too much, and no more: thousands of equal rows hide one that differs."""
    both = {"missing": expected - found, "too much": found - expected}
    return {name: list(rows.elements()) for name, rows in both.items() if rows}


def log_rows(lake: Path | str, source: str) -> Counter[tuple[Any, ...]]:
    """The rows of the log itself, run ids and times apart: views might hide one that was written twice."""
    snapshot = Lake(lake).source(source).log.snapshot()
    assert snapshot is not None
    columns = ["kind", "endpoint", "op", "state", "version", "semantic_hash", "failures", "bytes"]
    table = snapshot.dataset().to_table(columns=[*columns, "key"])
    keys = ["" if row["kind"] == "run" else row["key"] for row in table.select(["kind", "key"]).to_pylist()]
    return Counter(zip(*(table[column].to_pylist() for column in columns), keys, strict=True))


known_holdings, known_log_rows = cache(holdings), cache(log_rows)
"""The same of a lake that nobody changes any more."""
