"""A generated world over several days: the lake follows it exactly."""

from pathlib import Path

import pytest

from tests.conftest import World
from tests.crawling import Clock, ask, changes_of, contents, count, pokeapi, rows_written, run, without_token
from trawl.crawl import maintain
from trawl.lake import Lake
from trawl.replica import ENCOUNTERS, changes


def keys(found: frozenset[tuple[str, str]]) -> set[tuple[str, str]]:
    """The replica's names for records as the source calls them."""
    return {("pokemon-encounters" if endpoint == ENCOUNTERS else endpoint, str(key)) for endpoint, key in found}


def test_the_first_run_stores_every_record_once(world: World, tmp_path: Path) -> None:
    report = run(tmp_path, world.url)
    assert count(report) == {"new": 200}
    assert len(contents(tmp_path)) == 200
    assert rows_written(tmp_path, report.run_id)["put"] == 200


@pytest.mark.parametrize("last", [1, 3])
def test_the_next_run_finds_what_changed_and_nothing_else(world: World, tmp_path: Path, last: int) -> None:
    run(tmp_path, world.url, without_token())
    world.day(last)
    report = run(tmp_path, world.url, guardless(), force=True)
    expected = changes(200, seed=7, first=0, second=last)
    found = changes_of(tmp_path, report.run_id)
    assert found["created"] == keys(expected.created)
    assert found["changed"] == keys(expected.changed | expected.renamed)
    assert found["renamed"] == keys(expected.renamed)
    assert found["reordered"] == keys(expected.reordered)
    assert found["missing"] == keys(expected.removed)


def test_a_new_token_makes_everything_due_and_a_settled_one_nothing(world: World, tmp_path: Path) -> None:
    run(tmp_path, world.url)
    settled = run(tmp_path, world.url)
    assert (settled.status, settled.requests) == ("no change", 1)
    world.day(1)
    assert run(tmp_path, world.url).requests > 150
    assert run(tmp_path, world.url).requests == 1


def test_without_news_a_forced_run_writes_no_payload(world: World, tmp_path: Path) -> None:
    run(tmp_path, world.url)
    report = run(tmp_path, world.url, force=True)
    assert rows_written(tmp_path, report.run_id) == {"check": 200, "run": 1}
    assert count(report) == {}


def test_no_cache_receives_everything_anew_and_still_writes_no_payload(world: World, tmp_path: Path) -> None:
    run(tmp_path, world.url)
    report = run(tmp_path, world.url, force=True, no_cache=True)
    assert report.not_modified == 0
    assert "put" not in rows_written(tmp_path, report.run_id)


def test_discovery_commits_what_the_lists_teach_and_fetches_nothing(world: World, tmp_path: Path) -> None:
    report = run(tmp_path, world.url, mode="discover")
    assert report.requests == 50
    assert rows_written(tmp_path, report.run_id)["listed"] == 200 + 49
    assert contents(tmp_path) == {}
    assert count(run(tmp_path, world.url)) == {"new": 200}


def test_discovery_never_settles_the_token(world: World, tmp_path: Path) -> None:
    run(tmp_path, world.url)
    world.day(1)
    run(tmp_path, world.url, mode="discover")
    assert run(tmp_path, world.url, mode="discover").requests == 1
    assert run(tmp_path, world.url).requests > 150


def test_a_budget_leaves_the_rest_due(world: World, tmp_path: Path) -> None:
    report = run(tmp_path, world.url, max_requests=90)
    assert report.requests == 90
    assert "stay due" in (report.note or "")
    assert count(report) == {"new": 40}
    assert count(run(tmp_path, world.url)) == {"new": 160}
    assert len(contents(tmp_path)) == 200


def test_one_endpoint_can_be_crawled_alone(world: World, tmp_path: Path) -> None:
    run(tmp_path, world.url, endpoints=("machine",))
    assert {endpoint for endpoint, _ in contents(tmp_path)} == {"machine"}


def test_a_missing_record_becomes_a_tombstone_only_after_two_refusals_six_days_apart(
    world: World, tmp_path: Path
) -> None:
    clock, source = Clock(), guardless()
    run(tmp_path, world.url, source, clock=clock)
    world.day(1)
    removed = keys(changes(200, seed=7, first=0, second=1).removed)
    assert changes_of(tmp_path, run(tmp_path, world.url, source, clock=clock, force=True).run_id)["missing"] == removed
    clock.move(days=5)
    assert not changes_of(tmp_path, run(tmp_path, world.url, source, clock=clock).run_id)["gone"]
    clock.move(days=1, minutes=1)
    report = run(tmp_path, world.url, source, clock=clock)
    assert changes_of(tmp_path, report.run_id)["gone"] == removed
    assert not removed & {(row["endpoint"], row["key"]) for row in ask(tmp_path, "FROM pokeapi.records")}
    world.day(0)
    report = run(tmp_path, world.url, source, clock=clock, force=True)
    assert changes_of(tmp_path, report.run_id)["revived"] >= removed


def test_every_past_instant_answers_as_it_was_also_after_maintenance(world: World, tmp_path: Path) -> None:
    clock, source = Clock(), guardless()
    seen = {clock(): {}}
    for day in (0, 1, 2, 3):
        world.day(day)
        clock.move(days=1)
        run(tmp_path, world.url, source, clock=clock)
        seen[clock()] = contents(tmp_path)
    folded = maintain(Lake(tmp_path), "pokeapi", clock=clock)
    assert folded.rows_folded > 0
    for instant, expected in seen.items():
        assert contents(tmp_path, as_of=instant) == expected
    world.day(4)
    clock.move(days=1)
    run(tmp_path, world.url, source, clock=clock)
    for instant, expected in seen.items():
        assert contents(tmp_path, as_of=instant) == expected


def guardless():
    """Small worlds lose more than 10% of a tiny endpoint in a day: no holds here, and no token."""
    defaults = pokeapi().defaults.model_dump(mode="json")
    endpoints = {name: {} for name in pokeapi().endpoints}
    child = pokeapi().endpoints["pokemon-encounters"].model_dump(mode="json")
    open_guards = {"missing": {"ratio": 1, "count": 10_000}, "failed": {"ratio": 1, "count": 10_000}}
    endpoints["pokemon-encounters"] = child | {"guards": open_guards}
    return pokeapi(version_token=None, defaults=defaults | {"guards": open_guards}, endpoints=endpoints)
