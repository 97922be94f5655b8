"""New keys for stored records: the whole history moves, or nothing does."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import World
from tests.crawling import Clock, ask, contents, count, pokeapi, run
from tests.unit.crawl.test_shapes import serving
from trawl.crawl import forget, maintain, rekey
from trawl.lake import Lake
from trawl.model.config import SourceConfig
from trawl.model.errors import ConfigurationError
from trawl.sources import parse_source

VIEWS = ("records", "versions", "changes", "quarantine")


def source(key: str, contract: str = "{type: any}") -> SourceConfig:
    return parse_source(
        "name: things\nbase_url: https://h\nendpoints:\n"
        f"  a: {{list: {{path: a}}, detail: {{path: 'a/{{item.id}}'}}, key: {key}, label: name, contract: {contract}}}\n"
        "  b: {parent: a, detail: {path: '{parent.b}'}}\n"
        "  c: {list: {path: c}, detail: null}\n",
        "t",
    )


BY_ID, BY_NAME = source("{field: id}"), source("{field: name}")


def bodies(*names: str) -> dict[str, Any]:
    items = [{"id": key, "name": name, "code": name.upper()} for key, name in enumerate(names, 1)]
    found: dict[str, Any] = {"a": items, "c": [{"id": 1}]}
    for key, name in enumerate(names, 1):
        found |= {f"a/{key}": {"id": key, "name": name, "b": f"b/{key}"}, f"b/{key}": {"v": 1}}
    return found


def two_days(lake: str, clock: Clock, names: tuple[str, ...] = ("ann", "bob", "cy")) -> dict[str, Any]:
    """A lake by id with versions, a rename, a missing record, a quarantined answer; and the API that it is of."""
    with serving(bodies(*names)) as (url, answers):
        run(lake, url, BY_ID, clock=clock)
        clock.move(days=1)
        answers.bodies["a"][0]["name"] = "anna"
        answers.bodies |= {"a/1": {"id": 1, "name": "anna", "b": "b/1"}, "b/2": {"v": 2}, "b/1": []}
        answers.bodies["a"].pop()
        answers.bodies[f"a/{len(names)}"] = None
        run(lake, url, BY_ID, clock=clock, force=True)
        return answers.bodies


def everything(lake: str, names: dict[str, str] | None = None, **more: Any) -> list[dict[str, Any]]:
    """All views' rows, with other keys in endpoints a and b."""
    rows = []
    for view in VIEWS:
        for row in ask(lake, f"FROM things.{view}", **more):
            if names and row["endpoint"] in "ab":
                old, row["key"] = row["key"], names[row["key"]]
                if "object" in row:
                    row["object"] = row["object"].replace(f"/{old}.json", f"/{row['key']}.json")
            rows.append(row)
    return sorted(rows, key=str)


def test_the_whole_history_stands_under_the_new_keys_at_every_past_instant(lake_url: str) -> None:
    clock = Clock()
    instants = [clock()]
    api = two_days(lake_url, clock)
    instants += [clock()]
    clock.move(hours=1)
    instants += [clock()]
    names = {"1": "anna", "2": "bob", "3": "cy"}
    expected = [everything(lake_url, names, as_of=instant) for instant in instants]
    assert len(expected[-1]) > 15

    found, forgotten = rekey(Lake(lake_url), BY_NAME, clock=clock)
    assert forgotten == 0
    assert found["a"].examples == names
    assert (found["a"].records, found["a"].moved, found["a"].children) == (3, 3, ["b"])
    assert [everything(lake_url, as_of=instant) for instant in instants] == expected
    (answer,) = ask(lake_url, "FROM things.quarantine")
    assert Lake(lake_url).store.get(answer["object"]) is not None
    assert Lake(lake_url).store.get(answer["object"].replace("anna.json", "1.json")) is None

    with serving(api) as (url, _):
        assert count(run(lake_url, url, BY_NAME, clock=clock)) == {"quarantined": 1}, "the list has the new keys"
        assert count(run(lake_url, url, BY_NAME, clock=clock, force=True)) == {"quarantined": 1}
    maintain(Lake(lake_url), "things", clock=clock)
    folded = [everything(lake_url, as_of=instant) for instant in instants]
    for row in (row for rows in (*folded, *expected) for row in rows):
        row.pop("checked_at", None)  # the one thing that may become older
    assert folded == expected
    assert rekey(Lake(lake_url), BY_NAME, clock=clock) == ({}, 0)


def test_a_changed_policy_is_refused_by_runs_which_name_the_remedy(tmp_path: Path) -> None:
    with serving(bodies("ann")) as (url, _):
        run(tmp_path, url, BY_ID)
        with pytest.raises(ConfigurationError, match="key policy has changed") as caught:
            run(tmp_path, url, BY_NAME)
        assert "trawl rekey" in (caught.value.remedy or "")
        rekey(Lake(tmp_path), BY_NAME)
        with pytest.raises(ConfigurationError, match="key policy has changed"):
            run(tmp_path, url, BY_ID)
        rekey(Lake(tmp_path), BY_ID)
        assert count(run(tmp_path, url, BY_ID, force=True)) == {}


def test_records_that_would_share_a_key_are_named_and_nothing_changes(tmp_path: Path) -> None:
    with serving(bodies("ann", "bob", "ann")) as (url, _):
        run(tmp_path, url, BY_ID)
    before = everything(str(tmp_path))
    with pytest.raises(ConfigurationError, match=r"'ann': 1 \(ann\), 3 \(ann\)"):
        rekey(Lake(tmp_path), BY_NAME)
    assert everything(str(tmp_path)) == before
    both = source("{field: [name, id]}")
    found, _ = rekey(Lake(tmp_path), both)
    assert found["a"].examples == {"1": "ann:1", "2": "bob:2", "3": "ann:3"}


def test_a_key_that_is_not_stored_is_refused_with_what_could_be_used(tmp_path: Path) -> None:
    with serving(bodies("ann")) as (url, _):
        run(tmp_path, url, BY_ID)
    before = everything(str(tmp_path))
    with pytest.raises(ConfigurationError, match=r"a: no new key can be found for the record 1.*'code'") as caught:
        rekey(Lake(tmp_path), source("{field: code}"))
    assert "the label (name)" in (caught.value.remedy or "")
    assert everything(str(tmp_path)) == before


def test_a_pattern_cuts_the_key_out_of_the_address(tmp_path: Path) -> None:
    with serving(bodies("ann")) as (url, _):
        run(tmp_path, url, BY_ID)
    found, _ = rekey(Lake(tmp_path), source(r"{field: url, pattern: '/a/(\d)$'}"))
    assert (found["a"].records, found["a"].moved) == (1, 0)


def test_a_list_only_endpoint_takes_any_field_of_its_items(tmp_path: Path) -> None:
    with serving(bodies("ann") | {"c": [{"id": 1, "x": {"y": "p"}}, {"id": 2, "x": {"y": "q"}}]}) as (url, _):
        run(tmp_path, url, BY_ID)
        by_y = parse_source(
            "name: things\nbase_url: https://h\nendpoints: {c: {list: {path: c}, detail: null, key: {field: x.y}}}", "t"
        )
        rekey(Lake(tmp_path), by_y)
        assert count(run(tmp_path, url, by_y)) == {}
    keys = ask(tmp_path, "SELECT key FROM things.records WHERE endpoint = 'c' ORDER BY 1")
    assert [row["key"] for row in keys] == ["p", "q"]


def test_the_contract_must_name_the_new_key_too(tmp_path: Path) -> None:
    with serving(bodies("ann")) as (url, _):
        run(tmp_path, url, BY_ID)
    wrong = source("{field: name}", contract="{key: id}")
    with pytest.raises(ConfigurationError, match=r"the contract wants the key in the field 'id'"):
        rekey(Lake(tmp_path), wrong)


def test_what_was_never_fetched_is_listed_anew(tmp_path: Path) -> None:
    with serving(bodies("ann", "bob") | {"a/2": None}) as (url, answers):
        run(tmp_path, url, BY_ID)
        by_code = source("{field: code}")
        answers.bodies["a/1"] = {"id": 1, "code": "ANN", "name": "ann", "b": "b/1"}
        run(tmp_path, url, BY_ID, force=True)
        found, _ = rekey(Lake(tmp_path), by_code)
        assert (found["a"].records, found["a"].dropped) == (1, 1)
        answers.bodies["a/2"] = {"id": 2, "name": "bob", "b": "b/2"}
        assert count(run(tmp_path, url, by_code)) == {"new": 2}


def test_held_news_are_decided_under_the_keys_that_they_have(tmp_path: Path) -> None:
    with serving(bodies(*(f"n{key}" for key in range(20)))) as (url, answers):
        run(tmp_path, url, BY_ID)
        answers.bodies["a"] = answers.bodies["a"][:1]
        assert run(tmp_path, url, BY_ID, force=True).held
        with pytest.raises(ConfigurationError, match="held changes"):
            rekey(Lake(tmp_path), BY_NAME)
        run(tmp_path, url, BY_ID, accept=("a", "b"))
        found, _ = rekey(Lake(tmp_path), BY_NAME)
        assert found["a"].moved == 20


def test_a_dry_run_shows_the_keys_and_changes_nothing(tmp_path: Path) -> None:
    with serving(bodies("ann", "bob")) as (url, _):
        run(tmp_path, url, BY_ID)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    told = rekey(Lake(tmp_path), BY_NAME, dry_run=True)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    assert told == rekey(Lake(tmp_path), BY_NAME)


def test_forgotten_records_are_counted_for_their_new_keys_are_not_known(tmp_path: Path) -> None:
    with serving(bodies("ann", "bob")) as (url, _):
        run(tmp_path, url, BY_ID)
        forget(Lake(tmp_path), "things", "a", "2")
        _, forgotten = rekey(Lake(tmp_path), BY_NAME)
    assert forgotten == 1


def test_a_generated_world_is_rekeyed_from_id_to_name_and_back(world: World, lake_url: str) -> None:
    def by(key: dict[str, Any], contract: str) -> SourceConfig:
        found = pokeapi(version_token=None).model_dump(mode="json")
        for name in ("pokemon", "move"):
            found["endpoints"][name] |= {"key": key, "contract": {"fields": {"id": "integer"}, "key": contract}}
            found["endpoints"][name]["detail"]["path"] = "{item.url}"
        return SourceConfig.model_validate(found)

    by_id = by({"field": "url", "pattern": r"/(-?\d+)/$"}, "id")
    by_name = by({"field": "name", "pattern": None}, "name")
    run(lake_url, world.url, by_id)
    before = contents(lake_url)
    rekey(Lake(lake_url), by_name)
    after = contents(lake_url)
    moved = ("pokemon", "move")
    assert {key for key in after if key[0] in moved} == {
        (place, document["name"]) for (place, _), document in before.items() if place in moved
    }
    assert len(after) == len(before) == 200
    assert count(run(lake_url, world.url, by_name, force=True)) == {}
    rekey(Lake(lake_url), by_id)
    assert contents(lake_url) == before
    assert count(run(lake_url, world.url, by_id, force=True)) == {}


@pytest.mark.parametrize("nums", [(2, 3, 4), (2, 1, 3)])
def test_keys_in_a_chain_or_a_swap_keep_each_answer_with_its_record(tmp_path: Path, nums: tuple[int, ...]) -> None:
    items = [{"id": key, "num": num, "name": f"n{key}"} for key, num in enumerate(nums, 1)]
    with serving({"a": items, "c": []} | {f"a/{item['id']}": item for item in items}) as (url, answers):
        by_id, by_num = (
            source("{field: id}", "{fields: {num: integer}}"),
            source("{field: num}", "{fields: {num: integer}}"),
        )
        run(tmp_path, url, by_id)
        answers.bodies |= {f"a/{key}": {"broken": key} for key in (1, 2, 3)}
        assert run(tmp_path, url, by_id, force=True).endpoints["a"].quarantined == 3
        rekey(Lake(tmp_path), by_num)
    kept = sorted(tmp_path.glob("things/quarantine/*/a/*.json"))
    found = {path.stem: json.loads(json.loads(path.read_text())["body"])["broken"] for path in kept}
    assert found == {str(num): key for key, num in enumerate(nums, 1)}
