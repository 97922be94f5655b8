"""Keeping a lake quick: old `check` rows folded, small files made one.

Folding keeps, of each record's checks, the newest as a full row; `put`, `gone`, `revive` and the rest stay as they are,
so every `as_of` answers as before. It is one commit, fenced like a run's.
"""

from collections.abc import Callable
from dataclasses import dataclass

import pyarrow.compute as pc
from deltalake.transaction import RemoveAction

from trawl.model.records import Kind

from .log import Log, LogFile, Snapshot
from .schema import CONTENT, FILE, STANDING
from .sql import STATE, connect, register_log, rows_of

_SMALL = 32 * 2**20  # bytes below which a file is worth joining with others


@dataclass(frozen=True, slots=True)
class Folded:
    """What maintenance did: files before and after, and the rows of checks that were folded away."""

    files_before: int
    files_after: int
    rows_folded: int


def fold(log: Log, snapshot: Snapshot, run: str, progress: Callable[[str], None] = lambda _: None) -> Folded:
    """Fold and compact whatever partition has something to fold or more than one small file."""
    files = snapshot.files()
    con = connect("1GB")
    register_log(con, "log", snapshot)
    rows = rows_of("log")
    added: list[LogFile] = []
    removed: list[RemoveAction] = []
    before = after = 0
    partitions = files.group_by(["partition.kind", "partition.endpoint"]).aggregate([]).to_pylist()
    for partition in sorted(partitions, key=str):
        kind, endpoint = partition["partition.kind"], partition["partition.endpoint"]
        own = files.filter(
            pc.and_(pc.equal(files["partition.kind"], kind), pc.equal(files["partition.endpoint"], endpoint))
        )
        small = own.filter(pc.less(own["size_bytes"], _SMALL))
        chosen = own if kind == Kind.STATE else small
        if len(chosen) < 2:
            continue
        progress(f"{kind} {endpoint}: {len(chosen)} files")
        paths = chosen["path"].to_pylist()
        writer = log.writer(run, f"fold-{kind}")
        count = int(pc.sum(chosen["num_records"]).as_py())
        kept = 0
        query = _state_rows(rows, endpoint) if kind == Kind.STATE else _rows_in(kind, endpoint)
        source = con if kind == Kind.STATE else _only(snapshot, kind, endpoint, paths)
        for batch in source.sql(query).to_arrow_reader(8192):
            writer.add_table_of(Kind(kind), endpoint, batch)
            kept += batch.num_rows
        before += count
        after += kept
        added += writer.close()
        removed += [_remove(item, kind, endpoint) for item in chosen.to_pylist()]
    if removed:
        log.commit(snapshot, run, added, removed)
    return Folded(len(files), len(files) - len(removed) + len(added), before - after)
