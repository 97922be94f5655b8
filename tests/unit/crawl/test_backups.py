"""A backup is a lake of one moment, whoever writes meanwhile; restored it is that lake, history included."""

import json
import shutil
import threading
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import World
from tests.crawling import Clock, ask, contents, run
from tests.unit.crawl.test_days import guardless
from trawl.cli.app import invoke
from trawl.crawl import maintain
from trawl.lake import BackedUp, Backups, Lake, Store, back_up, fetch, restore
from trawl.lake.backup.copying import entries_of
from trawl.lake.runs.lease import Lease
from trawl.lake.store import damaged_file
from trawl.model.errors import ConfigurationError, LakeError, LeaseHeld

VIEWS = ("records", "versions", "changes", "runs", "quarantine")


def everything(lake: Path | str) -> dict[str, Any]:
    """All that a user can ask, of now and of every past change."""
    rows = {view: ask(lake, f"FROM pokeapi.{view} ORDER BY ALL") for view in VIEWS}
    instants = ask(lake, "SELECT DISTINCT observed_at FROM pokeapi.changes ORDER BY 1")
    return rows | {
        str(row["observed_at"]): contents(lake, as_of=row["observed_at"])
        for row in instants[:: max(1, len(instants) // 5)]
    }


def backed_up(lake: Path | str, to: Path | str, clock: Clock, **more: Any) -> BackedUp:
    clock.move(minutes=1)
    return back_up(Lake(lake), Store(to), clock=clock, **more)


@pytest.fixture
def kept(lake_url: str, tmp_path: Path) -> str:
    """Where backups lie: of the same form as the lake."""
    return f"{lake_url}-backup" if lake_url.startswith("s3:") else str(tmp_path / "kept")


@pytest.fixture
def clock() -> Clock:
    return Clock()


def days(world: World, lake: str, clock: Clock, numbers: Any) -> None:
    for day in numbers:
        world.day(day)
        clock.move(days=1)
        run(lake, world.url, guardless(), clock=clock)


def test_what_is_restored_equals_the_backup_with_its_history_and_is_crawled_on(
    world: World, lake_url: str, kept: str, clock: Clock
) -> None:
    days(world, lake_url, clock, (0, 1, 2))
    maintain(Lake(lake_url), "pokeapi", retain=timedelta(0), clock=clock)
    days(world, lake_url, clock, (3,))
    before = everything(lake_url)
    backed_up(lake_url, kept, clock)
    days(world, lake_url, clock, (4,))
    after = everything(lake_url)
    assert after != before
    again = f"{lake_url}-again"
    restore(Store(kept), Lake(again))
    assert everything(again) == before
    clock.move(days=-1)
    days(world, again, clock, (4,))
    assert contents(again) == contents(lake_url)


def test_a_backup_copies_what_is_new_alone(world: World, lake_url: str, kept: str, clock: Clock) -> None:
    days(world, lake_url, clock, (0,))
    first = backed_up(lake_url, kept, clock)
    assert first.copied > 0
    assert sum(Backups(Store(kept)).contents().values()) == first.copied_bytes
    second = backed_up(lake_url, kept, clock)
    assert (second.copied, second.backup.objects) == (0, first.backup.objects)
    days(world, lake_url, clock, (1,))
    third = backed_up(lake_url, kept, clock)
    new = {item.path for item in third.backup.objects} - {item.path for item in first.backup.objects}
    assert 0 < third.copied <= len(new)


def test_what_has_not_changed_is_not_even_read_again(world: World, tmp_path: Path, clock: Clock) -> None:
    lake, kept = tmp_path / "lake", tmp_path / "kept"
    days(world, str(lake), clock, (0,))
    backed_up(lake, kept, clock)
    files = list((lake / "pokeapi").rglob("*.parquet"))
    for file in files:
        file.chmod(0)
    reads: list[str] = []
    original = Store.get_tagged

    def counted(self: Store, path: str) -> Any:
        if self.folder == lake:
            reads.append(path)
        return original(self, path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Store, "get_tagged", counted)
        assert backed_up(lake, kept, clock).copied == 0
    assert files
    assert not [path for path in reads if path.endswith(".parquet")]


def test_a_backup_that_is_made_while_others_write_is_whole(world: World, tmp_path: Path, clock: Clock) -> None:
    """Crawls commit, and maintenance takes away at once what a backup may be about to copy."""
    lake, kept = str(tmp_path / "lake"), str(tmp_path / "kept")
    days(world, lake, clock, (0,))
    seen: dict[int, Any] = {}

    def note() -> None:
        snapshot = Lake(lake).source("pokeapi").log.snapshot()
        assert snapshot is not None
        seen.setdefault(snapshot.version, contents(lake))

    note()
    ended = threading.Event()

    def write() -> None:
        try:
            for day in range(1, 7):
                days(world, lake, clock, (day,))
                note()
                maintain(Lake(lake), "pokeapi", retain=timedelta(0), clock=clock)
                note()
        finally:
            ended.set()

    writer = threading.Thread(target=write)
    writer.start()
    made = []
    while not ended.is_set():
        made.append(back_up(Lake(lake), Store(kept), clock=Clock_of_names(len(made))).backup)
    writer.join()
    assert len({backup.versions["pokeapi"] for backup in made}) > 2
    # Those of the very same objects are the very same lake: of them one is restored.
    different = {(backup.versions["pokeapi"], *backup.objects): backup for backup in made}
    read: set[tuple[int, frozenset[bytes]]] = set()
    for backup in different.values():
        again = tmp_path / f"again-{backup.name}"
        restore(Store(kept), Lake(again), backup.name)
        snapshot = Lake(again).source("pokeapi").log.snapshot()
        assert snapshot is not None
        assert snapshot.version == backup.versions["pokeapi"]
        assert not snapshot.lost_files()
        log = snapshot.version, frozenset(Path(file).read_bytes() for file in snapshot.local_files())
        if log in read:  # the same to the byte, beside other objects
            continue
        read.add(log)
        # What a fold commits reads as what was there before it.
        assert contents(again) == seen[max(version for version in seen if version <= snapshot.version)]


class Clock_of_names:  # noqa: N801
    """Each backup a minute after the one before it, whatever the lake's clock says."""

    def __init__(self, number: int) -> None:
        self._clock = Clock()
        self._clock.move(minutes=number)

    def __call__(self) -> Any:
        return self._clock()


def test_a_lake_that_holds_anything_is_left_alone(world: World, lake_url: str, kept: str, clock: Clock) -> None:
    days(world, lake_url, clock, (0,))
    backed_up(lake_url, kept, clock)
    before = {item["path"]: item["e_tag"] for item in Lake(lake_url).store.scan("")}
    with pytest.raises(ConfigurationError, match="is not empty"):
        restore(Store(kept), Lake(lake_url))
    assert {item["path"]: item["e_tag"] for item in Lake(lake_url).store.scan("")} == before


class Interrupted(Exception):
    pass


class Stops:
    """Interrupts at the n-th object."""

    def __init__(self, after: int) -> None:
        self.left = after

    def begin(self, total: int) -> None:
        self.total = total

    def advance(self, number: int) -> None:
        self.left -= number
        if self.left == 0:
            raise Interrupted


def test_a_restore_that_was_interrupted_goes_on_and_no_other_one_mixes_with_it(
    world: World, tmp_path: Path, clock: Clock
) -> None:
    lake, kept, again = str(tmp_path / "lake"), str(tmp_path / "kept"), str(tmp_path / "again")
    days(world, lake, clock, (0,))
    first = backed_up(lake, kept, clock).backup
    before = everything(lake)
    days(world, lake, clock, (1,))
    backed_up(lake, kept, clock)
    for after in (2, 3):
        with pytest.raises(Interrupted):
            restore(Store(kept), Lake(again), first.name, progress=Stops(after))
        assert Lake(again).source("pokeapi").log.snapshot() is None or everything(again) == before
    with pytest.raises(ConfigurationError, match="is not empty"):
        restore(Store(kept), Lake(again))
    restore(Store(kept), Lake(again), first.name)
    assert everything(again) == before
    assert not (Path(again) / "restoring.json").exists()


def test_old_backups_go_with_what_only_they_used(world: World, lake_url: str, kept: str, clock: Clock) -> None:
    states = {}
    for day in range(4):
        days(world, lake_url, clock, (day,))
        maintain(Lake(lake_url), "pokeapi", retain=timedelta(0), clock=clock)
        states[backed_up(lake_url, kept, clock).backup.name] = contents(lake_url)
    before = Backups(Store(kept)).contents()
    done = backed_up(lake_url, kept, clock, keep=2)
    backups = Backups(Store(kept))
    assert done.removed == sorted(states, reverse=True)[1:]
    assert backups.names() == [done.backup.name, max(states)]
    used = {item.place for name in backups.names() for item in backups.read(name).objects}
    assert backups.contents().keys() == used < before.keys()
    for number, name in enumerate(backups.names()):
        again = f"{lake_url}-again{number}"
        restore(Store(kept), Lake(again), name)
        assert contents(again) == states[max(states)]


def test_what_was_left_unfinished_is_no_backup_and_is_cleared_away(world: World, tmp_path: Path, clock: Clock) -> None:
    lake, kept = str(tmp_path / "lake"), str(tmp_path / "kept")
    days(world, lake, clock, (0,))
    dump = tmp_path / "prefect.dump"
    dump.write_bytes(b"a dump")
    with pytest.raises(ConfigurationError, match="missing.dump"):
        backed_up(lake, kept, clock, add=[dump, tmp_path / "missing.dump"])
    backups = Backups(Store(kept))
    assert (backups.names(), len(list(Path(kept).glob("2*/prefect.dump")))) == ([], 1)
    made = backed_up(lake, kept, clock, keep=1, add=[dump])
    assert (backups.names(), len(list(Path(kept).glob("2*/prefect.dump")))) == ([made.backup.name], 1)


def test_files_that_were_added_come_back(world: World, lake_url: str, kept: str, clock: Clock, tmp_path: Path) -> None:
    days(world, lake_url, clock, (0,))
    dump = tmp_path / "prefect.dump"
    dump.write_bytes(bytes(range(256)) * 40_000)
    assert backed_up(lake_url, kept, clock, add=[dump]).backup.added == {"prefect.dump": dump.stat().st_size}
    restore(Store(kept), Lake(f"{lake_url}-again"), files_to=tmp_path / "back")
    assert (tmp_path / "back" / "prefect.dump").read_bytes() == dump.read_bytes()
    [name] = Backups(Store(kept)).names()
    one = fetch(Store(kept), f"{name}/prefect.dump", tmp_path / "one")
    assert one.read_bytes() == dump.read_bytes()
    with pytest.raises(ConfigurationError, match="holds no"):
        fetch(Store(kept), f"{name}/other.dump", tmp_path / "one")


def test_one_backup_is_made_at_a_time(world: World, tmp_path: Path, clock: Clock) -> None:
    lake, kept = str(tmp_path / "lake"), str(tmp_path / "kept")
    days(world, lake, clock, (0,))
    other = Store(kept)
    other.make()
    lease = Lease(other, "lease.json", "another", clock)
    lease.take()
    with pytest.raises(LeaseHeld, match="another backup"):
        back_up(Lake(lake), Store(kept), clock=clock)
    lease.release()
    backed_up(lake, kept, clock)


def test_a_damaged_backup_is_named_and_makes_no_lake(world: World, tmp_path: Path, clock: Clock) -> None:
    lake, kept, again = str(tmp_path / "lake"), tmp_path / "kept", str(tmp_path / "again")
    days(world, lake, clock, (0,))
    backup = backed_up(lake, kept, clock).backup
    [data, *_] = [item for item in backup.objects if item.path.endswith(".parquet")]
    place = kept / data.place
    place.write_bytes(place.read_bytes()[:-1] + b"?")
    with pytest.raises(LakeError, match=data.place):
        restore(Store(kept), Lake(again))
    assert Lake(again).source("pokeapi").log.snapshot() is None


def test_a_damaged_lake_is_not_backed_up_as_if_it_were_whole(world: World, tmp_path: Path, clock: Clock) -> None:
    lake, kept = tmp_path / "lake", str(tmp_path / "kept")
    days(world, str(lake), clock, (0,))
    lost = next((lake / "pokeapi" / "log" / "kind=payload").rglob("*.parquet"))
    lost.unlink()
    with pytest.raises(LakeError, match=lost.name):
        backed_up(lake, kept, clock)
    assert Backups(Store(kept)).names() == []
    assert damaged_file("x").message.startswith("a file of the log is gone")


def test_a_backup_and_its_lake_lie_apart(world: World, tmp_path: Path, clock: Clock) -> None:
    lake = tmp_path / "lake"
    days(world, str(lake), clock, (0,))
    for to in (lake, lake / "backups", tmp_path):
        with pytest.raises(ConfigurationError, match="lie in one another"):
            backed_up(lake, to, clock)


@pytest.mark.parametrize(
    ("version", "names", "expected"),
    [
        (1, ["0.json", "1.json"], ["0.json", "1.json"]),
        (1, ["0.json", "1.json", "2.json"], ["0.json", "1.json"]),
        (2, ["0.json", "2.json"], None),
        (2, ["1.checkpoint.parquet", "2.json"], ["1.checkpoint.parquet", "2.json"]),
        (2, ["2.checkpoint.parquet"], ["2.checkpoint.parquet"]),
        (2, ["3.checkpoint.parquet", "3.json"], None),
        (1, ["0.json", "1.json", "_last_checkpoint", "1.checkpoint.parquet.tmp", "2.checkpoint.parquet"], ["0.json", "1.json"]),
        (3, ["1.checkpoint.parquet", "3.json"], None),
        (0, [], None),
    ],
)  # fmt: skip
def test_the_entries_of_a_version_suffice_to_read_it_or_there_are_none(
    version: int, names: list[str], expected: list[str] | None
) -> None:
    def long(name: str) -> str:
        number, _, end = name.partition(".")
        return f"{int(number):020}.{end}" if number.isdigit() else name

    found = entries_of(version, [long(name) for name in names])
    assert found == (None if expected is None else {long(name) for name in expected})


def test_the_commands_do_it_and_say_it(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str], clock: Clock
) -> None:
    lake, kept, again = tmp_path / "lake", str(tmp_path / "kept"), str(tmp_path / "again")
    days(world, str(lake), clock, (0,))
    assert invoke(["backup", "--lake", str(lake), "--to", kept, "--keep", "3", "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert made["sources"].keys() == {"pokeapi"}
    assert invoke(["restore", "--from", kept, "--list"]) == 0
    assert made["backup"] in capsys.readouterr().out
    assert invoke(["restore", "--from", kept, "--lake", str(lake)]) == 2
    assert "restore into another folder" in capsys.readouterr().err
    assert invoke(["restore", "--from", kept, "--lake", again, "--at", "20200101T000000Z"]) == 2
    assert made["backup"] in capsys.readouterr().err
    assert invoke(["restore", "--from", kept, "--lake", again]) == 0
    assert "is restored: pokeapi" in capsys.readouterr().out
    assert everything(again) == everything(lake)
    shutil.rmtree(kept)
    assert invoke(["restore", "--from", kept, "--lake", str(tmp_path / "more")]) == 2
    assert "there is no backup" in capsys.readouterr().err
    assert invoke(["backup", "--lake", str(tmp_path / "none"), "--to", kept]) == 2
    assert invoke(["backup", "--lake", str(lake), "--to", kept, "--keep", "0"]) == 2


@pytest.mark.s3
def test_the_backup_may_lie_in_another_store_than_the_lake(
    world: World, s3: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    import os

    lake, kept = str(tmp_path / "lake"), f"{s3}/{uuid.uuid4().hex}"
    days(world, lake, clock, (0,))
    for name in ("AWS_ENDPOINT_URL", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(f"TRAWL_BACKUP_{name}", os.environ[name])
        monkeypatch.setenv(name, "http://127.0.0.1:1" if name == "AWS_ENDPOINT_URL" else "wrong")
    assert invoke(["backup", "--lake", lake, "--to", kept]) == 0
    assert invoke(["restore", "--from", kept, "--lake", str(tmp_path / "again")]) == 0
    assert everything(tmp_path / "again") == everything(lake)
