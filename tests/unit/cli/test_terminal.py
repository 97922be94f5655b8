"""What is printed is what is there; a terminal obeys none of it."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.crawling import run
from tests.listing_api import Answer, ListApi, described, serving
from trawl.cli.app import invoke
from trawl.cli.text import one_line, visible
from trawl.lake import Lake
from trawl.sources import parse_source

ODD = ":x: :warning: [red]a[/] \\ \x1b[31m\x07 \x9b1m \u202eabc \u2066 é 名 👾"
LONE = "half \ud83d a pair"  # JSON can say it, no stream can take it
SHOWN = ":x: :warning: [red]a[/] \\ \\x1b[31m\\x07 \\x9b1m \\u202eabc \\u2066 é 名 👾"
DANGEROUS = re.compile("[\ud800-\udfff\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    lake = tmp_path_factory.mktemp("odd") / "lake"
    api = ListApi(total=3)
    for item in api.items:
        item["name"] = f"{item['id']} {ODD}"
    broken = described(
        "{kind: offset}", endpoint="label: name\n    contract: {fields: {id: 'integer', kind: 'null|any'}}"
    )
    source = described("{kind: offset}", endpoint="label: name")
    with serving(api) as url:
        run(lake, url, parse_source(source, "things.yaml"))
        for item in api.items:
            item["text"] = ODD
            item["name"] = f"new {ODD}"
        api.items[2][f"{LONE} {ODD}"] = LONE
        run(lake, url, parse_source(source, "things.yaml"))
        api.items.append({"id": 9, "name": f"broken {LONE} {ODD}", LONE: LONE})
        run(lake, url, parse_source(broken, "things.yaml"))
    return lake


@pytest.fixture
def lake(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "lake"))


COMMANDS: dict[str, list[str]] = {
    "query": ["query", "SELECT label, payload->>'$.text' AS text FROM things.records WHERE key < '2'"],
    "query that fails": ["query", f"SELECT '{ODD}' FROM nowhere"],
    "changes": ["changes", "things", "--since", "1h", "--diff"],
    "history": ["history", "things", "items", "2"],
    "quarantine list": ["quarantine", "list", "things"],
    "quarantine show": ["quarantine", "show", "things", "items", "9"],
    "status": ["status"],
    "unknown record": ["history", "things", "items", ODD],
    "unknown source": ["history", ODD, "items", "1"],
    "forget": ["forget", "things", "items", "1", "--dry-run"],
    "maintain": ["maintain", "--dry-run"],
    "export": ["export", "things", "--to", ODD],
    "wrong option": ["query", f"--{ODD}"],
    "wrong choice": ["query", "SELECT 1", "--format", ODD],
}
PLAIN = {"query that fails", "status", "forget", "maintain", "plan", "check"}  # commands that show nothing of it
LIVE: dict[str, list[str]] = {
    "run": ["run", "SOURCE", "--force"],
    "plan": ["plan", "SOURCE"],
    "try": ["try", "SOURCE", "items"],
    "try a record": ["try", "SOURCE", "items", "1"],
    "check": ["check", "SOURCE", "--live"],
    "quarantine replay": ["quarantine", "replay", "SOURCE", "--dry-run"],
    "rekey": ["rekey", "SOURCE", "--dry-run"],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_text_of_others_is_shown_as_it_is_and_controls_nothing(
    name: str, lake: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    invoke([*COMMANDS[name], "--lake", str(lake)])
    captured = capsys.readouterr()
    said = captured.out + captured.err
    assert not DANGEROUS.search(said), ascii(said)
    assert "bug in Trawl" not in said
    if name not in PLAIN:
        assert ":x: :warning: [red]a[/]" in " ".join(said.split())
        assert "👾" in said or r"\ud83d\udc7e" in said


@pytest.mark.parametrize("name", LIVE)
def test_text_of_an_api_controls_nothing_while_it_is_asked(
    name: str, lake: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def answer(api: ListApi, _number: int) -> Answer | None:
        return Answer({"items": api.items, ODD: LONE}, headers=[("x-deploy", "\x9b1m \x85 é")])

    api = ListApi(total=3, before=answer)
    for item in api.items:
        item["name"] = f"{item['id']} {LONE} {ODD}"
    api.items.append({"id": {ODD: LONE}, "name": f"broken {LONE} {ODD}"})
    rules = "key: {field: name}" if name == "rekey" else "contract: {fields: {name: integer}}"
    with serving(api) as url:
        source = described("{kind: offset}", endpoint=f"label: name\n    {rules}")
        path = tmp_path / "things.yaml"
        path.write_text(source.replace("https://api.example.com", url))
        invoke([str(path) if word == "SOURCE" else word for word in LIVE[name]] + ["--lake", str(lake)])
    captured = capsys.readouterr()
    said = captured.out + captured.err
    assert not DANGEROUS.search(said), ascii(said)
    assert "bug in Trawl" not in said
    if name not in PLAIN:
        assert ":x: :warning: [red]a[/]" in said


def test_what_an_encoding_lacks_is_shown_escaped(lake: Path) -> None:
    command = [sys.executable, "-c", "from trawl.cli import main; main()", "query", "SELECT 'é 名' AS text"]
    done = subprocess.run(
        [*command, "--lake", str(lake)],
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, b"\\xe9 \\u540d")


def test_a_query_shows_the_codes_of_pictures_as_text(lake: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["query", "SELECT ':x: :warning: [bold]' AS text", "--lake", str(lake)]) == 0
    assert ":x: :warning: [bold]" in capsys.readouterr().out


def test_json_is_data_and_unchanged(lake: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    ask = ["query", "SELECT key, payload->>'$.text' AS text FROM things.records WHERE key < '2' ORDER BY key"]
    ask += ["--lake", str(lake)]
    assert invoke([*ask, "--format", "json"]) == 0
    rows: list[dict[str, Any]] = json.loads(capfdbinary.readouterr().out)
    assert [row["text"] for row in rows] == [ODD] * 2
    assert invoke([*ask, "--format", "jsonl"]) == 0
    assert [json.loads(line) for line in capfdbinary.readouterr().out.splitlines()] == rows
    assert invoke(["query", "SELECT 1 AS one WHERE false", "--lake", str(lake), "--format", "json"]) == 0
    assert json.loads(capfdbinary.readouterr().out) == []


def test_an_array_that_breaks_off_is_not_closed(lake: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    late = "SELECT CASE WHEN i = 90000 THEN error('late') ELSE i END AS i FROM range(100000) t(i)"
    assert invoke(["query", late, "--format", "json", "--lake", str(lake)]) != 0
    with pytest.raises(ValueError, match="."):
        json.loads(capfdbinary.readouterr().out)


@pytest.mark.parametrize(
    ("text", "seen"),
    [(ODD, SHOWN), ("a\nb\tc", "a\\nb\\tc"), ("\x00\x7f", "\\x00\\x7f"), ("é–名", "é–名")],
)
def test_control_characters_are_shown_escaped(text: str, seen: str) -> None:
    assert visible(text) == seen
    assert visible("a\nb\tc", lines=True) == "a\nb\tc"


def test_a_note_of_several_lines_keeps_all_of_them(lake: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert one_line("first\n\n  second ") == "first; second"
    runs = Lake(lake).source("things").runs
    manifest = runs.manifests()[0] | {"run_id": "29990101T000000000-abcdef", "committed": False, "status": "failed"}
    runs.save_manifest(manifest | {"note": "it failed\n  for this reason", "holds": {}})
    assert invoke(["status", "--lake", str(lake)]) == 0
    assert "it failed; for this reason" in capsys.readouterr().out
