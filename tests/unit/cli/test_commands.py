"""What the commands print, and how they end."""

import csv
import io
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import trawl
from tests.conftest import World
from trawl.cli.app import _commands, invoke
from trawl.replica import GeneratedCatalogue

TRAWL = [sys.executable, "-c", "from trawl.cli import main; main()"]
COUNTS = [
    "listed",
    "new",
    "changed",
    "reordered",
    "unchanged",
    "missing",
    "gone",
    "revived",
    "quarantined",
    "failed",
    "held",
]


def test_run_json_is_one_object_with_all_counts(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--base-url", world.url, "--rate", "unlimited", "--endpoint", "machine", "--json"]
    assert invoke(["run", "pokeapi", "--lake", str(tmp_path), *flags]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["schema_version"] == 1
    assert {
        "run_id",
        "source",
        "status",
        "mode",
        "requests",
        "not_modified",
        "bytes",
        "retries",
        "duration_s",
    } <= report.keys()
    assert set(COUNTS) <= report["endpoints"]["machine"].keys()
    assert report["endpoints"]["machine"]["new"] == report["endpoints"]["machine"]["listed"] > 0


def test_query_writes_every_format(lake: Path) -> None:
    sql = "SELECT endpoint, key, payload FROM pokeapi.records ORDER BY endpoint, key"
    outputs = {}
    for form in ("table", "json", "jsonl", "csv", "parquet"):
        command = [*TRAWL, "query", sql, "--lake", str(lake), "--format", form]
        outputs[form] = subprocess.run(command, check=True, capture_output=True).stdout
    rows = trawl.open(lake).query(sql).to_arrow().to_pylist()
    assert json.loads(outputs["json"]) == [json.loads(line) for line in outputs["jsonl"].splitlines()] == rows
    assert list(csv.DictReader(io.StringIO(outputs["csv"].decode()))) == rows
    assert pq.read_table(io.BytesIO(outputs["parquet"])).to_pylist() == rows
    assert outputs["table"].split()[:3] == [b"endpoint", b"key", b"payload"]


def test_csv_holds_nested_values_as_json(lake: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--lake", str(lake), "--format", "csv"]
    assert invoke(["query", """SELECT 1 AS i, [1, 2] AS a, {'x': 1} AS "b""c", NULL::INT[] AS n""", *flags]) == 0
    assert list(csv.reader(capsys.readouterr().out.splitlines())) == [
        ["i", "a", 'b"c', "n"],
        ["1", "[1,2]", '{"x":1}', ""],
    ]
    assert invoke(["query", "FROM pokeapi.runs", *flags]) == 0


@pytest.mark.parametrize("form", ["table", "json", "jsonl"])
def test_a_question_whose_answer_would_lose_something_is_refused_with_a_remedy(
    lake: Path, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    flags = ["--lake", str(lake), "--format", form]
    assert invoke(["query", "SELECT 1 AS a, 2 AS b, 3 AS a", *flags]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "two columns are named 'a'" in captured.err
    assert invoke(["query", "SELECT DATE '10000-01-01' AS day", *flags]) == 2
    assert "cast that column to text" in capsys.readouterr().err


def test_the_python_door_gives_the_records_as_arrow(lake: Path) -> None:
    table = trawl.open(str(lake)).records("pokeapi").to_arrow()
    assert {"endpoint", "key", "label", "payload", "url", "first_seen", "changed_at", "checked_at"} <= set(
        table.column_names
    )
    assert len(table) > 0
    assert table["url"][0].as_py().startswith("https://pokeapi.co/api/v2/m")


def test_status_history_plan_check_and_sources_answer(
    world: World, lake: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--lake", str(lake)]
    assert invoke(["status", *where, "--json"]) == 0
    status = json.loads(capsys.readouterr().out)["sources"]["pokeapi"]
    assert status["records"]["present"] > 0
    assert [run["status"] for run in status["runs"]] == ["done", "done"]
    (changed, *_) = (
        trawl.open(lake).query("SELECT key FROM pokeapi.changes WHERE change = 'changed' AND endpoint = 'move'").rows()
    )
    assert invoke(["history", "pokeapi", "move", changed["key"], *where]) == 0
    history = capsys.readouterr().out
    assert "created" in history
    assert "~" in history
    machine = [*where, "--base-url", world.url, "--endpoint", "machine"]
    assert invoke(["run", "pokeapi", *machine, "--rate", "unlimited", "--force"]) == 0
    capsys.readouterr()
    assert invoke(["plan", "pokeapi", *machine, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["endpoints"]["machine"].keys() == {"fresh"}
    assert invoke(["check"]) == 0
    assert invoke(["sources"]) == 0
    assert capsys.readouterr().out.count("pokeapi") >= 2


def test_maintain_reports_what_it_folded(lake: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["maintain", "--lake", str(lake), "--json"]) == 0
    folded = json.loads(capsys.readouterr().out)["pokeapi"]
    assert folded["files_after"] < folded["files_before"]


def test_every_command_explains_itself_with_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    for name in _commands:
        assert invoke([name, "--help"]) == 0
        assert f"trawl {name}" in capsys.readouterr().out


def test_an_interrupted_run_says_how_to_go_on_and_goes_on(world: World, tmp_path: Path) -> None:
    flags = [
        "--lake",
        str(tmp_path),
        "--base-url",
        world.url,
        "--endpoint",
        "machine",
        "--endpoint",
        "item",
        "--rate",
        "40",
    ]
    process = subprocess.Popen([*TRAWL, "run", "pokeapi", *flags], stderr=subprocess.PIPE, text=True)
    while not list(tmp_path.glob("pokeapi/plans/*/plan.json")):
        time.sleep(0.02)
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=10)
    assert process.returncode == 130
    assert "continues" in said
    assert invoke(["run", "pokeapi", *flags[:-1], "unlimited"]) == 0
    rows = trawl.open(tmp_path).query("SELECT status FROM pokeapi.runs ORDER BY status").rows()
    assert [row["status"] for row in rows] == ["done", "interrupted"]


def test_a_killed_run_is_adopted_and_ends_like_an_uninterrupted_one(world: World, tmp_path: Path) -> None:
    flags = ["--base-url", world.url, "--endpoint", "machine", "--endpoint", "item", "--rate"]
    process = subprocess.Popen(
        [*TRAWL, "run", "pokeapi", "--lake", str(tmp_path / "killed"), *flags, "25"], stderr=subprocess.DEVNULL
    )
    while not list(tmp_path.glob("killed/pokeapi/plans/*/plan.json")):
        time.sleep(0.02)
        assert process.poll() is None
    process.kill()
    process.wait()
    for lake in ("killed", "whole"):
        assert invoke(["run", "pokeapi", "--lake", str(tmp_path / lake), *flags, "unlimited"]) == 0
    sql = "SELECT endpoint, key, version, payload FROM pokeapi.versions ORDER BY ALL"
    killed, whole = (trawl.open(tmp_path / lake).query(sql).to_arrow() for lake in ("killed", "whole"))
    assert killed.equals(whole)


def test_running_a_crawl_never_imports_prefect(world: World, tmp_path: Path) -> None:
    code = (
        "import sys; from trawl.cli.app import invoke; "
        f"assert invoke(['run', 'pokeapi', '--lake', {str(tmp_path)!r}, '--base-url', {world.url!r}, '--endpoint', 'machine', "
        "'--rate', 'unlimited']) == 0; "
        "sys.exit('prefect' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


def test_the_environment_names_lake_and_address(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TRAWL_LAKE", str(tmp_path))
    monkeypatch.setenv("TRAWL_SOURCE_POKEAPI_BASE_URL", world.url)
    assert invoke(["run", "pokeapi", "--endpoint", "machine", "--rate", "unlimited", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["endpoints"]["machine"]["new"] > 0
    assert any((tmp_path / "pokeapi").iterdir())
    assert isinstance(world.app.catalogue, GeneratedCatalogue)
