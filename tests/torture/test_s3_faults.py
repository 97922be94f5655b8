"""A bucket that fails: at each of its verbs, slowly, in the middle of an answer, or after it has done what it was asked."""

import asyncio
import os
import re
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.torture.conftest import Undisturbed, family_place
from tests.torture.victims import Place, difference, holdings, known_holdings, log_rows
from trawl.cli.app import invoke
from trawl.lake import Lake
from trawl.model.errors import LakeError

pytestmark = pytest.mark.s3

PASS = "pass"
REFUSE = "refuse"  # 500, and the server never hears of it
CUT = "cut"  # the connection ends before the server hears of it
LOSE = "lose"  # the server does it, the answer is a 500
VANISH = "vanish"  # the server does it, the connection ends before an answer
SLOW = "slow"  # it takes a second longer


@dataclass
class Proxy:
    """Between Trawl and the S3 server: what it does with each request is told by (verb, path, how often seen)."""

    upstream: tuple[str, int]
    fault: Callable[[str, str, int], str] = lambda verb, path, times: PASS
    seen: Counter[tuple[str, str]] = field(default_factory=Counter)
    hit: Counter[str] = field(default_factory=Counter)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await _head(reader):
                if not await self._one(head, reader, writer):
                    return
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            return
        finally:
            writer.close()

    async def _one(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        verb, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
        body = await _body(head, reader)
        path = urlsplit(target).path
        self.seen[verb, path] += 1
        fault = self.fault(verb, path, self.seen[verb, path])
        self.hit[fault] += 1
        if fault == SLOW:
            await asyncio.sleep(1)
        if fault == CUT:
            return False
        answer = b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n"
        if fault != REFUSE:
            done = await self._ask(head, body, verb)
            answer = answer if fault == LOSE else done
        if fault == VANISH:
            return False
        writer.write(answer)
        await writer.drain()
        return True

    async def _ask(self, head: bytes, body: bytes, verb: str) -> bytes:
        reader, writer = await asyncio.open_connection(*self.upstream)
        try:
            writer.write(
                re.sub(rb"(?i)\r\n(connection|expect): [^\r]*", b"", head)[:-2] + b"connection: close\r\n\r\n" + body
            )
            answer = await reader.read()
        finally:
            writer.close()
        return re.sub(rb"(?i)\r\nconnection: close", b"", answer, count=1)


async def _head(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return b""


async def _body(head: bytes, reader: asyncio.StreamReader) -> bytes:
    length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
    assert b"chunked" not in head.lower(), "nobody here sends in pieces"
    return await reader.readexactly(int(length[1])) if length else b""


@contextmanager
def proxied() -> Iterator[tuple[str, Proxy]]:
    upstream = urlsplit(os.environ["AWS_ENDPOINT_URL"])
    proxy = Proxy((upstream.hostname or "", upstream.port or 80))
    loop, ready, url = asyncio.new_event_loop(), threading.Event(), []

    async def listen() -> None:
        server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
        url.append(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        ready.set()
        await stop.wait()
        server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    stop = asyncio.Event()
    thread = threading.Thread(target=lambda: loop.run_until_complete(listen()), daemon=True)
    thread.start()
    ready.wait(10)
    try:
        yield url[0], proxy
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()


@pytest.fixture
def bucket(s3: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Proxy]]:
    """A new lake in the real bucket, reached through the proxy."""
    with proxied() as (url, proxy):
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        yield f"{s3}/{uuid.uuid4().hex}", proxy


@pytest.fixture
def first_day(bucket: tuple[str, Proxy], family_lakes: Undisturbed) -> Iterator[tuple[Place, Proxy]]:
    url, proxy = bucket
    with family_place(Path("nowhere"), 0) as place:
        place.lake = url  # type: ignore[assignment]
        yield place, proxy


def test_an_s3_that_fails_now_and_then_or_is_slow_costs_nothing(
    first_day: tuple[Place, Proxy], family_lakes: Undisturbed
) -> None:
    place, proxy = first_day

    def now_and_then(verb: str, path: str, times: int) -> str:
        if times == 1 and proxy.seen.total() % 5 == 0:
            return (REFUSE, LOSE)[proxy.hit[REFUSE] > proxy.hit[LOSE]]
        return SLOW if "lease" in path else PASS

    proxy.fault = now_and_then
    assert place.finish().status == "done"
    assert min(proxy.hit[REFUSE], proxy.hit[LOSE], proxy.hit[SLOW]) > 1
    assert holdings(place.lake, "family") == known_holdings(family_lakes(0), "family")
    assert not difference(log_rows(place.lake, "family"), log_rows(family_lakes(0), "family"))


@pytest.mark.parametrize("fault", [LOSE, VANISH])
@pytest.mark.parametrize("times", [1, 2])
def test_a_commit_whose_answer_is_lost_is_a_commit(
    first_day: tuple[Place, Proxy], family_lakes: Undisturbed, fault: str, times: int
) -> None:
    place, proxy = first_day
    entry = "00000000000000000001.json"
    proxy.fault = lambda verb, path, seen: fault if verb == "PUT" and path.endswith(entry) and seen <= times else PASS
    assert place.finish().status == "done"
    assert proxy.hit[fault] > 0
    assert Lake(place.lake).source("family").log.make().version == 1
    assert not difference(log_rows(place.lake, "family"), log_rows(family_lakes(0), "family"))
    assert holdings(place.lake, "family") == known_holdings(family_lakes(0), "family")


@pytest.mark.parametrize("fault", [LOSE, VANISH])
@pytest.mark.parametrize("name", ["lease.json", "plan.json", "shards.arrow", "000003.json", ".parquet", "/runs/"])
def test_a_lost_answer_to_any_writing_is_no_loss(
    first_day: tuple[Place, Proxy], family_lakes: Undisturbed, fault: str, name: str
) -> None:
    place, proxy = first_day
    proxy.fault = lambda verb, path, seen: fault if verb == "PUT" and name in path and seen == 1 else PASS
    try:
        assert place.finish().status == "done"
    except LakeError:
        assert fault == VANISH, "a 500 is asked again"
        proxy.fault = lambda verb, path, seen: PASS
        assert place.finish().status == "done"
    assert proxy.hit[fault] > 0
    assert not difference(log_rows(place.lake, "family"), log_rows(family_lakes(0), "family"))


@pytest.mark.parametrize(
    ("fault", "word"), [(CUT, "does not answer"), (REFUSE, "answers 500 Internal Server Error")], ids=[CUT, REFUSE]
)
@pytest.mark.parametrize(
    ("verb", "name"),
    [
        ("PUT", "lease.json"),
        ("PUT", "plan.json"),
        ("PUT", ".parquet"),
        ("PUT", "/runs/"),
        ("PUT", "_delta_log"),
        ("GET", ""),
    ],
)
def test_an_s3_that_is_away_is_named_and_the_next_run_goes_on(
    first_day: tuple[Place, Proxy],
    family_file: Path,
    family_lakes: Undisturbed,
    capsys: pytest.CaptureFixture[str],
    verb: str,
    name: str,
    fault: str,
    word: str,
) -> None:
    place, proxy = first_day
    if verb == "GET":
        place.finish(mode="discover")
    proxy.fault = lambda asked, path, seen: fault if asked == verb and name in path else PASS
    command = ["run", str(family_file), "--lake", str(place.lake), "--base-url", place.url, "--rate", "unlimited"]
    assert invoke(command) == 1
    said = capsys.readouterr().err
    assert f"the storage {word}" in said
    assert "fix: " in said
    proxy.fault = lambda asked, path, seen: PASS
    assert place.finish().status == "done"
    assert holdings(place.lake, "family")["records"] == known_holdings(family_lakes(0), "family")["records"]


def test_a_bucket_that_is_not_there_is_named(
    bucket: tuple[str, Proxy], family_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with family_place(Path("nowhere"), 0) as place:
        for command in (
            ["run", str(family_file), "--base-url", place.url, "--rate", "unlimited"],
            ["status"],
            ["query", "SELECT 1"],
            ["maintain"],
        ):
            assert invoke([*command, "--lake", f"s3://none-{uuid.uuid4().hex}/lake"]) in {1, 2}
            said = capsys.readouterr().err
            assert "bucket does not exist" in said, (command, said)
        assert not place.gate.asked
