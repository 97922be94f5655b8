"""A forgotten record leaves no byte behind, and stays away."""

import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.conftest import World
from tests.crawling import Clock, ask, contents, count, run, without_token
from tests.unit.crawl.test_shapes import serving
from trawl.crawl import forget, maintain
from trawl.lake import Lake
from trawl.lake.store import Store
from trawl.model.errors import ConfigurationError, GuardTripped, LeaseHeld
from trawl.sources import parse_source

MARKER = "Ada-Lovelace-1815"
SOURCE = parse_source(
    "name: things\nbase_url: https://h\nendpoints:\n"
    "  a: {list: {path: a}, detail: {path: 'a/{key}'}, label: name, contract: {fields: {name: string}}}\n"
    "  b: {parent: a, detail: {path: 'b/{key}'}}\n",
    "t",
)
LIST_ONLY = parse_source("name: things\nbase_url: https://h\nendpoints: {a: {list: {path: a}, detail: null}}", "t")


def every_byte(lake: str) -> Iterator[tuple[str, bytes]]:
    """All objects of a lake, those that are half-written too; compressed ones also as they read."""
    store = Lake(lake).store
    if store.folder is not None:
        paths = [str(file.relative_to(store.folder)) for file in store.folder.rglob("*") if file.is_file()]
        read = {path: (store.folder / path).read_bytes() for path in paths}
    else:
        read = {item["path"]: store.get(item["path"]) or b"" for item in store.scan("things")}
    for path, content in read.items():
        yield path, content
        if path.endswith(".parquet"):
            yield path, repr(pq.read_table(io.BytesIO(content)).to_pylist()).encode()
            yield path, repr(pq.read_metadata(io.BytesIO(content)).to_dict()).encode()
        elif path.endswith(".arrow"):
            yield path, repr(pa.ipc.open_file(content).read_all().to_pylist()).encode()


def traces(lake: str, marker: str = MARKER) -> set[str]:
    return {path for path, content in every_byte(lake) if marker.encode() in content}


def bodies(*names: str) -> dict[str, Any]:
    """A small API: records with names, each with a child that repeats the name."""
    found: dict[str, Any] = {"a": [{"id": key} for key in range(1, len(names) + 1)]}
    for key, name in enumerate(names, 1):
        found |= {f"a/{key}": {"id": key, "name": name}, f"b/{key}": {"of": name}}
    return found


def history(lake: str, key: str) -> list[dict[str, Any]]:
    return [
        row
        for view in ("versions", "changes", "records")
        for row in ask(lake, f"FROM things.{view} WHERE key <> '{key}' ORDER BY ALL")
    ]


def test_a_forgotten_record_leaves_no_byte_in_any_object_and_the_others_keep_their_history(lake_url: str) -> None:
    clock = Clock()
    with serving(bodies("bob", MARKER, "cy")) as (url, answers):
        run(lake_url, url, SOURCE, clock=clock)
        first = clock()
        answers.bodies["a/2"] = {"id": 2, "name": f"{MARKER} the second"}
        answers.bodies["a/3"] = {"id": 3, "name": "di"}
        run(lake_url, url, SOURCE, clock=clock, force=True)
        answers.bodies["a/2"] = {"id": 2, "surname": MARKER}
        assert count(run(lake_url, url, SOURCE, clock=clock, force=True)) == {"quarantined": 1}
        maintain(Lake(lake_url), "things", clock=clock)  # what it replaced still lies there
    others, then = (
        history(lake_url, "2"),
        ask(lake_url, "FROM things.records WHERE key <> '2' ORDER BY ALL", as_of=first),
    )
    places = {path.split("/")[1] for path in traces(lake_url)}
    assert places == {"log", "quarantine"}

    found = forget(Lake(lake_url), "things", "a", "2", clock=clock)
    assert found is not None
    assert found.endpoints == ["a", "b"]
    assert found.answers == 1
    assert found.loose > 0
    assert traces(lake_url) == set()
    assert history(lake_url, "2") == others
    assert ask(lake_url, "FROM things.records ORDER BY ALL", as_of=first) == then
    for view in ("records", "versions", "changes", "quarantine"):
        assert ask(lake_url, f"FROM things.{view} WHERE key = '2'") == []


def test_a_forgotten_record_does_not_come_back_though_the_api_lists_it(lake_url: str) -> None:
    with serving(bodies("bob", MARKER)) as (url, answers):
        run(lake_url, url, SOURCE)
        forget(Lake(lake_url), "things", "a", "2")
        for more in ({}, {"force": True}, {"mode": "discover"}, {"no_cache": True, "force": True}):
            assert count(run(lake_url, url, SOURCE, **more)) == {}
        answers.bodies["a"] = [{"id": 1}]
        assert count(run(lake_url, url, SOURCE)) == {}
        answers.bodies |= bodies("bob", MARKER, "cy")
        assert count(run(lake_url, url, SOURCE)) == {"new": 2}
    assert traces(lake_url) == set()


def test_what_is_remembered_can_be_taken_back(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    with serving(bodies("bob", MARKER)) as (url, _):
        run(lake, url, SOURCE)
        forget(lake, "things", "a", "2", until_listed_again=True)
        assert count(run(lake, url, SOURCE)) == {"new": 2}
        forget(lake, "things", "a", "2")
        assert count(run(lake, url, SOURCE)) == {}
        assert forget(lake, "things", "a", "2", until_listed_again=True) is not None
        assert forget(lake, "things", "a", "2", until_listed_again=True) is None
        assert count(run(lake, url, SOURCE)) == {"new": 2}


def test_a_child_is_forgotten_alone_and_its_parent_stays(tmp_path: Path) -> None:
    with serving(bodies("bob", "cy")) as (url, _):
        run(tmp_path, url, SOURCE)
        found = forget(Lake(tmp_path), "things", "b", "2")
        assert found is not None
        assert found.endpoints == ["b"]
        assert count(run(tmp_path, url, SOURCE, force=True)) == {}
    keys = ask(tmp_path, "SELECT endpoint, key FROM things.records ORDER BY ALL")
    assert [(row["endpoint"], row["key"]) for row in keys] == [("a", "1"), ("a", "2"), ("b", "1")]


def test_a_list_only_record_is_forgotten_with_the_plan_that_holds_it(tmp_path: Path) -> None:
    people = [{"id": 1, "name": "bob"}, {"id": 2, "name": MARKER}]
    with serving({"a": people}) as (url, _):
        run(tmp_path, url, LIST_ONLY)
        forget(Lake(tmp_path), "things", "a", "2")
        assert count(run(tmp_path, url, LIST_ONLY, force=True)) == {}
    assert traces(str(tmp_path)) == set()


def test_what_an_unfinished_run_has_of_the_record_goes_too(tmp_path: Path) -> None:
    names = [f"n{key}" for key in range(19)]
    with serving(bodies(*names, MARKER) | {f"b/{key}": None for key in range(1, 21)}) as (url, answers):
        with pytest.raises(GuardTripped):
            run(tmp_path, url, SOURCE)
        assert any("/log/" in path for path in traces(str(tmp_path)))
        half = tmp_path / "things/log/kind=payload/endpoint=a/x.parquet#3"
        half.write_text(MARKER)
        found = forget(Lake(tmp_path), "things", "a", "20")
        assert found is not None
        assert (found.rows, found.plans) == (0, 1)
        assert traces(str(tmp_path)) == set()
        answers.bodies |= {f"b/{key}": {} for key in range(1, 20)}
        assert count(run(tmp_path, url, SOURCE)) == {"new": 38}
    assert traces(str(tmp_path)) == set()


class Dying(Store):
    """A store in which the writer is gone after so many deletions: what follows never happens."""

    def __init__(self, url: Any, left: int) -> None:
        super().__init__(url)
        self.left = left

    def delete(self, path: str) -> None:
        if not self.left:
            raise KeyboardInterrupt
        self.left -= 1
        super().delete(path)


@pytest.fixture(scope="module")
def crawled_twice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with a record that must go, and an answer for it that was set aside."""
    lake = tmp_path_factory.mktemp("crawled") / "lake"
    with serving(bodies("bob", MARKER)) as (url, answers):
        run(lake, url, SOURCE)
        answers.bodies["a/2"] = {"surname": MARKER}
        run(lake, url, SOURCE, force=True)
    return lake


@pytest.mark.parametrize("deletions", range(8))
@pytest.mark.parametrize("remembered", [True, False])
def test_killed_between_any_two_deletions_the_same_call_ends_it(
    tmp_path: Path, crawled_twice: Path, deletions: int, remembered: bool
) -> None:
    folder = shutil.copytree(crawled_twice, tmp_path / "lake")
    lake = Lake(folder)
    lake.store = Dying(folder, deletions)
    ended = False
    try:
        forget(lake, "things", "a", "2", until_listed_again=not remembered)
        ended = True
    except KeyboardInterrupt:
        assert traces(str(folder)), "that was the test"
    assert ask(folder, "FROM things.records WHERE key = '2'") == []
    if not ended:
        assert forget(Lake(folder), "things", "a", "2", until_listed_again=not remembered) is not None
    assert traces(str(folder)) == set()
    assert len(ask(folder, "FROM things.records")) == 2


def test_held_news_about_the_record_are_decided_first(tmp_path: Path) -> None:
    with serving(bodies(*(f"n{key}" for key in range(20)))) as (url, answers):
        run(tmp_path, url, SOURCE)
        answers.bodies["a"] = [{"id": 1}]
        assert run(tmp_path, url, SOURCE, force=True).held == ["a", "b"]
        with pytest.raises(ConfigurationError, match="held changes") as caught:
            forget(Lake(tmp_path), "things", "a", "2")
        assert "--reject a" in (caught.value.remedy or "")
        assert forget(Lake(tmp_path), "things", "a", "1") is not None
        run(tmp_path, url, SOURCE, reject=("a", "b"))
        found = forget(Lake(tmp_path), "things", "a", "2")
    assert found is not None
    assert found.loose == 2


def test_answers_that_a_killed_rekey_left_under_old_keys_go_too_but_not_those_of_held_news(tmp_path: Path) -> None:
    source = parse_source(
        "name: things\nbase_url: https://h\nendpoints:\n"
        "  a: {list: {path: a}, detail: {path: 'a/{key}'}, contract: {fields: {name: string}}}\n"
        "  d: {list: {path: d}, detail: {path: 'd/{key}'}, guards: {changed: {ratio: 0, count: 1, action: hold}}}\n",
        "t",
    )
    api = {"a": [{"id": 1}], "a/1": {"surname": MARKER}, "d": [{"id": key} for key in range(3)]}
    with serving(api | {f"d/{key}": {} for key in range(3)}) as (url, answers):
        run(tmp_path, url, source)
        (left,) = tmp_path.glob("things/quarantine/*/a/1.json")
        left.with_name("old-key.json").write_bytes(left.read_bytes())
        answers.bodies |= {"d/0": [], "d/1": {"v": 2}, "d/2": {"v": 2}}
        assert run(tmp_path, url, source, force=True).held == ["d"]
        forget(Lake(tmp_path), "things", "a", "1")
    assert traces(str(tmp_path)) == set()
    assert len(list(tmp_path.glob("things/quarantine/*/d/0.json"))) == 1


def test_a_dry_run_tells_and_changes_nothing(tmp_path: Path) -> None:
    with serving(bodies("bob", MARKER)) as (url, _):
        run(tmp_path, url, SOURCE)
    before = dict(every_byte(str(tmp_path)))
    lake = Lake(tmp_path)
    told = forget(lake, "things", "a", "2", dry_run=True)
    assert dict(every_byte(str(tmp_path))) == before
    assert told == forget(lake, "things", "a", "2")
    assert forget(lake, "things", "a", "99") is None


def test_a_run_under_way_keeps_forgetting_out(tmp_path: Path) -> None:
    with serving(bodies("bob")) as (url, _):
        run(tmp_path, url, SOURCE)
    lake = Lake(tmp_path)
    lease = lake.source("things").lease("another", Clock())
    lease.take()
    with pytest.raises(LeaseHeld):
        forget(lake, "things", "a", "1")
    lease.release()


def test_of_a_generated_world_only_the_forgotten_record_is_gone(world: World, lake_url: str) -> None:
    run(lake_url, world.url, without_token())
    before = contents(lake_url)
    family = {("pokemon", "1"), ("pokemon-encounters", "1")}
    assert family <= before.keys()
    forget(Lake(lake_url), "pokeapi", "pokemon", "1")
    assert contents(lake_url) == {key: value for key, value in before.items() if key not in family}
    report = run(lake_url, world.url, without_token(), force=True)
    assert count(report) == {}
    assert report.endpoints["pokemon"].listed == sum(place == "pokemon" for place, _ in before) - 1
    assert json.dumps(report.to_dict())


def test_a_forgotten_record_stays_away_though_the_clock_was_behind(tmp_path: Path) -> None:
    clock = Clock()
    with serving(bodies("bob", MARKER)) as (url, _):
        run(tmp_path, url, SOURCE, clock=clock)
        clock.move(days=-1)
        forget(Lake(tmp_path), "things", "a", "2", clock=clock)
        clock.move(days=2)
        assert count(run(tmp_path, url, SOURCE, clock=clock)) == {}
