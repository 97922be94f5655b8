"""The commands that keep a lake: what they print, ask and refuse."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.crawling import ask
from tests.unit.crawl.test_shapes import Answers, serving
from trawl.cli.app import invoke
from trawl.lake import Lake
from trawl.lake.health import examine_source
from trawl.model.health import Level

TRAWL = [sys.executable, "-c", "from trawl.cli import main; main()"]
YAML = """
name: things
base_url: https://h
endpoints:
  a:
    list: {path: a}
    detail: {path: "a/{item.id}"}
    key: {field: KEY}
    label: name
    contract: {fields: {cost: TYPE}}
"""


class Desk:
    """A source file, an API and a lake, worked on by commands."""

    def __init__(self, folder: Path, url: str, answers: Answers, capsys: pytest.CaptureFixture[str]) -> None:
        self.lake, self.file, self.url, self.answers, self.capsys = (
            folder / "lake",
            folder / "t.yaml",
            url,
            answers,
            capsys,
        )
        self.write()

    def write(self, key: str = "id", cost: str = "integer") -> None:
        self.file.write_text(YAML.replace("KEY", key).replace("TYPE", cost))

    def __call__(self, *words: str, code: int = 0) -> str:
        assert invoke([*words, "--lake", str(self.lake)]) == code
        return self.capsys.readouterr().out

    def json(self, *words: str) -> Any:
        return json.loads(self(*words, "--json"))

    def run(self, *words: str) -> None:
        self("run", str(self.file), "--base-url", self.url, "--rate", "unlimited", *words)


@pytest.fixture
def desk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Desk]:
    """Three records, of which the first has just been quarantined."""
    bodies: dict[str, Any] = {"a": [{"id": key, "name": name} for key, name in enumerate(("ann", "bob", "cy"), 1)]}
    bodies |= {f"a/{item['id']}": item | {"cost": 1} for item in bodies["a"]}
    with serving(bodies) as (url, answers):
        desk = Desk(tmp_path, url, answers, capsys)
        desk.run()
        answers.bodies["a/1"] = {"id": 1, "name": "ann", "cost": None, "note": "[bold]"}
        desk.run("--force")
        yield desk


def test_quarantine_is_listed_shown_and_replayed(desk: Desk) -> None:
    reason = "contract: the field 'cost' is null, not integer"
    (row,) = desk.json("quarantine", "list", "things")
    assert (row["key"], row["label"], row["reason"], row["open"]) == ("1", "ann", reason, True)
    listed = desk("quarantine", "list", "things", "a")
    assert reason in listed
    assert "1 answer of records not read well since" in listed

    shown = desk("quarantine", "show", "things", "a", "ANN")
    for part in (reason, "200", "application/json", '"note": "[bold]"'):
        assert part in shown
    document = desk.json("quarantine", "show", "things", "a", "1", "--run", row["run"])
    assert json.loads(document["body"])["cost"] is None
    assert json.loads(desk("quarantine", "show", "things", "a", "1", "--body"))["note"] == "[bold]"
    desk("quarantine", "show", "things", "a", "2", code=2)

    desk.write(cost="integer|null")
    assert "1 of 1 answer would pass" in desk("quarantine", "replay", str(desk.file), "--dry-run")
    replayed = desk.json("quarantine", "replay", str(desk.file))
    assert [result["result"] for result in replayed["results"]] == ["changed"]
    assert replayed["run_id"]
    assert desk.json("quarantine", "list", "things") == []
    assert len(desk.json("quarantine", "list", "things", "--all")) == 1
    assert "left alone" in desk("quarantine", "replay", str(desk.file), "a", "1")


def test_forget_asks_for_yes_where_there_is_no_terminal(desk: Desk) -> None:
    told = desk("forget", "things", "a", "bob", "--dry-run")
    assert "2 rows in 2 files" in told
    assert "is not stored again" in told
    desk("forget", "things", "a", "2", code=2)
    assert len(ask(desk.lake, "FROM things.records")) == 3
    assert desk("forget", "things", "a", "bob", "--yes").endswith("erased\n")
    assert len(ask(desk.lake, "FROM things.records")) == 2
    desk.run("--force")
    assert len(ask(desk.lake, "FROM things.records")) == 2
    before = sorted(desk.lake.rglob("*"))
    assert desk("forget", "things", "a", "2", "--yes").endswith("nothing was left to erase\n")
    assert sorted(desk.lake.rglob("*")) == before, "nothing was committed"
    desk("forget", "things", "a", "nobody", "--yes", code=2)
    assert "the next crawl stores it again" in desk("forget", "things", "a", "2", "--until-listed-again", "--yes")
    desk.run("--force")
    assert len(ask(desk.lake, "FROM things.records")) == 3
    assert desk.json("forget", "things", "a", "2", "--yes")["rows"] == 1


@pytest.mark.parametrize(("answer", "left"), [("n", 3), ("", 3), ("y", 2)])
def test_forget_asks_at_a_terminal_and_only_y_erases(desk: Desk, answer: str, left: int) -> None:
    ours, theirs = pty.openpty()
    command = [*TRAWL, "forget", "things", "a", "2", "--lake", str(desk.lake)]
    process = subprocess.Popen(command, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    os.close(theirs)
    os.write(ours, f"{answer}\n".encode())
    _, asked = process.communicate(timeout=60)
    os.close(ours)
    assert b"Erase it for good?" in asked
    assert process.returncode == (0 if left == 2 else 1)
    assert len(ask(desk.lake, "FROM things.records")) == left


def test_rekey_shows_old_and_new_keys_and_refuses_with_a_remedy(desk: Desk) -> None:
    assert "no key policy has changed" in desk("rekey", str(desk.file))
    desk.write(key="name")
    desk("run", str(desk.file), "--base-url", desk.url, code=2)
    told = desk("rekey", str(desk.file), "--dry-run")
    assert "1 -> ann" in told
    assert "3 of 3 records would get another key" in told
    assert {row["key"] for row in ask(desk.lake, "FROM things.records")} == {"1", "2", "3"}
    assert desk.json("rekey", str(desk.file))["endpoints"]["a"]["moved"] == 3
    assert {row["key"] for row in ask(desk.lake, "FROM things.records")} == {"ann", "bob", "cy"}
    desk.write(key="nowhere")
    assert invoke(["rekey", str(desk.file), "--lake", str(desk.lake)]) == 2
    said = desk.capsys.readouterr().err
    assert "'nowhere'" in said
    assert "nothing was changed" in said


def test_upkeep_stands_among_the_runs_and_leaves_nothing_to_warn_of(desk: Desk) -> None:
    desk.write(cost="integer|null")
    desk("quarantine", "replay", str(desk.file))
    desk("forget", "things", "a", "bob", "--yes")
    desk.file.write_text(desk.file.read_text().replace("label:", "unordered: [tags]\n    label:"))
    desk.run()
    desk.write(key="name", cost="integer|null")
    desk.file.write_text(desk.file.read_text().replace("label:", "unordered: [tags]\n    label:"))
    desk("rekey", str(desk.file))
    rows = ask(desk.lake, "SELECT mode, status, note FROM things.runs ORDER BY run_id")
    assert [row["mode"] for row in rows[2:]] == ["replay", "forget", "refresh", "rules", "rekey"]
    assert {row["status"] for row in rows} <= {"done", "no change"}
    (forgotten,) = [row["note"] for row in rows if row["mode"] == "forget"]
    assert forgotten == "2 rows of a erased"
    source = Lake(desk.lake).source("things")
    levels = {found.subject: found.level for found in examine_source(source, datetime.now(UTC))}
    assert levels["manifests"] == Level.OK
    (lost,) = [path for path in desk.lake.glob("things/runs/*.json") if '"rekey"' in path.read_text()]
    lost.unlink()
    (told,) = [found for found in examine_source(source, datetime.now(UTC)) if found.subject == "manifests"]
    assert lost.stem in told.message
    assert told.remedy is not None
    assert "remove" not in told.remedy


def test_maintain_says_what_went_and_what_would_go(desk: Desk) -> None:
    told = desk("maintain", "things", "--dry-run")
    assert "would be joined" in told
    folded = desk.json("maintain", "things")
    assert folded["things"]["removed"] == {}
    assert "would be deleted: " in desk("maintain", "things", "--retain", "0s", "--dry-run")
    assert " files that no commit names (" in desk("maintain", "things", "--retain", "0s")
    assert desk.json("maintain", "--retain", "0s")["things"]["removed"] == {}
    desk("maintain", "--retain", "soon", code=2)


def test_a_misspelt_endpoint_is_named_unless_the_source_has_it(desk: Desk) -> None:
    for words in (
        ("quarantine", "list", "things", "aa"),
        ("quarantine", "show", "things", "aa", "1"),
        ("quarantine", "replay", str(desk.file), "aa"),
    ):
        assert invoke([*words, "--lake", str(desk.lake)]) == 2
        said = desk.capsys.readouterr().err
        assert "'aa'" in said
        assert "it holds: a" in said
    desk.file.write_text(f"{desk.file.read_text()}  later: {{}}\n")
    assert "0 of 0 answers passed" in desk("quarantine", "replay", str(desk.file), "later")


def test_upkeep_of_what_is_not_there_names_what_is(desk: Desk) -> None:
    for words in (
        ("maintain", "nothing"),
        ("forget", "nothing", "a", "1", "--yes"),
        ("quarantine", "list", "nothing"),
        ("rekey", "pokeapi"),
        ("quarantine", "replay", "pokeapi"),
    ):
        assert invoke([*words, "--lake", str(desk.lake)]) == 2
        assert "it holds: things" in desk.capsys.readouterr().err
