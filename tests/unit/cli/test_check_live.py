"""`trawl check --live` finds what is wrong with the lake and the API, and says what to do."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import World
from tests.crawling import run
from trawl.cli.app import invoke
from trawl.lake import Lake


@pytest.fixture(autouse=True)
def _fast(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRAWL_SOURCE_POKEAPI_BASE_URL", world.url)


def live(
    capsys: pytest.CaptureFixture[str], lake: Path | str, *, code: int = 0
) -> dict[tuple[str, str], dict[str, Any]]:
    assert invoke(["check", "pokeapi", "--live", "--lake", str(lake), "--json"]) == code
    found = json.loads(capsys.readouterr().out)
    assert found["ok"] == (code == 0)
    return {(check["area"], check["subject"]): check for check in found["checks"]}


def test_all_is_well_with_a_fresh_lake_and_few_requests(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path, world.url, endpoints=("move", "machine"))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    asked = world.app.stats.requests
    found = live(capsys, tmp_path)
    assert world.app.stats.requests - asked <= 5
    assert {check["level"] for check in found.values()} == {"ok"}
    assert "304" in found["API pokeapi", "conditional requests"]["message"]
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_damaged_and_missing_files_are_named(world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(tmp_path, world.url, endpoints=("move", "machine"))
    (cut,) = tmp_path.glob("pokeapi/log/kind=payload/endpoint=move/*.parquet")
    (lost,) = tmp_path.glob("pokeapi/log/kind=payload/endpoint=machine/*.parquet")
    (manifest,) = tmp_path.glob("pokeapi/runs/*.json")
    cut.write_bytes(cut.read_bytes()[:-100])
    lost.unlink()
    manifest.write_text("{")
    assert invoke(["check", "--live", "--lake", str(tmp_path)]) == 1
    said = capsys.readouterr().out
    assert f"{cut.name} is damaged" in said
    assert f"{lost.name} is missing" in said
    assert manifest.name in said
    assert said.count("do:") >= 3
    assert invoke(["status", "--lake", str(tmp_path)]) == 1
    assert "trawl check --live" in capsys.readouterr().err


def test_what_waits_is_a_warning_with_its_command(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path, world.url, endpoints=("machine",))
    lake = Lake(tmp_path)
    manifest = lake.source("pokeapi").runs.manifests()[0]
    held = manifest | {
        "run_id": f"{manifest['run_id']}x",
        "holds": {"machine": {"reason": "9 of 10 missing", "files": []}},
    }
    lake.source("pokeapi").runs.save_manifest(held | {"committed": False, "status": "held"})
    found = live(capsys, tmp_path)
    assert found["lake pokeapi", "held"]["level"] == "warning"
    assert "--accept machine" in found["lake pokeapi", "held"]["remedy"]


def test_a_host_that_does_not_answer_and_a_lake_that_cannot_be_made_are_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int
) -> None:
    monkeypatch.setenv("TRAWL_SOURCE_POKEAPI_BASE_URL", f"http://127.0.0.1:{unused_tcp_port}")
    (tmp_path / "file").write_text("")
    found = live(capsys, tmp_path / "file/lake", code=1)
    assert "cannot reach" in found["API pokeapi", "reachable"]["message"]
    assert found["API pokeapi", "reachable"]["remedy"]
    assert found["lake", "folder"]["level"] == "wrong"


@pytest.mark.s3
def test_a_bucket_is_asked_whether_conditional_writes_work(
    world: World, s3: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = live(capsys, f"{s3}/check-{tmp_path.name}")
    assert "conditional writes work" in found["lake", "bucket"]["message"]
