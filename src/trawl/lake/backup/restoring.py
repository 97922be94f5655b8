"""Putting a backup into an empty lake. What was begun and not ended is gone on with; anything else is left alone."""

import hashlib
import json
import shutil
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from trawl.lake.reading.lake import Lake
from trawl.lake.store import Store
from trawl.model.errors import ConfigurationError, LakeError

from .copying import Progress
from .kept import Backup, Backups, Kept, place_of

_UNDER_WAY = "restoring.json"
_THREADS = 4
_CHUNK = 2**20


def restore(
    store: Store, lake: Lake, name: str | None = None, *, files_to: Path | None = None, progress: Progress | None = None
) -> Backup:
    """Restore a backup (the newest, unless named), and with `files_to` what was added to it.

    Raises ConfigurationError for a lake that holds anything.
    """
    backups = Backups(store)
    backup = choose(backups, name)
    there = _claim(lake.store, backup)
    files = [kept for kept in backup.objects if kept.path not in there]
    if progress is not None:
        progress.begin(len(files))
    # Delta's entries come last, and in their order: before that there is no log, and never half of one.
    entries = sorted((kept for kept in files if "/_delta_log/" in kept.path), key=lambda kept: kept.path)
    with ThreadPoolExecutor(_THREADS) as pool:
        for part in ([kept for kept in files if "/_delta_log/" not in kept.path], entries):
            for _ in _put_each(pool, store, lake.store, part):
                if progress is not None:
                    progress.advance(1)
    if files_to is not None:
        for file in backup.added:
            fetch(store, place_of(backup.name, file), files_to)
    lake.store.delete(_UNDER_WAY)
    return backup


def choose(backups: Backups, name: str | None) -> Backup:
    """The backup of that name, or the newest."""
    if name is None:
        names = backups.names()
        if not names:
            raise ConfigurationError(
                f"there is no backup in {backups.store.url}", remedy="make one: trawl backup --to URL; or check --from"
            )
        name = names[0]
    return backups.read(name)


def _claim(lake: Store, backup: Backup) -> set[str]:
    """Note in an empty lake what is put there; where that has been noted before, what is there already."""
    lake.make()
    mark = json.dumps({"backup": backup.name}).encode()
    noted = lake.get(_UNDER_WAY)
    if noted == mark:
        sizes = {item["path"]: item["size"] for item in lake.scan("")}
        return {kept.path for kept in backup.objects if sizes.get(kept.path) == kept.size}
    found = [item["path"] for item in lake.scan("") if item["path"] != _UNDER_WAY]
    if found:
        raise ConfigurationError(
            f"the lake {lake.url} is not empty: it holds {found[0]}{f' and {len(found) - 1:,} more' if found[1:] else ''}",
            remedy="restore into another folder, bucket or prefix, or empty this one first",
        )
    lake.put(_UNDER_WAY, mark)
    return set()


def _put_each(pool: ThreadPoolExecutor, store: Store, lake: Store, items: Iterable[Kept]) -> Iterator[None]:
    """Never more than a few objects ahead, as `pool.map` would be: who stops it leaves the others undone."""
    begun: deque[Future[None]] = deque()
    for item in items:
        begun.append(pool.submit(_put, store, lake, item))
        if len(begun) > _THREADS:
            yield begun.popleft().result()
    for future in begun:
        yield future.result()


def _put(store: Store, lake: Store, kept: Kept) -> None:
    content = store.get(kept.place)
    if content is None or hashlib.sha256(content).hexdigest() != kept.sha256:
        raise LakeError(
            f"the backup in {store.url} is damaged: {kept.place}, which is the lake's {kept.path}",
            remedy="restore another backup (--at), into another empty lake",
        )
    lake.put(kept.path, content)
    lake.settle([kept.path])


def fetch(store: Store, path: str, folder: Path) -> Path:
    """Copy one file out of a backup's place into a folder."""
    found = next((item for item in store.scan(path.rpartition("/")[0]) if item["path"] == path), None)
    if found is None:
        raise ConfigurationError(f"{store.url} holds no {path!r}", remedy="see what it holds: trawl restore --list")
    target = folder / path.rpartition("/")[2]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with store.open(path) as content, target.open("wb") as file:
            shutil.copyfileobj(content, file, _CHUNK)
    except OSError as error:
        raise ConfigurationError(
            f"{target} cannot be written: {error.strerror or error}", remedy="name another folder with --files-to"
        ) from None
    return target
