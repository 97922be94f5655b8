"""The rate belongs to the host: runs at the same time divide it."""

import asyncio
import json
import subprocess
import sys
from bisect import bisect_left
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import World
from tests.crawling import Clock, pokeapi
from trawl.crawl import CrawlOptions, Done, ShardWork, crawl, crawl_shards, hosts
from trawl.lake import HostBoard, Lake
from trawl.replica import running

pytestmark = pytest.mark.xdist_group("waits")

RATE = 60


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs look at the board more often than in life: the test waits for less."""
    monkeypatch.setattr(hosts, "POLL", 0.1)
    monkeypatch.setattr(hosts, "_NOTICED", 0.4)


def most_in_a_second(starts: list[float]) -> int:
    return max(index + 1 - bisect_left(starts, at - 1) for index, at in enumerate(starts))


async def two_sources(lake: Lake, url: str) -> None:
    options = CrawlOptions(base_url=url, rate=RATE, endpoints=("pokemon", "item", "move"))

    async def later() -> None:
        await asyncio.sleep(0.3)
        await crawl(pokeapi(name="other", version_token=None), lake, options)

    await asyncio.gather(crawl(pokeapi(), lake, options), later())


def test_two_runs_together_keep_to_the_hosts_rate(tmp_path: Path, world: World) -> None:
    world.app.stats.log_starts()
    asyncio.run(two_sources(Lake(tmp_path), world.url))
    starts = sorted(world.app.stats.starts or [])
    assert len(starts) > 2 * RATE
    # What arrives together has not started together: on a busy machine some are late, and meet those behind them.
    assert most_in_a_second(starts) <= 1.2 * RATE
    assert not list(tmp_path.glob("hosts/*/shares/*"))


def test_a_share_counts_until_it_runs_out_is_given_back_or_its_process_is_dead(tmp_path: Path) -> None:
    clock, lake = Clock(), Lake(tmp_path)
    lake.store.make()
    boards = {name: HostBoard(lake.store, "api.example.com", clock) for name in "abc"}
    for name, board in boards.items():
        board.share(name, 5)
    assert [share.run for share in boards["a"].share("a", 5)] == ["a", "b", "c"]
    boards["b"].leave("b")
    assert [share.run for share in boards["a"].share("a", 5)] == ["a", "c"]
    path = next(tmp_path.glob("hosts/*/shares/c.json"))
    dead = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"pid": int(dead.stdout)}))
    assert [share.run for share in boards["a"].share("a", 5)] == ["a"]
    boards["c"].share("c", 5)
    clock.move(seconds=30)
    boards["b"].share("b", 5)
    clock.move(seconds=timedelta(minutes=1).total_seconds() - 15)
    assert [share.run for share in boards["b"].share("b", 5)] == ["b"]


def test_a_damaged_share_stops_nobody(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    lake.store.make()
    board = HostBoard(lake.store, "api.example.com", Clock())
    board.share("a", 5)
    next(tmp_path.glob("hosts/*/shares/a.json")).with_name("b.json").write_text('{"run": ')
    assert [share.run for share in board.share("a", 5)] == ["a"]


def test_a_shorter_cool_down_never_takes_the_place_of_a_longer_one(tmp_path: Path) -> None:
    lake, clock = Lake(tmp_path), Clock()
    lake.store.make()
    board, until = HostBoard(lake.store, "api.example.com", clock), clock() + timedelta(minutes=5)
    for minutes in (0, -4, -5):
        board.publish(until + timedelta(minutes=minutes))
        assert board.cool_down() == until
    board.publish(until + timedelta(minutes=1))
    assert board.cool_down() == until + timedelta(minutes=1)


async def shards_at_once(lake: Lake, url: str) -> None:
    options = CrawlOptions(base_url=url, rate=RATE, endpoints=("pokemon", "item", "move"))

    class AtOnce:
        """As many processes as there are shards, all at the same time."""

        async def fetch(self, works: Sequence[ShardWork], done: Done) -> None:
            fetched = await asyncio.gather(
                *(
                    crawl_shards(pokeapi(), lake, options, work.run, [work.shard.number], parts=len(works))
                    for work in works
                )
            )
            for outcomes in fetched:
                done(*outcomes)

    await crawl(pokeapi(), lake, options, shards=AtOnce())


def test_the_shards_of_one_run_divide_its_part_of_the_rate(world: World, tmp_path: Path) -> None:
    starts = []
    app = world.app

    async def noting(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            starts.append(asyncio.get_running_loop().time())
        await app(scope, receive, send)

    with running(noting) as url:
        asyncio.run(shards_at_once(Lake(tmp_path / "lake"), url))
    assert len(starts) > RATE
    assert most_in_a_second(starts) <= RATE + 2
