"""Making a backup of a lake that others write meanwhile: each source as it is at one version of its log.

The version is read first, then what there is is listed. Objects do not change, so the files that the version names are
copied as they are; later entries of the log are left out, and with them all that only they name. What maintenance takes
away in between is missed, and that source begun anew.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from trawl.lake.log.table import Snapshot
from trawl.lake.reading.lake import Lake
from trawl.lake.runs.lease import Lease
from trawl.lake.source import SourceLake
from trawl.lake.store import Store, damaged_file
from trawl.model.errors import ConfigurationError, LeaseHeld

from .kept import Backup, Backups, Kept, known, name_of, place_of

_ATTEMPTS = 5
_THREADS = 4  # each holds an object in memory: of the log's files up to some 20 MB
_ENTRY = re.compile(r"(\d{20})\.(json|checkpoint(?:\.\d{10}\.\d{10})?\.parquet)")

Item = Mapping[str, Any]


class Progress(Protocol):
    """Who is told how far it has come."""

    def begin(self, total: int) -> None: ...

    def advance(self, number: int) -> None: ...


@dataclass(frozen=True, slots=True)
class BackedUp:
    """What a backup did: the objects and bytes that were new, and the old backups that were removed."""

    backup: Backup
    copied: int
    copied_bytes: int
    removed: list[str]


class _Moved(Exception):
    """Something that the version needs has gone since it was read."""


def back_up(
    lake: Lake,
    to: Store,
    *,
    add: Iterable[Path] = (),
    keep: int | None = None,
    progress: Progress | None = None,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> BackedUp:
    """Copy what is new of a lake, and whole files beside it; then remove all backups but the newest `keep`.

    Raises LeaseHeld while another one is being made there.
    """
    if to.url == lake.url or f"{to.url}/".startswith(f"{lake.url}/") or f"{lake.url}/".startswith(f"{to.url}/"):
        raise ConfigurationError(
            f"the backup {to.url} and the lake {lake.url} lie in one another", remedy="choose another place with --to"
        )
    sources = lake.sources()
    to.make()
    name, backups = name_of(clock()), Backups(to)
    lease = Lease(to, "lease.json", name, clock)
    try:
        lease.take()
    except LeaseHeld:
        raise LeaseHeld(
            f"another backup is being made in {to.url}", remedy="wait for it; its claim expires by itself in a minute"
        ) from None
    try:
        names = backups.names()
        if name in names:
            raise ConfigurationError(f"{to.url} holds a backup {name} already", remedy="try again in a second")
        copy = _Copying(lake.store, backups, backups.read(names[0]) if names else None)
        versions = {
            source: version for source in sources if (version := copy.source(lake.source(source), progress)) is not None
        }
        added = {file.name: _add(to, place_of(name, file.name), file) for file in add}
        lease.check()
        backup = Backup(name, lake.url, versions, added, sorted(copy.found.values(), key=lambda kept: kept.path))
        backups.finish(backup)
        removed = [] if keep is None else backups.prune(keep)
    finally:
        lease.release()
    return BackedUp(backup, copy.copied, copy.copied_bytes, removed)


def entries_of(version: int, names: Iterable[str]) -> set[str] | None:
    """Of the log's entries those up to a version; None where they do not suffice to read it."""
    entries = {name: (int(found[1]), found[2]) for name in names if (found := _ENTRY.fullmatch(name))}
    upto = {name: entry for name, entry in entries.items() if entry[0] <= version}
    single = {number for number, kind in upto.values() if kind == "json"}
    summed_up = max((number for number, kind in upto.values() if kind == "checkpoint.parquet"), default=-1)
    return set(upto) if single >= set(range(summed_up + 1, version + 1)) else None


class _Copying:
    """One backup on its way: what it holds so far."""

    def __init__(self, lake: Store, backups: Backups, last: Backup | None) -> None:
        self._lake, self._to = lake, backups.store
        self._contents = backups.contents()
        self._known = known(last, self._contents)
        self.found: dict[str, Kept] = {}
        self.copied = self.copied_bytes = self._planned = 0

    def source(self, source: SourceLake, progress: Progress | None) -> int | None:
        """Copy a source as it is now. The version of its log, or None where it has none."""
        for attempt in range(1, _ATTEMPTS + 1):
            snapshot = source.log.snapshot()
            items = list(self._lake.scan(source.name))
            try:
                wanted, needed = _choose(source, snapshot, items)
                copies = self._copies(wanted, needed, progress)
            except _Moved as error:
                if attempt == _ATTEMPTS:
                    raise damaged_file(f"{self._lake.url}/{error}") from None
                continue
            self.found |= copies
            return None if snapshot is None else snapshot.version
        raise AssertionError

    def _copies(self, wanted: Sequence[Item], needed: set[str], progress: Progress | None) -> dict[str, Kept]:
        old = {item["path"]: kept for item in wanted if (kept := self._known.get(_identity(item))) is not None}
        new = [item["path"] for item in wanted if item["path"] not in old]
        self._planned += len(new)
        if progress is not None:
            progress.begin(self._planned)
        with ThreadPoolExecutor(_THREADS) as pool:
            for path, kept in zip(new, pool.map(self._copy, new), strict=True):
                if kept is not None:
                    old[path] = kept
                elif path in needed:
                    pool.shutdown(cancel_futures=True)
                    raise _Moved(path)
                if progress is not None:
                    progress.advance(1)
        return old

    def _copy(self, path: str) -> Kept | None:
        """Copy an object; None where it is there no longer."""
        found = self._lake.get_tagged(path)
        if found is None:
            return None
        content, tag = found
        kept = Kept(path, len(content), tag, hashlib.sha256(content).hexdigest())
        if self._contents.get(kept.place) != kept.size:
            self._to.put(kept.place, content)
            self._to.settle([kept.place])
            self._contents[kept.place] = kept.size
            self.copied += 1
            self.copied_bytes += kept.size
        return kept


def _choose(source: SourceLake, snapshot: Snapshot | None, items: Sequence[Item]) -> tuple[list[Item], set[str]]:
    """What is copied of a source, and which of it a reader of this version cannot do without. Raises _Moved."""
    log = f"{source.name}/log/_delta_log/"
    names = [item["path"].removeprefix(log) for item in items if item["path"].startswith(log)]
    sizes = {item["path"]: item["size"] for item in items}
    entries: set[str] = set()
    needed: set[str] = set()
    if snapshot is not None:
        chosen = entries_of(snapshot.version, names)
        if chosen is None:
            raise _Moved(f"{log}{snapshot.version:020}.json")
        entries = {log + name for name in chosen}
        data = {source.log.path_of(file): file.size for file in snapshot.log_files()}
        for path, size in data.items():
            if sizes.get(path) != size:
                raise _Moved(path)
        needed = entries | data.keys()
    wanted = [item for item in items if item["path"] in entries or not _left_out(source.name, item["path"])]
    return wanted, needed


def _left_out(source: str, path: str) -> bool:
    """Leases and locks are somebody's of that moment; of Delta's log only chosen entries are copied."""
    return path == f"{source}/lease.json" or path.endswith(".lock") or path.startswith(f"{source}/log/_delta_log/")


def _identity(item: Item) -> tuple[str, int, str]:
    return item["path"], item["size"], item["e_tag"] or ""


def _add(to: Store, place: str, file: Path) -> int:
    try:
        size = file.stat().st_size
        with file.open("rb") as content:
            to.upload(place, content)
    except OSError as error:
        raise ConfigurationError(
            f"--add {file}: {error.strerror or error}", remedy="name a file that can be read"
        ) from None
    to.settle([place])
    return size
