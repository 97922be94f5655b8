"""One writer per source, and what decides when there are two. The laws hold on a folder and on S3 alike."""

import asyncio
import json
import subprocess
import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import World
from tests.crawling import Clock, changes_of, contents, count, run, without_token
from trawl.crawl import CrawlOptions, crawl, maintain
from trawl.lake import Lake
from trawl.lake.runs.lease import holder_of
from trawl.model.errors import LeaseHeld
from trawl.replica import changes


@pytest.fixture(params=["folder", pytest.param("s3", marks=pytest.mark.s3)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A new lake of either form."""
    if request.param == "folder":
        yield str(tmp_path / "lake")
    else:
        yield f"{request.getfixturevalue('s3')}/{uuid.uuid4().hex}"


def test_two_days_arrive_whole(world: World, url: str) -> None:
    run(url, world.url)
    world.day(1)
    report = run(url, world.url, accept=("item", "machine", "move", "pokemon"))
    expected = changes(200, seed=7, first=0, second=1)
    assert len(changes_of(url, report.run_id)["created"]) == len(expected.created)
    assert len(contents(url)) == 200 + len(expected.created) - len(expected.removed)
    maintain(Lake(url), "pokeapi")
    assert len(contents(url)) == 200 + len(expected.created) - len(expected.removed)
    assert run(url, world.url).requests == 1


def test_a_second_writer_is_refused_or_waits_as_it_chooses(world: World, url: str) -> None:
    lake = Lake(url)
    lake.store.make()
    lease = lake.source("pokeapi").lease("another", Clock())
    lease.take()
    with pytest.raises(LeaseHeld, match="another"):
        run(url, world.url, endpoints=("machine",))

    async def release_soon() -> None:
        await asyncio.sleep(1)
        await asyncio.to_thread(lease.release)

    async def both() -> None:
        options = CrawlOptions(base_url=world.url, rate="unlimited", endpoints=("machine",), wait=timedelta(seconds=30))
        await asyncio.gather(release_soon(), crawl(without_token(), lake, options))

    asyncio.run(both())
    assert contents(url)


def test_of_two_runs_at_once_one_wins_and_the_other_says_so(world: World, url: str) -> None:
    options = CrawlOptions(base_url=world.url, rate="unlimited")

    async def both() -> list[object]:
        runs = (crawl(without_token(), Lake(url), options) for _ in range(2))
        return await asyncio.gather(*runs, return_exceptions=True)

    outcomes = asyncio.run(both())
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["LeaseHeld", "Report"]
    assert len(contents(url)) == 200


def dead_holder(**changes: Any) -> dict[str, Any]:
    """A lease of this machine's that would hold for an hour, had its process not ended."""
    ended = subprocess.Popen(["true"])
    ended.wait()
    return holder_of("dead", Clock()(), timedelta(hours=1)) | {"pid": ended.pid} | changes


def test_a_lease_of_a_dead_process_on_this_machine_is_taken_over_at_once(world: World, url: str) -> None:
    lake = Lake(url)
    lake.store.make()
    lake.store.put("pokeapi/lease.json", json.dumps(dead_holder()).encode())
    assert count(run(url, world.url, endpoints=("machine",)))["new"] > 0


def test_of_a_namesake_of_this_machine_no_process_is_known_to_be_dead(world: World, url: str) -> None:
    lake = Lake(url)
    lake.store.make()
    lake.store.put("pokeapi/lease.json", json.dumps(dead_holder(machine="as called, but booted elsewhere")).encode())
    with pytest.raises(LeaseHeld, match="dead"):
        run(url, world.url, endpoints=("machine",))


@pytest.mark.parametrize("torn", [b"", b'{"run": "dead", "ho', b"\0\0\0\0"])
def test_a_lease_that_a_power_cut_tore_is_nobodys(world: World, url: str, torn: bytes) -> None:
    lake = Lake(url)
    lake.store.make()
    lake.store.put("pokeapi/lease.json", torn)
    assert lake.source("pokeapi").holder(Clock()()) is None
    assert count(run(url, world.url, endpoints=("machine",)))["new"] > 0
