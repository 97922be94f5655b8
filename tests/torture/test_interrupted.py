"""Ctrl-C, and SIGTERM as Kubernetes sends it: within five seconds, in order, with a word on how to go on."""

import asyncio
import json
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.crawling import run
from tests.torture.conftest import Family, Undisturbed, family_place, pokeapi_place
from tests.torture.victims import TRAWL, Forked, Place, holdings, kill, known_holdings, place, until
from trawl.lake import Lake
from trawl.lake.runs.lease import holder_of
from trawl.replica import GeneratedCatalogue, ReplicaApp
from trawl.sources import load_source

SIGNALS = pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])


def interrupt(process: Forked, number: int, code: int) -> str:
    """Send the signal: the process ends in time, with its exit code and without a traceback. What it said."""
    process.send_signal(number)
    return ended(process, time.monotonic(), code)


def ended(process: Forked | subprocess.Popen[str], sent: float, code: int) -> str:
    _, said = process.communicate(timeout=10)
    assert time.monotonic() - sent < 5, said
    assert "Traceback" not in said
    assert process.returncode == code, said
    assert "interrupted" in said
    return said


def released(place: Place) -> bool:
    lease = json.loads((place.folder / "lease.json").read_bytes())
    return bool(lease["expires_at"] == lease["taken_at"])


class Slow:
    """An API that stalls: in the middle of the body of one path, until its client is gone."""

    def __init__(self, app: Any, path: str) -> None:
        self.app, self.path = app, f"/api/v2/{path}"

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["path"] != self.path:
            await self.app(scope, receive, send)
            return
        headers = [(b"content-type", b"application/json"), (b"content-length", b"1000")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b'{"half', "more_body": True})
        while (await receive())["type"] != "http.disconnect":
            await asyncio.sleep(0)


class Busy:
    """An API that wants to be left alone from the n-th request on."""

    def __init__(self, app: Any, number: int) -> None:
        self.app, self.left = app, number

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.left -= 1
        if self.left > 0:
            await self.app(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 429, "headers": [(b"retry-after", b"120")]})
        await send({"type": "http.response.body", "body": b""})


def asked(place: Place, number: int) -> Any:
    return lambda: place.gate.asked.total() >= number


@SIGNALS
def test_in_the_middle_of_fetching(
    tmp_path: Path, family_file: Path, family_lakes: Undisturbed, number: int, code: int
) -> None:
    with family_place(tmp_path, 0) as place:
        place.gate.slow_after = 60
        process = place.run(family_file)
        assert until(process, asked(place, 60))
        assert "continues" in interrupt(process, number, code)
        assert released(place)
        finished = {f"{endpoint}/{key}" for endpoint, key in place.finished_shards()}
        assert finished
        place.gate.forget()
        assert place.finish().status == "done"
        assert not finished & set(place.gate.asked)
    assert holdings(tmp_path, "family") == known_holdings(family_lakes(0), "family")


@SIGNALS
def test_while_a_slow_body_is_read(tmp_path: Path, family_file: Path, number: int, code: int) -> None:
    with family_place(tmp_path, 0) as place:
        place.gate.app = Slow(Family(0), "c/7")
        process = place.run(family_file)
        assert until(process, lambda: place.gate.asked["c/7"] > 0)
        time.sleep(0.2)
        interrupt(process, number, code)
        assert released(place)


@SIGNALS
def test_in_a_cool_down(tmp_path: Path, family_file: Path, number: int, code: int) -> None:
    with family_place(tmp_path, 0) as place:
        place.gate.app = Busy(Family(0), 30)
        process = place.run(family_file)
        assert until(process, lambda: bool(list(tmp_path.glob("hosts/*/cool-down.json"))))
        interrupt(process, number, code)
        assert released(place)


@SIGNALS
def test_while_waiting_for_another_writer(tmp_path: Path, family_file: Path, number: int, code: int) -> None:
    lake = Lake(tmp_path)
    lake.store.make()
    other = json.dumps(holder_of("other", datetime.now(UTC), timedelta(hours=1))).encode()
    lake.store.put("family/lease.json", other)
    with family_place(tmp_path, 0) as place:
        process = place.run(family_file, "--wait", "10m")
        assert process.stderr is not None
        assert "waiting" in process.stderr.readline()
        interrupt(process, number, code)
    assert lake.store.get("family/lease.json") == other


@pytest.mark.parametrize(
    ("command", "number", "code"),
    [("run", signal.SIGINT, 130), ("run", signal.SIGTERM, 143), ("maintain", signal.SIGTERM, 143)],
)
def test_as_soon_as_the_lease_is_taken(
    tmp_path: Path, pokeapi_lakes: Undisturbed, command: str, number: int, code: int
) -> None:
    with pokeapi_place(tmp_path, 0) as place:
        place.finish(mode="discover")
        before = (place.folder / "lease.json").read_bytes()
        process = place.process("maintain", "pokeapi") if command == "maintain" else place.run("pokeapi")
        assert until(process, lambda: (place.folder / "lease.json").read_bytes() != before)
        interrupt(process, number, code)
        assert command == "maintain" or released(place)
        place.finish()
    assert holdings(tmp_path, "pokeapi")["records"] == known_holdings(pokeapi_lakes(0), "pokeapi")["records"]


@pytest.mark.parametrize(("number", "code", "delay"), [(signal.SIGINT, 130, 0.4), (signal.SIGTERM, 143, 0.05)])
def test_while_a_larger_lake_is_planned(tmp_path: Path, number: int, code: int, delay: float) -> None:
    app = ReplicaApp(GeneratedCatalogue(60_000, seed=1, day=0))
    with place(tmp_path, app, load_source("pokeapi"), flags=["--endpoint", "machine"]) as known:
        run(tmp_path, known.url, mode="discover", endpoints=("machine",))
        process = known.run("pokeapi", "--force")
        known.gate.forget()
        assert until(process, lambda: known.gate.asked["machine"] > 0)
        time.sleep(delay)
        interrupt(process, number, code)
        assert released(known)
        assert not any(
            plan is None for plan in Lake(tmp_path).source("pokeapi").runs.unfinished().values()
        ) or not list(known.folder.glob("plans/*/plan.json"))


@contextmanager
def deaf_server() -> Iterator[tuple[str, Callable[[], int]]]:
    """It takes connections and never says a word; its address, and how many have come."""
    with ExitStack() as lines, socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0)
        came: list[socket.socket] = []

        def callers() -> int:
            with suppress(BlockingIOError):
                came.append(lines.enter_context(listener.accept()[0]))
            return len(came)

        yield f"http://127.0.0.1:{listener.getsockname()[1]}", callers


def test_while_the_storage_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    commands = [["status"], ["run", "pokeapi"], ["maintain", "pokeapi"], ["run", "pokeapi"]]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "nothing")
    with deaf_server() as (url, callers):
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        processes = [
            subprocess.Popen(
                [*TRAWL, *command, "--lake", "s3://bucket/lake"],
                stderr=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                text=True,
            )
            for command in commands
        ]
        try:
            assert until(processes[-1], lambda: callers() >= len(processes))
            time.sleep(0.3)
            sent = time.monotonic()
            for number, process in enumerate(processes):
                process.send_signal(signal.SIGTERM if number % 2 else signal.SIGINT)
            for number, process in enumerate(processes):
                ended(process, sent, 143 if number % 2 else 130)
        finally:
            for process in processes:
                kill(process)
