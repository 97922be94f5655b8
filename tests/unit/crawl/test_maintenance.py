"""What maintenance takes away is needed by nobody: not by any past instant, a reader, a run, or a decision that waits."""

import io
import json
import random
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.conftest import World
from tests.crawling import Clock, ask, contents, count, run, without_token
from tests.unit.crawl.test_days import guardless
from tests.unit.crawl.test_shapes import serving
from trawl.crawl import maintain
from trawl.lake import Lake
from trawl.model.errors import GuardTripped, LakeError, LeaseHeld, StaleCommit
from trawl.sources import parse_source

AT_ONCE = timedelta(0)
REPLACED, PLANS, ANSWERS, MANIFESTS = (
    "files that no commit names",
    "plans of dead runs",
    "quarantined answers that are out of date",
    "manifests of runs without a commit",
)
FAMILY = """
name: things
base_url: https://h
endpoints:
  a: {list: {path: a}, detail: {path: "a/{key}"}}
  b: {parent: a, detail: {path: "b/{key}"}}
"""


def committed(lake: str) -> set[str]:
    snapshot = Lake(lake).source("pokeapi").log.snapshot()
    assert snapshot is not None
    return {f"pokeapi/log/{path}" for path in snapshot.files()["path"].to_pylist()}


def stored(lake: str, place: str) -> set[str]:
    return {item["path"] for item in Lake(lake).store.scan(place) if not item["path"].endswith(".json.lock")}


def parquet(lake: str, source: str = "pokeapi") -> set[str]:
    return {path for path in stored(lake, f"{source}/log") if "_delta_log" not in path}


def test_after_a_vacuum_every_past_instant_answers_as_it_was_and_only_committed_files_are_left(
    world: World, lake_url: str
) -> None:
    clock, source = Clock(), guardless()
    seen: dict[Any, Any] = {clock(): {}}
    for day in (0, 1, 2, 3):
        world.day(day)
        clock.move(days=1)
        run(lake_url, world.url, source, clock=clock)
        seen[clock()] = contents(lake_url)
    before = parquet(lake_url)
    versions = "SELECT endpoint, key, version, valid_from, valid_to, payload FROM pokeapi.versions ORDER BY ALL"
    history = ask(lake_url, versions)
    changes = ask(lake_url, "FROM pokeapi.changes ORDER BY ALL")
    found = maintain(Lake(lake_url), "pokeapi", retain=AT_ONCE, clock=clock)
    assert found.rows_folded > 0
    assert parquet(lake_url) == committed(lake_url)
    assert found.removed[REPLACED]["files"] == len(before - committed(lake_url))
    for instant, expected in seen.items():
        assert contents(lake_url, as_of=instant) == expected
    assert ask(lake_url, versions) == history
    assert ask(lake_url, "FROM pokeapi.changes ORDER BY ALL") == changes
    world.day(4)
    clock.move(days=1)
    run(lake_url, world.url, source, clock=clock)
    for instant, expected in seen.items():
        assert contents(lake_url, as_of=instant) == expected


def test_what_was_replaced_within_the_retention_stays_for_readers_that_have_it_open(
    world: World, lake_url: str
) -> None:
    clock = Clock()
    run(lake_url, world.url, without_token(), clock=clock)
    run(lake_url, world.url, without_token(), clock=clock, force=True)
    lake = Lake(lake_url)
    reader = lake.query("SELECT count(*) AS n FROM pokeapi.records")
    before = parquet(lake_url)
    assert maintain(lake, "pokeapi", clock=clock).removed == {}
    assert parquet(lake_url) >= before
    assert list(reader.rows()) == [{"n": 200}]
    clock.move(days=6)
    assert maintain(lake, "pokeapi", clock=clock).removed == {}
    clock.move(days=2)
    assert maintain(lake, "pokeapi", clock=clock).removed[REPLACED]["files"] > 0
    assert parquet(lake_url) == committed(lake_url)
    assert len(contents(lake_url)) == 200


def test_a_dry_run_says_what_would_go_and_changes_nothing(world: World, lake_url: str) -> None:
    run(lake_url, world.url, without_token())
    run(lake_url, world.url, without_token(), force=True)
    lake = Lake(lake_url)
    maintain(lake, "pokeapi")
    before = stored(lake_url, "pokeapi")
    told = maintain(lake, "pokeapi", retain=AT_ONCE, dry_run=True)
    assert told.removed[REPLACED]["files"] > 0
    assert stored(lake_url, "pokeapi") == before
    assert maintain(lake, "pokeapi", retain=AT_ONCE).removed == told.removed
    assert maintain(lake, "pokeapi", retain=AT_ONCE).removed == {}


def test_a_run_under_way_keeps_maintenance_out_and_a_killed_one_is_still_finished_after_it(
    world: World, tmp_path: Path
) -> None:
    lake = str(tmp_path)
    for _ in range(2):
        run(lake, world.url, endpoints=("machine",), force=True)
    command = [sys.executable, "-c", "from trawl.cli import main; main()", "run", "pokeapi", "--lake", lake]
    command += ["--base-url", world.url, "--endpoint", "pokemon", "--endpoint", "pokemon-encounters", "--rate", "25"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        while not list(tmp_path.glob("pokeapi/plans/*/000000.json")):
            time.sleep(0.02)
            assert process.poll() is None
        with pytest.raises(LeaseHeld):
            maintain(Lake(lake), "pokeapi", retain=AT_ONCE)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    shards = {path for path in parquet(lake) if path not in committed(lake)}
    assert shards
    found = maintain(Lake(lake), "pokeapi", retain=AT_ONCE)
    assert found.files_joined > 0
    assert shards <= parquet(lake)
    expected = sum(1 for _ in tmp_path.glob("pokeapi/plans/*/000000.json"))
    assert expected == 1
    assert subprocess.run([*command[:-1], "1000"], capture_output=True, check=False).returncode == 0
    (last, *_) = ask(lake, "FROM pokeapi.runs ORDER BY finished_at DESC")
    pokemon = sum(endpoint == "pokemon" for endpoint, _ in contents(lake))
    assert json.loads(last["endpoints"])["pokemon"]["new"] == pokemon > 0
    assert last["requests"] <= pokemon + 2, "what was finished is not fetched again"


def test_a_plan_that_nobody_can_finish_any_longer_goes_with_its_files(tmp_path: Path) -> None:
    clock = Clock()
    bodies: dict[str, Any] = {"a": [{"id": key} for key in range(20)]} | {f"a/{key}": {"id": key} for key in range(20)}
    with serving(bodies) as (url, answers):
        with pytest.raises(GuardTripped):
            run(tmp_path, url, parse_source(FAMILY, "t"), clock=clock)
        shards = parquet(str(tmp_path), "things")
        assert shards
        lake = Lake(tmp_path)
        assert maintain(lake, "things", retain=AT_ONCE, clock=clock).removed.keys() <= {ANSWERS}
        assert parquet(str(tmp_path), "things") == shards
        clock.move(days=1, minutes=1)
        removed = maintain(lake, "things", retain=AT_ONCE, clock=clock).removed
        assert removed[PLANS]["files"] == 3
        assert removed[REPLACED]["files"] == len(shards)
        assert not list(tmp_path.glob("things/plans/*"))
        answers.bodies |= {f"b/{key}": {"id": key} for key in range(20)}
        assert count(run(tmp_path, url, parse_source(FAMILY, "t"), clock=clock)) == {"new": 40}


def test_a_writer_that_lost_its_lease_cannot_commit_what_was_deleted(world: World, lake_url: str) -> None:
    clock = Clock()
    run(lake_url, world.url, endpoints=("machine",), clock=clock)
    source = Lake(lake_url).source("pokeapi")
    base = source.log.make()
    writer = source.log.writer("zombie", "0")
    source.write_run(writer, base, "zombie", clock(), {})
    files = writer.close()
    clock.move(days=8)
    assert maintain(Lake(lake_url), "pokeapi", clock=clock).removed[REPLACED]["files"] == 1
    with pytest.raises(LakeError):
        source.log.commit(base, "zombie", files)
    writer = source.log.writer("zombie", "1")
    source.write_run(writer, base, "zombie", clock(), {})
    with pytest.raises(StaleCommit):
        source.log.commit(base, "zombie", writer.close())
    assert len(ask(lake_url, "FROM pokeapi.runs")) == 1


def test_held_news_outlive_maintenance_until_they_are_decided(tmp_path: Path) -> None:
    clock, source = Clock(), parse_source(FAMILY, "t")
    bodies: dict[str, Any] = {"a": [{"id": key} for key in range(20)]}
    bodies |= {f"{place}/{key}": {"id": key} for place in "ab" for key in range(20)}
    with serving(bodies) as (url, answers):
        run(tmp_path, url, source, clock=clock)
        answers.bodies["a"] = [{"id": 1}]
        assert run(tmp_path, url, source, clock=clock, force=True).held == ["a", "b"]
        clock.move(days=30)
        maintain(Lake(tmp_path), "things", clock=clock)
        assert run(tmp_path, url, source, clock=clock, accept=("a", "b")).endpoints["a"].missing == 19
    states = ask(tmp_path, "SELECT state, count(*) AS n FROM things.records GROUP BY 1 ORDER BY 1")
    assert states == [{"state": "missing", "n": 38}, {"state": "present", "n": 2}]


def test_a_quarantined_answer_goes_once_its_record_was_read_well(tmp_path: Path) -> None:
    clock, source = Clock(), parse_source(FAMILY, "t")
    bodies: dict[str, Any] = {"a": [{"id": 1}], "a/1": [], "b/1": {}}
    with serving(bodies) as (url, answers):
        assert count(run(tmp_path, url, source, clock=clock)) == {"new": 1, "quarantined": 1}
        clock.move(days=30)
        maintain(Lake(tmp_path), "things", clock=clock)
        assert len(list(tmp_path.glob("things/quarantine/*/a/1.json"))) == 1
        answers.bodies["a/1"] = {"id": 1}
        run(tmp_path, url, source, clock=clock)
        clock.move(days=8)
        assert maintain(Lake(tmp_path), "things", clock=clock).removed[ANSWERS]["files"] == 1
    assert not list(tmp_path.glob("things/quarantine/*"))
    assert [row["open"] for row in ask(tmp_path, "FROM things.quarantine")] == [False]


def test_manifests_of_runs_without_a_commit_stay_three_months_and_decisions_for_good(tmp_path: Path) -> None:
    clock, source = Clock(), parse_source(FAMILY, "t")
    bodies: dict[str, Any] = {"a": [{"id": key} for key in range(20)]}
    bodies |= {f"{place}/{key}": {"id": key} for place in "ab" for key in range(20)}
    with serving(bodies) as (url, answers):
        run(tmp_path, url, source, clock=clock)
        answers.bodies |= {f"b/{key}": None for key in range(20)}
        with pytest.raises(GuardTripped):
            run(tmp_path, url, source, clock=clock, force=True)
        answers.bodies["a"] = [{"id": 1}]
        run(tmp_path, url, source, clock=clock, endpoints=("a",), force=True)
        run(tmp_path, url, source, clock=clock, reject=("a",))
        lake = Lake(tmp_path)
        claims = json.loads(next(tmp_path.glob("things/runs/*.aborted.json")).read_bytes()) | {"committed": True}
        lake.store.put("things/runs/claims.json", json.dumps(claims | {"run_id": "claims"}).encode())
        clock.move(days=60)
        assert maintain(lake, "things", clock=clock).removed[MANIFESTS]["files"] == 1
        clock.move(days=40)
        assert maintain(lake, "things", clock=clock).removed[MANIFESTS]["files"] == 1
        statuses = ask(tmp_path, "SELECT status FROM things.runs ORDER BY started_at")
        assert [row["status"] for row in statuses] == ["done", "held", "done"]
        assert count(run(tmp_path, url, source, clock=clock, endpoints=("a",), accept=("a",))) == {"missing": 19}


def test_half_written_files_of_killed_writers_go(world: World, tmp_path: Path) -> None:
    run(tmp_path, world.url, endpoints=("machine",))
    half = tmp_path / "pokeapi/log/kind=payload/endpoint=machine/x.parquet#1"
    half.write_bytes(b"PAR1")
    clock = Clock()
    assert maintain(Lake(tmp_path), "pokeapi", clock=clock).removed == {}
    clock.move(days=8)
    assert maintain(Lake(tmp_path), "pokeapi", clock=clock).removed == {"half-written files": {"files": 1, "bytes": 4}}
    assert not half.exists()


def test_deltas_own_log_is_summed_up(world: World, tmp_path: Path) -> None:
    for _ in range(2):
        run(tmp_path, world.url, endpoints=("machine",), force=True)
    maintain(Lake(tmp_path), "pokeapi")
    (checkpoint,) = tmp_path.glob("pokeapi/log/_delta_log/*.checkpoint.parquet")
    assert "add" in pq.ParquetFile(io.BytesIO(checkpoint.read_bytes())).schema_arrow.names
    assert count(run(tmp_path, world.url, endpoints=("machine",), force=True)) == {}


def test_what_was_joined_is_left_alone_the_next_time(tmp_path: Path) -> None:
    source = parse_source(
        "name: things\nbase_url: https://h\nendpoints: {a: {list: {path: a}, detail: {path: 'a/{key}'}}}", "t"
    )
    noise = random.Random(1)
    bodies: dict[str, Any] = {"a": [{"id": key} for key in range(24)]}
    with serving(bodies) as (url, answers):
        for _ in range(2):
            answers.bodies |= {f"a/{key}": {"noise": noise.randbytes(500_000).hex()} for key in range(24)}
            run(tmp_path, url, source, force=True)
    lake = Lake(tmp_path)
    assert maintain(lake, "things").files_joined > 0
    snapshot = lake.source("things").log.make()
    assert sum(file.kind == "payload" for file in snapshot.log_files()) == 2
    assert maintain(lake, "things").files_joined == 0
    assert len(ask(tmp_path, "FROM things.versions")) == 48


def test_a_folder_is_pruned_only_once_it_is_empty(tmp_path: Path) -> None:
    store = Lake(tmp_path).store
    store.make()
    store.put("a/b/one", b"1")
    store.prune("a/b")
    store.prune("a")
    assert store.get("a/b/one") == b"1"
    store.delete("a/b/one")
    store.prune("a/b")
    assert not (tmp_path / "a/b").exists()
