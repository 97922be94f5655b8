"""A kept answer, read again under a corrected contract: content of the instant at which it came, and never a regression."""

from pathlib import Path
from typing import Any

import pytest

from tests.conftest import World
from tests.crawling import Clock, ask, count, pokeapi, run
from tests.unit.crawl.test_guards import Altered
from tests.unit.crawl.test_shapes import serving
from trawl.crawl import find_quarantined, maintain, pending_holds, replay
from trawl.lake import Lake
from trawl.model.config import SourceConfig
from trawl.model.errors import ConfigurationError, LeaseHeld
from trawl.sources import parse_source


def source(fields: str = "{}", unordered: str = "[]", detail: str = "{path: 'a/{key}'}") -> SourceConfig:
    return parse_source(
        "name: things\nbase_url: https://h\nendpoints:\n"
        f"  a: {{list: {{path: a}}, detail: {detail}, label: name, contract: {{fields: {fields}}}, unordered: {unordered}}}",
        "t",
    )


STRICT, LOOSE = source("{cost: integer}"), source("{cost: integer|null}")


def world_of(*costs: Any) -> dict[str, Any]:
    bodies: dict[str, Any] = {"a": [{"id": key, "name": f"n{key}"} for key in range(len(costs))]}
    return bodies | {f"a/{key}": {"id": key, "name": f"n{key}", "cost": cost} for key, cost in enumerate(costs)}


def outcome(lake: Path | str, config: SourceConfig, **more: Any) -> dict[str, tuple[str, str | None]]:
    results, _ = replay(Lake(lake), config, **more)
    return {result.key: (result.result, result.reason) for result in results}


def test_what_passes_becomes_content_of_the_instant_at_which_it_came(lake_url: str) -> None:
    clock = Clock()
    with serving(world_of(1, 2, 3)) as (url, answers):
        run(lake_url, url, STRICT, clock=clock)
        clock.move(days=1)
        before = clock()
        answers.bodies |= {"a/0": world_of(None)["a/0"], "a/1": {"id": 1, "name": "n1", "cost": "much"}}
        assert count(run(lake_url, url, STRICT, clock=clock, force=True)) == {"quarantined": 2}
        clock.move(days=1)
        asked = len(answers.asked)
        results, report = replay(Lake(lake_url), LOOSE, clock=clock)
        assert len(answers.asked) == asked
        assert {result.key: result.result for result in results} == {"0": "changed", "1": "still broken"}
        assert results[1].reason == "contract: the field 'cost' is string, not integer|null"
        assert report is not None
        assert report.endpoints["a"].changed == report.total("changed") == 1
    versions = ask(
        lake_url, "SELECT version, payload, valid_from FROM things.versions WHERE key = '0' ORDER BY version"
    )
    assert '"cost": null' in versions[1]["payload"]
    assert '"cost": null' in ask(lake_url, "FROM things.records WHERE key = '0'", as_of=clock())[0]["payload"]
    assert '"cost": 1' in ask(lake_url, "FROM things.records WHERE key = '0'", as_of=before)[0]["payload"]
    (bad,) = ask(lake_url, "FROM things.quarantine WHERE key = '0'")
    assert (versions[1]["valid_from"] - bad["observed_at"]).total_seconds() < 1
    assert not bad["open"]
    (row,) = ask(lake_url, "FROM things.records WHERE key = '0'")
    assert (row["checked_at"], row["failures"], row["retry_at"]) == (bad["observed_at"], 0, None)
    assert [row["open"] for row in ask(lake_url, "FROM things.quarantine WHERE key = '1'")] == [True]
    (entry,) = ask(lake_url, "SELECT status, requests FROM things.runs WHERE mode = 'replay'")
    assert entry == {"status": "done", "requests": 0}
    with serving(answers.bodies) as (url, _):
        assert count(run(lake_url, url, LOOSE, clock=clock, force=True)) == {"quarantined": 1}


def test_a_record_that_was_read_well_since_is_left_alone_and_said_so(tmp_path: Path) -> None:
    with serving(world_of(1)) as (url, answers):
        run(tmp_path, url, STRICT)
        answers.bodies |= world_of(None)
        run(tmp_path, url, STRICT, force=True)
        answers.bodies |= world_of(5)
        run(tmp_path, url, STRICT, force=True)
    before = ask(tmp_path, "FROM things.records")
    assert replay(Lake(tmp_path), LOOSE) == ([], None)
    results, report = replay(Lake(tmp_path), LOOSE, "a", "N0")
    assert [(r.result, r.reason) for r in results] == [("left alone", "the record was read well since")]
    assert report is None
    assert ask(tmp_path, "FROM things.records") == before


def test_its_place_in_history_is_after_whatever_was_observed_since(tmp_path: Path) -> None:
    clock = Clock()
    with serving(world_of(1)) as (url, answers):
        run(tmp_path, url, STRICT, clock=clock)
        answers.bodies |= world_of(None)
        run(tmp_path, url, STRICT, clock=clock, force=True)
        came = clock()
        clock.move(days=1)
        answers.bodies["a/0"] = None
        run(tmp_path, url, STRICT, clock=clock, force=True)
        failed = clock()
        assert outcome(tmp_path, LOOSE, clock=clock) == {"0": ("changed", None)}
    (row,) = ask(tmp_path, "FROM things.records")
    assert row["checked_at"] < came, "it is no newer than it is"
    (newest,) = ask(tmp_path, "FROM things.versions WHERE valid_to IS NULL")
    assert came < newest["valid_from"] < failed


def test_of_several_answers_the_newest_counts(tmp_path: Path) -> None:
    with serving(world_of(1)) as (url, answers):
        run(tmp_path, url, STRICT)
        for cost in (None, None, "much"):
            answers.bodies |= world_of(cost)
            run(tmp_path, url, STRICT, force=True)
    assert outcome(tmp_path, LOOSE)["0"][0] == "still broken"
    assert outcome(tmp_path, source()) == {"0": ("changed", None)}
    assert '"much"' in ask(tmp_path, "SELECT payload FROM things.records")[0]["payload"]
    assert outcome(tmp_path, source()) == {}


def test_a_record_that_was_never_read_well_becomes_new(tmp_path: Path) -> None:
    with serving(world_of(None)) as (url, _):
        assert count(run(tmp_path, url, STRICT)) == {"quarantined": 1}
        assert outcome(tmp_path, LOOSE) == {"0": ("new", None)}
        assert count(run(tmp_path, url, LOOSE, force=True)) == {}
    (row,) = ask(tmp_path, "SELECT label, url, version FROM things.records")
    assert row == {"label": "n0", "url": "https://h/a/0", "version": 1}


def test_a_list_only_item_is_replayed_like_a_document(tmp_path: Path) -> None:
    strict, loose = (source(f"{{cost: {kind}}}", detail="null") for kind in ("integer", "integer|null"))
    with serving({"a": [{"id": 1, "name": "n", "cost": None}]}) as (url, _):
        run(tmp_path, url, strict)
        assert outcome(tmp_path, loose) == {"1": ("new", None)}
        assert count(run(tmp_path, url, loose)) == {}


def test_what_is_no_document_stays_open(tmp_path: Path) -> None:
    with serving(world_of(1) | {"a/0": b"<html>"}) as (url, _):
        run(tmp_path, url, source())
    result, reason = outcome(tmp_path, source())["0"]
    assert (result, reason) == ("still broken", "not JSON: the answer is an HTML page")


def test_under_changed_rules_a_reordering_that_was_quarantined_is_one(tmp_path: Path) -> None:
    def tagged(*tags: int) -> dict[str, Any]:
        return {"a": [{"id": 0, "name": "n0"}], "a/0": {"id": 0, "tags": tags, "cost": 1}}

    with serving(tagged(3, 1)) as (url, answers):
        run(tmp_path, url, source("{cost: integer}"))
        answers.bodies |= tagged(1, 3)
        answers.bodies["a/0"]["name"] = None
        strict = source("{name: string}")
        run(tmp_path, url, source("{cost: string}"), force=True)
        assert outcome(tmp_path, strict)["0"][0] == "still broken"
        answers.bodies["a/0"].pop("name")
        run(tmp_path, url, source("{cost: string}"), force=True)
    assert outcome(tmp_path, source("{cost: integer}", "[tags]")) == {"0": ("reordered", None)}
    assert ask(tmp_path, "SELECT max(version) AS n FROM things.versions") == [{"n": 1}]


def test_a_missing_record_stays_missing_and_a_gone_one_gone(tmp_path: Path) -> None:
    clock = Clock()
    bodies = world_of(1, 2)
    with serving(bodies) as (url, answers):
        run(tmp_path, url, STRICT, clock=clock)
        answers.bodies |= {"a/1": {"id": 1, "name": "n1", "cost": None}}
        run(tmp_path, url, STRICT, clock=clock, force=True)
        answers.bodies |= {"a": bodies["a"][:1], "a/1": None}
        run(tmp_path, url, STRICT, clock=clock, force=True)
        assert outcome(tmp_path, LOOSE, clock=clock, dry_run=True) == {"1": ("changed", None)}
        for _ in range(2):
            clock.move(days=7)
            run(tmp_path, url, STRICT, clock=clock, force=True)
    assert outcome(tmp_path, LOOSE, clock=clock) == {"1": ("left alone", "the record is gone since")}
    assert [row["key"] for row in ask(tmp_path, "FROM things.records")] == ["0"]


def test_a_body_that_is_not_kept_any_longer_is_said(tmp_path: Path) -> None:
    with serving(world_of(None)) as (url, _):
        run(tmp_path, url, STRICT)
    next(tmp_path.glob("things/quarantine/*/a/0.json")).unlink()
    assert outcome(tmp_path, LOOSE) == {"0": ("left alone", "its body is not kept any longer")}


def test_a_dry_run_and_a_run_under_way_change_nothing(tmp_path: Path) -> None:
    with serving(world_of(None)) as (url, _):
        run(tmp_path, url, STRICT)
    lake = Lake(tmp_path)
    before = {path for path in tmp_path.rglob("*") if path.is_file()}
    results, report = replay(lake, LOOSE, dry_run=True)
    assert (results[0].result, report) == ("new", None)
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == before
    lease = lake.source("things").lease("another", Clock())
    lease.take()
    with pytest.raises(LeaseHeld):
        replay(lake, LOOSE)
    lease.release()


def test_a_replay_leaves_held_news_to_be_decided_and_cannot_be_overwritten_by_them(tmp_path: Path) -> None:
    with serving(world_of(*range(20))) as (url, answers):
        run(tmp_path, url, STRICT)
        answers.bodies["a/19"] = {"id": 19, "name": "n19", "cost": None}
        run(tmp_path, url, STRICT, force=True)
        answers.bodies["a"] = answers.bodies["a"][19:]
        run(tmp_path, url, STRICT)
        assert list(pending_holds(Lake(tmp_path).source("things"))) == ["a"]
        assert outcome(tmp_path, LOOSE) == {"19": ("changed", None)}
        assert list(pending_holds(Lake(tmp_path).source("things"))) == ["a"]
        assert run(tmp_path, url, STRICT, accept=("a",)).endpoints["a"].missing == 19
    assert '"cost": null' in ask(tmp_path, "SELECT payload FROM things.records WHERE key = '19'")[0]["payload"]


def test_an_answer_is_found_by_key_or_label_and_candidates_are_named(tmp_path: Path) -> None:
    bodies = world_of(None, None)
    bodies["a"][1]["name"] = "n0"
    with serving(bodies) as (url, _):
        first = run(tmp_path, url, STRICT)
        run(tmp_path, url, STRICT, force=True)
    lake = Lake(tmp_path)
    assert len(find_quarantined(lake, "things")) == 4
    assert [row["run"] for row in find_quarantined(lake, "things", "a", "0", first.run_id)] == [first.run_id]
    with pytest.raises(ConfigurationError, match="several records"):
        find_quarantined(lake, "things", "a", "N0")
    with pytest.raises(ConfigurationError, match="no quarantined answer"):
        find_quarantined(lake, "things", "a", "nobody")
    maintain(lake, "things")
    assert len(find_quarantined(lake, "things")) == 4


def test_the_headers_of_an_answer_count_as_when_it_came(world: World, lake_url: str) -> None:
    altered = Altered()
    altered.bodies = {"machine/1": b'{"id": 1, "note": "another"}'}
    world.serve(altered)
    shape = {"fields": {"id": "integer", "item": "object"}, "key": "id"}
    strict, loose = (
        pokeapi(endpoints={"machine": pokeapi().endpoints["machine"].model_dump(mode="json") | {"contract": contract}})
        for contract in (shape, {"key": "id"})
    )
    assert count(run(lake_url, world.url, strict))["quarantined"] == 1
    assert outcome(lake_url, loose) == {"1": ("new", None)}
    (row,) = ask(lake_url, "FROM pokeapi.records WHERE key = '1'")
    (other, *_) = ask(lake_url, "FROM pokeapi.records WHERE key <> '1'")
    assert row["etag"] == 'W/"other"'
    assert row["source_version"] == other["source_version"] is not None
    report = run(lake_url, world.url, loose, force=True)
    assert (count(report), report.not_modified) == ({}, 0), "by another contract all is read anew"
    report = run(lake_url, world.url, loose, force=True)
    assert (count(report), report.not_modified) == ({}, report.requests - 1)
