"""Exports: what stands in the folder is what stands in the lake, and nothing of anybody else's is touched."""

import csv
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import World
from tests.crawling import ask
from trawl.cli.app import invoke
from trawl.lake import Lake, export
from trawl.model.filenames import safe_name

TRAWL = [sys.executable, "-c", "from trawl.cli import main; main()"]


def records(lake: Path, **more: object) -> dict[str, str]:
    rows = ask(lake, "SELECT endpoint, key, payload FROM pokeapi.records", **more)
    return {f"{row['endpoint']}/{safe_name(row['key'])}.json": row["payload"] for row in rows}


def files(folder: Path) -> dict[str, str]:
    """The exported documents, byte for byte."""
    root = folder / "pokeapi"
    return {str(path.relative_to(root)): path.read_bytes().decode() for path in root.glob("*/*.json")}


def test_files_hold_the_documents_as_received(lake: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    assert invoke(["export", "pokeapi", "--lake", str(lake), "--to", str(folder)]) == 0
    assert files(folder) == records(lake)
    assert not list(folder.rglob("*.part"))


def test_a_second_export_writes_what_changed_and_removes_what_is_gone(
    lake: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "out"
    first = ask(
        lake,
        "SELECT max(finished_at) AS at FROM pokeapi.runs WHERE started_at < (SELECT max(started_at) FROM pokeapi.runs)",
    )
    flags = ["export", "pokeapi", "--lake", str(lake), "--to", str(folder), "--json"]
    assert invoke([*flags, "--as-of", first[0]["at"].isoformat()]) == 0
    before = records(lake, as_of=first[0]["at"])
    assert files(folder) == before
    (folder / "pokeapi/move/mine.json").write_text("mine")
    times = {path: path.stat().st_mtime_ns for path in folder.rglob("*.json")}
    capsys.readouterr()
    assert invoke(flags) == 0
    done = json.loads(capsys.readouterr().out)
    now = records(lake)
    assert files(folder) == now | {"move/mine.json": "mine"}
    changed = {name for name in now if now[name] != before.get(name)}
    assert done["written"] == len(changed)
    assert done["unchanged"] == len(now) - len(changed)
    touched = {
        str(path.relative_to(folder / "pokeapi"))
        for path, at in times.items()
        if path.exists() and path.stat().st_mtime_ns != at
    }
    assert touched <= changed
    assert invoke([*flags, "--as-of", first[0]["at"].isoformat()]) == 0  # back again: what came meanwhile is gone
    assert json.loads(capsys.readouterr().out)["removed"] == len(now.keys() - before.keys())
    assert files(folder) == before | {"move/mine.json": "mine"}


def test_one_endpoint_leaves_the_others_files_alone(lake: Path, tmp_path: Path) -> None:
    flags = ["export", "pokeapi", "--lake", str(lake), "--to", str(tmp_path / "out")]
    assert invoke(flags) == 0
    whole = files(tmp_path / "out")
    assert invoke([*flags, "--endpoint", "move"]) == 0
    assert invoke([*flags, "--endpoint", "move", "--format", "csv"]) == 0
    assert files(tmp_path / "out") == whole


def test_the_tables_hold_the_view_records(lake: Path, tmp_path: Path) -> None:
    for form in ("parquet", "csv", "jsonl"):
        assert invoke(["export", "pokeapi", "--lake", str(lake), "--to", str(tmp_path / "out"), "--format", form]) == 0
    expected = ask(lake, "FROM pokeapi.records WHERE endpoint = 'move' ORDER BY key")
    table = pq.read_table(tmp_path / "out/pokeapi/move.parquet").sort_by("key")
    assert table.to_pylist() == expected
    with (tmp_path / "out/pokeapi/move.csv").open(newline="") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: row["key"])
    assert [(row["key"], row["payload"]) for row in rows] == [(row["key"], row["payload"]) for row in expected]
    lines = sorted(
        map(json.loads, (tmp_path / "out/pokeapi/move.jsonl").read_text().splitlines()), key=lambda row: row["key"]
    )
    assert [(row["key"], row["payload"]) for row in lines] == [
        (row["key"], json.loads(row["payload"])) for row in expected
    ]
    assert lines[0].keys() == expected[0].keys()


def test_a_folder_with_files_of_somebody_else_is_refused_whole(
    lake: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "out"
    flags = ["export", "pokeapi", "--lake", str(lake), "--to", str(folder)]
    (folder / "pokeapi/move").mkdir(parents=True)
    own = folder / "pokeapi/move" / f"{next(iter(records(lake))).split('/')[1]}"
    own.write_text("precious")
    assert invoke(flags) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert [path for path in folder.rglob("*") if path.is_file()] == [own]
    assert invoke([*flags, "--overwrite"]) == 0
    assert files(folder).items() >= records(lake).items()


def test_a_file_that_no_export_wrote_is_not_replaced(
    lake: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "out/pokeapi"
    flags = ["export", "pokeapi", "--lake", str(lake), "--to", str(root.parent)]
    assert invoke([*flags, "--endpoint", "machine"]) == 0
    name = next(name for name in records(lake) if name.startswith("move/"))
    (root / "move").mkdir()
    (root / name).write_text("precious")
    assert invoke(flags) == 2
    assert name.split("/")[1] in capsys.readouterr().err
    assert (root / name).read_text() == "precious"


def test_the_lake_itself_is_no_place_for_an_export(lake: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for folder in (lake, lake / "pokeapi"):
        assert invoke(["export", "pokeapi", "--lake", str(lake), "--to", str(folder), "--overwrite"]) == 2
        assert "lies in the lake itself" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_a_clear_error(
    lake: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert invoke(["export", "pokeapi", "--lake", str(lake), "--to", str(tmp_path / "file")]) == 1
    assert "Not a directory" in capsys.readouterr().err


def test_a_killed_export_leaves_whole_files_and_the_next_one_ends_it(world: World, lake: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    command = [*TRAWL, "export", "pokeapi", "--lake", str(lake), "--to", str(folder)]
    for wanted in (1, 20, 60):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None and len(list(folder.glob("pokeapi/*/*.json"))) < wanted:
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        process.wait()
        held = records(lake)
        assert files(folder).items() <= held.items()
    assert invoke(["export", "pokeapi", "--lake", str(lake), "--to", str(folder)]) == 0
    assert files(folder) == records(lake)
    assert not list(folder.rglob("*.part"))


KEYS = st.sets(
    st.sampled_from(["a", "A", "..", ".", "con", "x/y", "\0", "ß", "é", "%41", "a" * 300, "a" * 301])
    | st.text(min_size=1, max_size=8)
)


def test_an_address_is_no_folder(
    lake: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(lake.parent)
    for address in ("s3://bucket/x", "file:///tmp/x"):
        assert invoke(["export", "pokeapi", "--lake", str(lake), "--to", address]) == 2
        said = capsys.readouterr().err
        assert "writes to folders" in said
        assert "s3://bucket/x" in said or "file://" in said
    assert [path.name for path in lake.parent.iterdir()] == [lake.name]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(keys=KEYS)
def test_every_key_has_a_file_of_its_own_in_the_folder(
    keys: set[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    from datetime import UTC, datetime

    from trawl.model.records import Op, Row

    base = tmp_path_factory.mktemp("keys")
    lake = Lake(base / "lake")
    lake.store.make()
    source = lake.source("things")
    snapshot = source.log.make()
    writer = source.log.writer("run", "0")
    now = datetime.now(UTC)
    keys = {key for key in keys if key.isprintable() or key == "\0"}
    for key in keys:
        writer.add(
            Row(
                Op.PUT,
                "t",
                key,
                "present",
                now,
                now,
                label=None,
                version=1,
                payload_run="run",
                payload=json.dumps(key),
                first_seen=now,
            )
        )
    source.log.commit(snapshot, "run", writer.close())
    done = export(source, base / "out", "files") if keys else None
    found = sorted(json.loads(path.read_bytes()) for path in (base / "out").rglob("*.json"))
    assert found == sorted(keys)
    assert done is None or done.records == len(keys)
    assert {path.parent for path in base.rglob("*.json")} <= {base / "out/things/t", *(base / "lake").rglob("*")}
