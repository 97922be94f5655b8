"""Changed semantic rules reach what is stored, without a fetch and without a version."""

from pathlib import Path
from typing import Any

import pytest

from tests.conftest import World
from tests.crawling import Clock, ask, contents, count, pokeapi, rows_written, run
from tests.unit.crawl.test_shapes import serving
from trawl.crawl import maintain
from trawl.lake import Lake
from trawl.model.config import SourceConfig
from trawl.sources import parse_source

HEAD = "name: things\nbase_url: https://h\nendpoints:\n"


def source(unordered: str, more: str = "") -> SourceConfig:
    detail = "detail: {path: '%s/{key}'}, contract: {type: any}"
    return parse_source(
        f"{HEAD}  a: {{list: {{path: a}}, {detail % 'a'}, unordered: {unordered}}}\n"
        f"  b: {{list: {{path: b}}, {detail % 'b'}, unordered: {more or unordered}}}\n",
        "t",
    )


PLAIN, TAGS = source("[]"), source("[tags]")


def world_of(*tags: list[int]) -> dict[str, Any]:
    bodies: dict[str, Any] = {place: [{"id": key} for key in range(len(tags))] for place in "ab"}
    return bodies | {f"{place}/{key}": {"tags": found} for place in "ab" for key, found in enumerate(tags)}


def rehashed(lake: str | Path) -> list[tuple[str, str]]:
    snapshot = Lake(lake).source("things").log.snapshot()
    assert snapshot is not None
    table = snapshot.dataset().to_table(columns=["op", "endpoint", "key", "payload"]).to_pylist()
    rows = [row for row in table if row["op"] == "rehash"]
    assert all(row["payload"] is None for row in rows)
    return sorted((row["endpoint"], row["key"]) for row in rows)


def test_after_a_changed_rule_a_mere_reordering_is_one_and_only_what_hashes_otherwise_got_a_row(lake_url: str) -> None:
    with serving(world_of([3, 1, 2], [1, 2, 3], [])) as (url, answers):
        run(lake_url, url, PLAIN)
        asked = len(answers.asked)
        run(lake_url, url, TAGS, endpoints=("a",), mode="discover")
        assert [path for path in answers.asked[asked:] if "/" in path] == [], "nothing was fetched"
        assert rehashed(lake_url) == [("a", "0")]
        answers.bodies["a/0"] = {"tags": [2, 3, 1]}
        answers.bodies["a/1"] = {"tags": [2, 3, 1]}
        answers.bodies["a/2"] = {"tags": [4]}
        assert count(run(lake_url, url, TAGS, endpoints=("a",), force=True)) == {"reordered": 2, "changed": 1}
    versions = ask(
        lake_url, "SELECT key, max(version) AS n FROM things.versions WHERE endpoint = 'a' GROUP BY 1 ORDER BY 1"
    )
    assert [row["n"] for row in versions] == [1, 1, 2]
    changes = ask(lake_url, "SELECT change, count(*) AS n FROM things.changes GROUP BY 1 ORDER BY 1")
    assert {row["change"]: row["n"] for row in changes} == {"created": 6, "changed": 1, "reordered": 2}


def test_rules_of_other_endpoints_stay_until_a_run_is_theirs(tmp_path: Path) -> None:
    with serving(world_of([3, 1, 2])) as (url, answers):
        run(tmp_path, url, PLAIN)
        run(tmp_path, url, TAGS, endpoints=("a",))
        assert rehashed(tmp_path) == [("a", "0")]
        answers.bodies["b/0"] = {"tags": [1, 2, 3]}
        assert count(run(tmp_path, url, TAGS, endpoints=("b",), force=True)) == {"reordered": 1}
        assert rehashed(tmp_path) == [("a", "0"), ("b", "0")]
        run(tmp_path, url, TAGS, force=True)
        assert len(rehashed(tmp_path)) == 2, "once is enough"


def test_a_rule_that_is_taken_back_makes_order_count_again(tmp_path: Path) -> None:
    with serving(world_of([3, 1, 2])) as (url, answers):
        run(tmp_path, url, TAGS)
        run(tmp_path, url, PLAIN)
        answers.bodies["a/0"] = {"tags": [1, 2, 3]}
        assert count(run(tmp_path, url, PLAIN, force=True)) == {"changed": 1}


def test_missing_records_keep_their_state_and_their_past(tmp_path: Path) -> None:
    clock = Clock()
    with serving(world_of([3, 1], [2, 1])) as (url, answers):
        run(tmp_path, url, PLAIN, clock=clock)
        answers.bodies["a"] = [{"id": 0}]
        answers.bodies["a/1"] = None
        run(tmp_path, url, PLAIN, clock=clock)
        before, then = ask(tmp_path, "FROM things.records ORDER BY ALL"), clock()
        clock.move(hours=1)
        run(tmp_path, url, TAGS, clock=clock, mode="discover")
        assert len(rehashed(tmp_path)) == 4
        assert ask(tmp_path, "FROM things.records ORDER BY ALL", as_of=then) == before
        assert ask(tmp_path, "FROM things.records ORDER BY ALL") == before
        clock.move(hours=1)
        run(tmp_path, url, TAGS, clock=clock, force=True)
        maintain(Lake(tmp_path), "things", clock=clock)
        assert ask(tmp_path, "FROM things.records ORDER BY ALL", as_of=then) == before
        answers.bodies |= {"a": [{"id": 0}, {"id": 1}], "a/1": {"tags": [1, 2]}, "a/0": {"tags": [1, 3]}}
        assert count(run(tmp_path, url, TAGS, clock=clock, force=True)) == {"revived": 1, "reordered": 1}
    assert ask(tmp_path, "SELECT max(version) AS n FROM things.versions") == [{"n": 1}]


def test_an_open_quarantine_stays_open(tmp_path: Path) -> None:
    strict = parse_source(
        HEAD + "  a: {list: {path: a}, detail: {path: 'a/{key}'}, contract: {fields: {tags: array}}}", "t"
    )
    again = strict.model_copy(
        update={"endpoints": {"a": strict.endpoints["a"].model_copy(update={"unordered": ("tags",)})}}
    )
    with serving({"a": [{"id": 1}], "a/1": {"tags": [2, 1]}}) as (url, answers):
        run(tmp_path, url, strict)
        answers.bodies["a/1"] = {"tags": None}
        run(tmp_path, url, strict, force=True)
        run(tmp_path, url, again, mode="discover")
    assert rehashed(tmp_path) == [("a", "1")]
    assert [row["open"] for row in ask(tmp_path, "FROM things.quarantine")] == [True]


@pytest.mark.parametrize("day", [1, 3])
def test_a_generated_world_under_changed_rules_ends_like_one_that_was_crawled_under_them(
    world: World, tmp_path: Path, day: int
) -> None:
    def rules(*, sort: bool) -> SourceConfig:
        guards = {"missing": {"ratio": 1, "count": 10_000}, "failed": {"ratio": 1, "count": 10_000}}
        found = pokeapi(version_token=None).model_dump(mode="json")
        for endpoint in found["endpoints"].values():
            endpoint["guards"] = guards
            if not sort:
                endpoint["unordered"] = []
        return SourceConfig.model_validate(found)

    reports = []
    for lake, first in (("changed", False), ("always", True)):
        world.day(0)
        run(tmp_path / lake, world.url, rules(sort=first))
        world.day(day)
        reports.append(run(tmp_path / lake, world.url, rules(sort=True), force=True))
    assert count(reports[0]) == count(reports[1])
    assert reports[0].total("reordered") > 0
    assert contents(tmp_path / "changed") == contents(tmp_path / "always")
    assert rows_written(tmp_path / "changed", reports[0].run_id) == rows_written(tmp_path / "always", reports[1].run_id)
    versions = "SELECT endpoint, key, version, payload FROM pokeapi.versions ORDER BY ALL"
    assert ask(tmp_path / "changed", versions) == ask(tmp_path / "always", versions)
