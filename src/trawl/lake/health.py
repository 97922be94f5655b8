"""Whether a lake is well: can it be written, is each source's log whole, is anything left over.

Files are judged by their footers, not by their rows: that is quick, and finds what is missing, cut or overwritten.
"""

import os
import shutil
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from trawl.model.errors import LakeError, TrawlError
from trawl.model.health import Health, Level

from .log.table import Snapshot
from .reading.lake import Lake
from .runs.documents import MANIFEST, read
from .source import SourceLake
from .store import Conflict, Store

_AT_ONCE = 8  # files that are looked at together
_NAMED = 3  # damaged files that are named
_LITTLE, _TOO_LITTLE = 2 * 2**30, 200 * 2**20  # bytes of free disk


def examine_store(lake: Lake) -> Iterator[Health]:
    """Whether the lake's folder or bucket can be read and written, conditionally too."""
    store = lake.store
    if store.folder is not None and not store.exists:
        parent = next(path for path in store.folder.parents if path.exists())
        yield disk("lake", parent)
        if os.access(parent, os.W_OK) and parent.is_dir() and not store.folder.exists():
            yield Health("lake", "folder", Level.OK, f"{lake.url} is not there yet: the first run makes it")
        else:
            yield Health(
                "lake", "folder", Level.WRONG, f"{lake.url} cannot be made", "choose another folder with --lake"
            )
        return
    if store.folder is not None:
        yield disk("lake", store.folder)
    what = "folder" if store.folder is not None else "bucket"
    try:
        _write_and_swap(store)
    except Conflict:
        yield Health(
            "lake",
            what,
            Level.WRONG,
            f"{lake.url}: a conditional write failed, so two writers could meet",
            _CONDITIONAL,
        )
    except _Lost:
        yield Health("lake", what, Level.WRONG, f"{lake.url}: a stale conditional write was accepted", _CONDITIONAL)
    except LakeError as error:
        yield Health("lake", what, Level.WRONG, error.message, error.remedy)
    else:
        yield Health("lake", what, Level.OK, f"{lake.url} can be read and written; conditional writes work")


_CONDITIONAL = "use a server that supports If-Match and If-None-Match on PUT (AWS S3, MinIO, Cloudflare R2)"


class _Lost(Exception):
    """A write went through that must not."""


def _write_and_swap(store: Store) -> None:
    """Write an object, replace it conditionally, and see a stale replacement refused."""
    path = f"check-{uuid.uuid4().hex}"
    try:
        first = store.swap(path, b"1", None)
        store.swap(path, b"22", first)
        with suppress(Conflict):
            store.swap(path, b"333", first)
            raise _Lost
    finally:
        store.delete(path)
        store.delete(f".{path}.lock")


def examine_source(source: SourceLake, now: datetime) -> Iterator[Health]:
    """One source's log, lease, plans and manifests."""
    area = f"lake {source.name}"
    try:
        snapshot = source.log.snapshot()
        if snapshot is None:
            yield Health(area, "log", Level.OK, "nothing is committed yet")
        else:
            yield from _files(source, snapshot, area)
            yield from _manifests(source, snapshot, area)
        holder = source.holder(now)
        yield Health(area, "lease", Level.OK, "free" if holder is None else f"being written now by {holder}")
        plans = source.runs.plans()
        if plans:
            names = ", ".join(plan.run for plan in plans)
            remedy = f"the next run with the same options continues it: trawl run {source.name}"
            yield Health(area, "plans", Level.WARNING, f"unfinished: {names}", remedy)
    except TrawlError as error:
        yield Health(area, "log", Level.WRONG, error.message, error.remedy)


def _files(source: SourceLake, snapshot: Snapshot, area: str) -> Iterator[Health]:
    files = snapshot.files().select(["path", "size_bytes", "num_records"]).to_pylist()
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        faults = [fault for fault in pool.map(lambda file: _fault(source, file), files) if fault]
    rows = sum(file["num_records"] or 0 for file in files)
    size = sum(file["size_bytes"] for file in files)
    if not faults:
        message = f"version {snapshot.version}: {len(files):,} files, {rows:,} rows, {size / 1e6:,.1f} MB, all whole"
        yield Health(area, "log", Level.OK, message)
        return
    for fault in faults[:_NAMED]:
        yield Health(
            area, "log", Level.WRONG, fault, "restore the file from a backup; there is no other copy of its rows"
        )
    if len(faults) > _NAMED:
        yield Health(area, "log", Level.WRONG, f"and {len(faults) - _NAMED:,} more of {len(files):,} files")


def _fault(source: SourceLake, file: dict[str, Any]) -> str | None:
    """What is wrong with a committed file, by its footer."""
    path = file["path"]
    try:
        with source.store.open(f"{source.name}/log/{path}") as content:
            rows = pq.ParquetFile(content).metadata.num_rows
    except LakeError as error:
        missing = any(words in error.message for words in ("not found", "No such file"))
        return f"{path} is missing" if missing else f"{path}: {error.message}"
    except OSError as error:
        return f"{path}: {error}"
    except pa.ArrowException as error:
        return f"{path} is damaged: {' '.join(str(error).split())[:120]}"
    if rows != file["num_records"]:
        return f"{path} holds {rows:,} rows, not {file['num_records']:,}"
    return None


def _manifests(source: SourceLake, snapshot: Snapshot, area: str) -> Iterator[Health]:
    """Whether each committed run has a readable manifest."""
    readable, damaged = set(), []
    for item in source.store.scan(f"{source.name}/runs"):
        manifest = read(MANIFEST, source.store.get(item["path"]))
        if manifest is None:
            damaged.append(item["path"])
        else:
            readable.add(manifest["run_id"])
    missing = sorted(source.committed_runs(snapshot) - readable)
    whole = "records and history are complete without it"
    if damaged:
        remedy = f"remove it: {whole}, and `runs` shows no more of that run than its name"
        yield Health(area, "manifests", Level.WARNING, f"damaged: {', '.join(damaged[:_NAMED])}", remedy)
    if missing:
        remedy = f"put it back if there is a backup; {whole}, only `runs` lacks that run"
        yield Health(area, "manifests", Level.WARNING, f"missing for {', '.join(missing[:_NAMED])}", remedy)
    if not damaged and not missing:
        yield Health(area, "manifests", Level.OK, "1 run" if len(readable) == 1 else f"{len(readable):,} runs")


def disk(area: str, folder: Path) -> Health:
    """The free space where a folder lies."""
    free = shutil.disk_usage(folder).free
    level = Level.WRONG if free < _TOO_LITTLE else Level.WARNING if free < _LITTLE else Level.OK
    remedy = None if level is Level.OK else "make room"
    return Health(area, "disk", level, f"{free / 2**30:,.1f} GiB free at {folder}", remedy)
