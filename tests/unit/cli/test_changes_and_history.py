"""What changed, in words and in JSON: it agrees with the views, whatever is asked."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import World
from tests.crawling import Clock, ask, pokeapi, run
from trawl.cli.app import invoke
from trawl.lake import Lake
from trawl.model.errors import ConfigurationError


def lines(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, Any]]:
    assert invoke([*arguments, "--json"]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert invoke(list(arguments)) == 0
    return capsys.readouterr().out


def test_changes_are_those_of_the_last_run_that_changed_anything(
    world: World, lake: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--lake", str(lake), "--base-url", world.url, "--rate", "unlimited", "--force"]
    assert invoke(["run", "pokeapi", *flags, "--endpoint", "machine"]) == 0  # nothing changed in this one
    capsys.readouterr()
    (first, second, _) = [row["run_id"] for row in ask(lake, "SELECT run_id FROM pokeapi.runs ORDER BY started_at")]
    rows = lines(capsys, "changes", "pokeapi", "--lake", str(lake))
    expected = ask(lake, f"SELECT change, endpoint, key FROM pokeapi.changes WHERE run = '{second}'")
    assert Counter((r["change"], r["endpoint"], r["key"]) for r in rows) == Counter(tuple(r.values()) for r in expected)
    assert {row["run"] for row in rows} == {second} != {first}


def test_changes_can_be_narrowed_by_time_endpoint_and_kind(lake: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = ["changes", "pokeapi", "--lake", str(lake)]
    everything = ask(lake, "SELECT change, endpoint FROM pokeapi.changes")
    assert len(lines(capsys, *where, "--since", "1h")) == len(everything)
    assert len(lines(capsys, *where, "--since", "2000-01-01")) == len(everything)
    assert lines(capsys, *where, "--since", "2999-01-01") == []
    for since, told in (("0001-01-01", "0001-01-01 00:00:00 UTC"), ("2000-01-01T00:00+02:00", "00:00:00+02:00")):
        assert invoke([*where, "--since", since]) == 0
        assert told in capsys.readouterr().out
    rows = lines(capsys, *where, "--since", "1h", "--kind", "created", "--endpoint", "move")
    assert len(rows) == sum(row == {"change": "created", "endpoint": "move"} for row in everything) > 0


def test_each_changed_record_can_show_its_difference(lake: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = ["changes", "pokeapi", "--lake", str(lake), "--kind", "changed", "--diff"]
    rows = lines(capsys, *where)
    assert rows
    assert all(row["differences"] for row in rows)
    text = said(capsys, *where, "--limit", "1")
    path = rows[0]["differences"][0]["path"]
    assert f"~ {path}" in text or f"+ {path}" in text or f"- {path}" in text
    assert f"and {len(rows) - 1} more" in text or len(rows) == 1


def test_a_lake_in_which_nothing_happened_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = Lake(tmp_path).source("pokeapi")
    Lake(tmp_path).store.make()
    source.log.make()
    assert "nothing has changed" in said(capsys, "changes", "pokeapi", "--lake", str(tmp_path))
    assert lines(capsys, "changes", "pokeapi", "--lake", str(tmp_path)) == []


def test_history_tells_why_a_record_is_missing_gone_and_back(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = Clock()
    source = pokeapi(version_token=None)
    for day in (0, 1, 1, 1):
        world.day(day)
        run(tmp_path, world.url, source, clock=clock, force=True)
        clock.move(days=7)
    (gone, *_) = ask(tmp_path, "SELECT endpoint, key, label FROM pokeapi.changes WHERE change = 'gone' ORDER BY ALL")
    world.day(0)
    run(tmp_path, world.url, source, clock=clock, force=True)
    text = said(capsys, "history", "pokeapi", gone["endpoint"], gone["key"], "--lake", str(tmp_path))
    assert "missing: no longer in the list" in text
    assert "gone: not listed since" in text
    assert "refused since" in text
    assert "revived: back in the list" in text
    assert text.index("created") < text.index("missing") < text.index("gone") < text.index("revived")
    short = said(capsys, "history", "pokeapi", gone["endpoint"], gone["key"], "--limit", "1", "--lake", str(tmp_path))
    assert "earlier events" in short
    assert "created" not in short


def test_a_record_is_found_by_key_by_label_in_any_case_and_by_the_label_it_once_had(lake: Path) -> None:
    (renamed,) = ask(lake, "SELECT * FROM pokeapi.changes WHERE change = 'renamed' ORDER BY key LIMIT 1") or [None]
    record = renamed or next(iter(ask(lake, "FROM pokeapi.records WHERE endpoint = 'move' ORDER BY key LIMIT 1")))
    found = Lake(lake)
    place = ("pokeapi", record["endpoint"])
    assert found.find(*place, record["key"]) == record["key"]
    assert found.find(*place, record["label"].upper()) == record["key"]
    if renamed:
        assert found.find(*place, renamed["old_label"]) == record["key"]
    with pytest.raises(ConfigurationError, match="has no record"):
        found.find(*place, "zzzzzz")


def test_a_label_of_several_records_names_the_candidates(world: World, tmp_path: Path) -> None:
    source = pokeapi(
        version_token=None,
        defaults=pokeapi().defaults.model_dump(mode="json") | {"label": "type.name", "contract": {}},
        endpoints={"move": {"label": "type.name"}},
    )
    run(tmp_path, world.url, source)
    (several, *_) = ask(
        tmp_path, "SELECT label, list(key) AS keys FROM pokeapi.records GROUP BY 1 HAVING count(*) > 1 ORDER BY 1"
    )
    with pytest.raises(ConfigurationError, match="several records") as error:
        Lake(tmp_path).find("pokeapi", "move", several["label"])
    assert f"{min(several['keys'])} ({several['label']})" in str(error.value)


@pytest.mark.parametrize("order", [["{key}", "--lake", "{lake}"], ["--lake", "{lake}", "{key}"]])
def test_a_negative_key_is_a_key_and_no_option(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str], order: list[str]
) -> None:
    run(tmp_path, world.url, endpoints=("move-ailment",))
    keys = {row["key"] for row in ask(tmp_path, "SELECT key FROM pokeapi.records")}
    assert "-1" in keys
    words = [word.format(key="-1", lake=tmp_path) for word in order]
    assert "created" in said(capsys, "history", "pokeapi", "move-ailment", *words)
    text = said(capsys, "try", "pokeapi", "move-ailment", *words, "--base-url", world.url)
    assert "/move-ailment/-1/" in text
    assert "unchanged" in text
