"""A run's shards may be fetched by other processes: the lake is the same, and the run's limits hold over all of them."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import World
from tests.crawling import contents, count, pokeapi, run
from trawl.crawl import CrawlOptions, Done, Report, ShardWork, crawl, crawl_shards
from trawl.lake import Lake
from trawl.model.errors import ConfigurationError, GuardTripped, LakeError
from trawl.replica import running


class Elsewhere:
    """Fetches each shard as a process of its own would: all that it shares with the run is the lake."""

    def __init__(self, lake: Path, options: CrawlOptions, parts: int = 2) -> None:
        self.lake, self.options, self.parts = lake, options, parts
        self.fetched: list[int] = []

    async def fetch(self, works: Sequence[ShardWork], done: Done) -> None:
        for work in works:
            number = work.shard.number
            (outcome,) = await crawl_shards(
                pokeapi(), Lake(self.lake), self.options, work.run, [number], parts=self.parts
            )
            self.fetched.append(number)
            done(outcome)


def crawl_elsewhere(
    lake: Path, url: str, *, force: bool = False, shards: Elsewhere | None = None
) -> tuple[Report, Elsewhere]:
    options = CrawlOptions(base_url=url, rate="unlimited", force=force)
    shards = shards or Elsewhere(lake, options)
    return asyncio.run(crawl(pokeapi(), Lake(lake), options, shards=shards)), shards


def test_the_lake_and_the_report_are_those_of_one_process(world: World, tmp_path: Path) -> None:
    alone = run(tmp_path / "alone", world.url)
    report, shards = crawl_elsewhere(tmp_path / "shared", world.url)
    assert contents(tmp_path / "shared") == contents(tmp_path / "alone")
    assert count(report) == count(alone)
    assert (report.requests, report.bytes) == (alone.requests, alone.bytes)
    assert len(shards.fetched) > 1
    world.day(1)
    alone = run(tmp_path / "alone", world.url)
    report, _ = crawl_elsewhere(tmp_path / "shared", world.url)
    assert contents(tmp_path / "shared") == contents(tmp_path / "alone")
    assert (count(report), report.not_modified) == (count(alone), alone.not_modified)


def test_a_shard_that_is_finished_is_not_fetched_again_after_its_run_died(world: World, tmp_path: Path) -> None:
    lake, options = tmp_path / "lake", CrawlOptions(base_url=world.url, rate="unlimited")

    class Dying(Elsewhere):
        async def fetch(self, works: Sequence[ShardWork], done: Done) -> None:
            await super().fetch(works[:1], done)
            raise KeyboardInterrupt

    dying = Dying(lake, options)
    with pytest.raises(KeyboardInterrupt):
        asyncio.run(crawl(pokeapi(), Lake(lake), options, shards=dying))
    report, shards = crawl_elsewhere(lake, world.url)
    assert report.status == "done"
    assert not set(dying.fetched) & set(shards.fetched)
    run(tmp_path / "alone", world.url)
    assert contents(lake) == contents(tmp_path / "alone")


def test_an_outcome_that_never_came_ends_the_run(world: World, tmp_path: Path) -> None:
    class Forgetful(Elsewhere):
        async def fetch(self, works: Sequence[ShardWork], done: Done) -> None:
            await super().fetch(works[1:], done)

    lake, options = tmp_path / "lake", CrawlOptions(base_url=world.url, rate="unlimited")
    with pytest.raises(LakeError, match="no outcome of the shards"):
        asyncio.run(crawl(pokeapi(), Lake(lake), options, shards=Forgetful(lake, options)))
    assert contents(lake) == {}


def test_a_guard_counts_what_came_to_nothing_in_every_process(world: World, tmp_path: Path) -> None:
    app = world.app

    async def forbidding(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and "/item/" in scope["path"] and not scope["path"].endswith("/item/"):
            await send({"type": "http.response.start", "status": 403, "headers": []})
            await send({"type": "http.response.body", "body": b""})
        else:
            await app(scope, receive, send)

    with running(forbidding) as url, pytest.raises(GuardTripped, match="item: .* failed, so nothing is committed"):
        crawl_elsewhere(tmp_path / "lake", url)
    assert contents(tmp_path / "lake") == {}
    assert Lake(tmp_path / "lake").source("pokeapi").runs.losses()["item"]


def test_a_shard_of_a_run_that_has_ended_is_refused_with_the_remedy(world: World, tmp_path: Path) -> None:
    report, _ = crawl_elsewhere(tmp_path / "lake", world.url)
    options = CrawlOptions(base_url=world.url, rate="unlimited")
    with pytest.raises(ConfigurationError, match="the run has ended") as error:
        asyncio.run(crawl_shards(pokeapi(), Lake(tmp_path / "lake"), options, report.run_id, [0], parts=2))
    assert "start a refresh" in str(error.value)


def test_a_shard_read_by_another_configuration_than_its_plans_is_refused(world: World, tmp_path: Path) -> None:
    lake, options = tmp_path / "lake", CrawlOptions(base_url=world.url, rate="unlimited")
    other = CrawlOptions(base_url=world.url, rate="unlimited", force=True)
    with pytest.raises(ConfigurationError, match="another configuration"):
        asyncio.run(crawl(pokeapi(), Lake(lake), options, shards=Elsewhere(lake, other)))
