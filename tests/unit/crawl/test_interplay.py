"""Runs of different kinds that follow one another: nothing falls between them."""

from pathlib import Path
from typing import Any

import pytest

from tests.crawling import Clock, ask, count, run
from tests.unit.crawl.test_shapes import serving
from trawl.crawl import maintain
from trawl.lake import Lake
from trawl.sources import parse_source

HEAD = "name: things\nbase_url: https://h\nendpoints:\n"
LIST_ONLY = parse_source(HEAD + "  a: {list: {path: a}, detail: null}", "t")
DETAIL = parse_source(HEAD + "  a: {list: {path: a}, detail: {path: 'a/{key}'}, contract: {type: any}}", "t")


def items(*keys: int, **more: Any) -> list[dict[str, Any]]:
    return [{"id": key} | more for key in keys]


def known(lake: Path) -> list[str]:
    return [row["key"] for row in ask(lake, "SELECT key FROM things.records WHERE state = 'present' ORDER BY key::INT")]


@pytest.mark.parametrize("first", [{"mode": "discover"}, {"max_requests": 4}])
def test_what_one_run_leaves_of_a_list_only_endpoint_the_next_one_stores(tmp_path: Path, first: dict[str, Any]) -> None:
    with serving({"a": items(*range(10))}) as (url, answers):
        run(tmp_path, url, LIST_ONLY, **first)
        run(tmp_path, url, LIST_ONLY)
        assert len(known(tmp_path)) == 10
        answers.bodies["a"] = items(*range(10), v=2)
        run(tmp_path, url, LIST_ONLY, **first)
        run(tmp_path, url, LIST_ONLY)
    assert ask(tmp_path, "SELECT count(*) AS n FROM things.versions WHERE version = 2") == [{"n": 10}]


def test_after_a_rejected_mass_change_new_records_still_arrive(tmp_path: Path) -> None:
    guard = "defaults: {guards: {changed: {ratio: 0.5, count: 2, action: hold}}}\n"
    source = parse_source(
        HEAD.replace("endpoints", guard + "endpoints") + "  a: {list: {path: a}, detail: {path: 'a/{key}'}}", "t"
    )
    bodies: dict[str, Any] = {"a": items(*range(10))} | {f"a/{key}": {"id": key} for key in range(12)}
    with serving(bodies) as (url, answers):
        run(tmp_path, url, source)
        answers.bodies |= {"a": items(*range(12))} | {f"a/{key}": {"id": key, "v": 2} for key in range(12)}
        assert run(tmp_path, url, source, force=True).held == ["a"]
        assert len(known(tmp_path)) == 10
        run(tmp_path, url, source, reject=("a",))
        run(tmp_path, url, source, accept=("a",), force=True)
    assert len(known(tmp_path)) == 12


def test_children_of_a_held_parent_are_neither_fetched_nor_missing(tmp_path: Path) -> None:
    source = parse_source(
        HEAD + "  a: {list: {path: a}, detail: {path: 'a/{key}'}}\n"
        "  b: {parent: a, detail: {path: 'b/{key}'}, contract: {type: any}}",
        "t",
    )
    bodies: dict[str, Any] = {"a": items(*range(20))}
    bodies |= {f"{name}/{key}": {"id": key} for name in "ab" for key in range(20)}
    with serving(bodies) as (url, answers):
        run(tmp_path, url, source)
        for key in range(5, 20):
            answers.bodies[f"a/{key}"] = answers.bodies[f"b/{key}"] = None
        answers.bodies["a"] = items(*range(5))
        report = run(tmp_path, url, source, force=True)
        assert (report.status, report.held) == ("held", ["a", "b"])
        assert len(known(tmp_path)) == 40
        run(tmp_path, url, source, accept=("a",))
    assert ask(tmp_path, "SELECT count(*) AS n FROM things.records WHERE endpoint = 'a' AND state = 'missing'") == [
        {"n": 15}
    ]


def test_a_record_that_leaves_the_list_but_still_answers_is_missing_at_every_later_instant(tmp_path: Path) -> None:
    clock = Clock()
    bodies: dict[str, Any] = {"a": items(1, 2)} | {f"a/{key}": {"id": key} for key in (1, 2)}
    state = "SELECT state FROM things.records WHERE key = '2'"
    with serving(bodies) as (url, answers):
        run(tmp_path, url, DETAIL, clock=clock)
        answers.bodies["a"] = items(1)
        run(tmp_path, url, DETAIL, clock=clock, force=True)
        instant = clock()
        for _ in range(2):
            clock.move(days=1)
            run(tmp_path, url, DETAIL, clock=clock, force=True)
    assert ask(tmp_path, state, as_of=instant) == [{"state": "missing"}]
    maintain(Lake(tmp_path), "things", clock=clock)
    assert ask(tmp_path, state, as_of=instant) == [{"state": "missing"}]
    assert ask(tmp_path, "SELECT change FROM things.changes WHERE key = '2' ORDER BY observed_at") == [
        {"change": "created"},
        {"change": "missing"},
    ]


def test_a_path_follows_the_label_and_the_parent(tmp_path: Path) -> None:
    source = parse_source(
        HEAD + "  a: {list: {path: a}, label: name, detail: {path: 'a/{label}'}}\n"
        "  b: {parent: a, detail: {path: '{parent.next}'}, contract: {type: any}}",
        "t",
    )
    old = {"id": 1, "name": "old", "next": "b/old"}
    new = {"id": 1, "name": "new", "next": "b/new"}
    with serving({"a": [old], "a/old": old, "b/old": 1}) as (url, answers):
        assert count(run(tmp_path, url, source)) == {"new": 2}
        answers.bodies = {"a": [new], "a/new": new, "b/new": 2}
        assert count(run(tmp_path, url, source, force=True)) == {"changed": 2}


def test_what_discovery_sees_return_is_fetched_by_the_next_refresh(tmp_path: Path) -> None:
    clock = Clock()
    bodies: dict[str, Any] = {"a": items(1, 2), "a/1": {"id": 1}, "a/2": {"id": 2}}
    with serving(bodies) as (url, answers):
        run(tmp_path, url, DETAIL, clock=clock)
        answers.bodies |= {"a": items(1), "a/2": None}
        run(tmp_path, url, DETAIL, clock=clock)
        answers.bodies |= {"a": items(1, 2), "a/2": {"id": 2, "v": 99}}
        run(tmp_path, url, DETAIL, clock=clock, mode="discover")
        assert count(run(tmp_path, url, DETAIL, clock=clock)) == {"changed": 1}


def test_a_small_endpoint_that_vanishes_whole_is_held(tmp_path: Path) -> None:
    bodies: dict[str, Any] = {"a": items(1, 2), "a/1": {"id": 1}, "a/2": {"id": 2}}
    with serving(bodies) as (url, answers):
        run(tmp_path, url, DETAIL)
        answers.bodies["a"] = None
        assert run(tmp_path, url, DETAIL).held == ["a"]
    assert known(tmp_path) == ["1", "2"]
