"""A folder that is full, read-only, damaged or half-written: a clear word, the lake as it was, and the next run works."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.crawling import ask
from tests.torture.conftest import Undisturbed, family_place
from tests.torture.victims import Place, holdings, kill, known_holdings, until
from trawl.cli.app import invoke
from trawl.lake import Lake


@contextmanager
def mounted(place: Path, *options: str) -> Iterator[None]:
    """A file system of its own in memory, where this process may mount one."""
    made = subprocess.run(["mount", "-t", "tmpfs", *options, "tmpfs", str(place)], capture_output=True, check=False)
    if made.returncode:
        pytest.skip(f"no right to mount a file system: {made.stderr.decode().strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


Said = pytest.CaptureFixture[str]


def failed(said: Said, *command: str | Path) -> str:
    """A command that fails in a clear word: what it says."""
    said.readouterr()
    assert invoke([str(word) for word in command]) == 1
    words = said.readouterr().err
    assert "error: " in words
    assert "bug in Trawl" not in words
    return " ".join(words.split())


def run_fails(place: Place, name: str | Path, said: Said) -> str:
    flags = ["--base-url", place.url, "--rate", "unlimited", *place.flags]
    return failed(said, "run", name, "--lake", place.lake, *flags)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.7, 0.9])
def test_a_full_disk_is_named_and_with_room_again_the_run_goes_on(
    tmp_path: Path, family_file: Path, family_lakes: Undisturbed, capsys: Said, share: float
) -> None:
    pages = sum(-(-file.stat().st_size // 4096) for file in family_lakes(0).rglob("*") if file.is_file())
    with mounted(tmp_path, "-o", f"size={int(share * pages) * 4}k"), family_place(tmp_path / "lake", 0) as place:
        said = run_fails(place, family_file, capsys)
        assert "the disk is full" in said
        assert "free some space" in said
        subprocess.run(["mount", "-o", "remount,size=20m", str(tmp_path)], check=True)
        assert place.finish().status == "done"
        assert holdings(place.lake, "family") == known_holdings(family_lakes(0), "family")


def test_a_folder_that_becomes_read_only_is_named(
    tmp_path: Path, family_file: Path, family_lakes: Undisturbed, capsys: Said
) -> None:
    with mounted(tmp_path, "-o", "size=20m"), family_place(tmp_path / "lake", 1) as place:
        shutil.copytree(family_lakes(0), place.lake)
        before = holdings(place.lake, "family")
        subprocess.run(["mount", "-o", "remount,ro", str(tmp_path)], check=True)
        said = run_fails(place, family_file, capsys)
        assert "read-only" in said
        assert "--lake" in said
        assert not place.gate.asked, "it is found before the first request"
        assert holdings(place.lake, "family") == before
        subprocess.run(["mount", "-o", "remount,rw", str(tmp_path)], check=True)
        place.finish()
        assert holdings(place.lake, "family") == known_holdings(family_lakes(1), "family")


# -- what a power cut leaves -------------------------------------------------------------------------------


def halved(file: Path) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])


def emptied(file: Path) -> None:
    file.write_bytes(b"")


def zeroed(file: Path) -> None:
    """As some file systems do it: the length is there, the content is not."""
    file.write_bytes(bytes(file.stat().st_size))


DAMAGE = pytest.mark.parametrize("damage", [halved, emptied, zeroed])


@pytest.fixture(scope="module")
def half_done(
    tmp_path_factory: pytest.TempPathFactory, family_file: Path, family_lakes: Undisturbed
) -> Iterator[Place]:
    """A lake whose second day was killed when some of its shards were finished."""
    lake = tmp_path_factory.mktemp("half") / "lake"
    shutil.copytree(family_lakes(0), lake)
    with family_place(lake, 1) as place:
        process = place.run(family_file)
        assert until(process, lambda: place.gate.asked.total() > 100)
        kill(process)
        assert place.finished_shards()
        yield place


@DAMAGE
@pytest.mark.parametrize(
    ("torn", "adopted"),
    [
        ("plans/*/plan.json", False),
        ("plans/*/shards.arrow", False),
        ("plans/*/000000.json", True),
        ("log/kind=*/*/*-000000-*.parquet", True),
        ("log/kind=*/*/*-listing-*.parquet", False),
        ("lease.json", True),
        ("runs/*.json", True),
    ],
)
def test_what_a_power_cut_tore_of_an_unfinished_run_is_made_again(
    tmp_path: Path,
    half_done: Place,
    family_lakes: Undisturbed,
    damage: Callable[[Path], None],
    torn: str,
    adopted: bool,
) -> None:
    place = replace(half_done, lake=tmp_path / "lake")
    shutil.copytree(half_done.lake, place.lake)
    (run,) = [plan.name for plan in (place.folder / "plans").iterdir()]
    files = list(place.folder.glob(torn))
    new = [file for file in files if run in str(file)]
    for file in new[:1] or files:
        damage(file)
    report = place.finish()
    assert (report.run_id == run) == adopted
    assert holdings(place.lake, "family") == known_holdings(family_lakes(1), "family")
    assert not list(place.folder.glob("plans/*"))


def test_a_torn_manifest_costs_its_run_no_more_than_its_figures(tmp_path: Path, family_lakes: Undisturbed) -> None:
    lake = tmp_path / "lake"
    shutil.copytree(family_lakes(1), lake)
    first, second = sorted((lake / "family/runs").glob("*.json"))
    halved(first)
    rows = ask(lake, "SELECT run_id, status, note FROM family.runs ORDER BY run_id")
    assert [row["run_id"] for row in rows] == [first.stem, second.stem]
    assert [row["status"] for row in rows] == ["unknown", "done"]
    assert first.name in rows[0]["note"]
    assert invoke(["status", "--lake", str(lake)]) == 0


@pytest.mark.parametrize("content", ["", "[]", '{"until": "2999-01-01T00:00:00"}', '{"until": 7}', "\0\0\0"])
def test_a_torn_cool_down_stops_nobody(tmp_path: Path, content: str) -> None:
    with family_place(tmp_path, 0) as place:
        board = tmp_path / "hosts" / place.url.split("/")[2].replace(":", "%3A")
        board.mkdir(parents=True)
        (board / "cool-down.json").write_text(content)
        assert place.finish().status == "done"


@pytest.mark.parametrize("entry", [0, 1])
@DAMAGE
def test_a_damaged_entry_of_the_log_is_named_by_whoever_opens_it(
    tmp_path: Path,
    family_file: Path,
    family_lakes: Undisturbed,
    capsys: Said,
    damage: Callable[[Path], None],
    entry: int,
) -> None:
    lake = tmp_path / "lake"
    shutil.copytree(family_lakes(0), lake)
    damage(lake / f"family/log/_delta_log/{entry:020}.json")
    before = {file: file.read_bytes() for file in lake.rglob("*") if file.is_file()}
    with family_place(lake, 0) as place:
        assert "entry" in run_fails(place, family_file, capsys)
        assert not place.gate.asked
    assert "entry" in failed(capsys, "query", "FROM family.records", "--lake", lake)
    assert {file: file.read_bytes() for file in lake.rglob("*") if file.is_file()} == before


def test_an_empty_last_entry_is_of_a_run_that_was_not_committed(
    tmp_path: Path, family_file: Path, family_lakes: Undisturbed, capsys: Said
) -> None:
    """As the word that it is refused with says: deleted, and the next run takes its place."""
    lake = tmp_path / "lake"
    shutil.copytree(family_lakes(0), lake)
    entry = lake / "family/log/_delta_log/00000000000000000002.json"
    entry.touch()
    with family_place(lake, 1) as place:
        assert str(entry) in run_fails(place, family_file, capsys)
        entry.unlink()
        place.finish()
    assert holdings(lake, "family") == known_holdings(family_lakes(1), "family")


@pytest.mark.parametrize("kind", ["payload", "run", "listing"])
@pytest.mark.parametrize("damage", [halved, emptied, zeroed, Path.unlink])
def test_a_damaged_file_of_the_log_is_named(
    tmp_path: Path,
    family_file: Path,
    family_lakes: Undisturbed,
    capsys: Said,
    damage: Callable[[Path], None],
    kind: str,
) -> None:
    lake = tmp_path / "lake"
    shutil.copytree(family_lakes(0), lake)
    file = next((lake / "family/log").glob(f"kind={kind}/*/*.parquet"))
    damage(file)
    with family_place(lake, 1) as place:
        said = run_fails(place, family_file, capsys)
        assert file.name in said
        assert "backup" in said
    query = "SELECT sum(length(payload)) FROM family.records"
    assert file.name in failed(capsys, "query", query, "--lake", lake)
    assert Lake(lake).source("family").log.make().version == 1


def test_files_of_a_commit_are_on_the_disk_before_its_entry_and_the_entry_before_the_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settled: list[str] = []
    fsync = os.fsync

    def told(handle: int) -> None:
        settled.append(str(Path(f"/proc/self/fd/{handle}").readlink()))
        fsync(handle)

    monkeypatch.setattr(os, "fsync", told)
    with family_place(tmp_path, 0) as place:
        place.finish()
    entry = str(place.folder / "log/_delta_log/00000000000000000001.json")
    added = [json.loads(line).get("add") for line in Path(entry).read_text().splitlines()]
    files = {str(place.folder / "log" / add["path"]) for add in added if add}
    assert files <= set(settled[: settled.index(entry)])
    assert {str(Path(file).parent) for file in (*files, entry)} <= set(settled)
