"""Keeping a lake quick: old `check` rows folded, small files joined.

Of each record's checks only the newest stays, as a full row; all other rows stay as they are, so every `as_of` names the
same records with the same content as before (a past `checked_at` may become older). It is one commit, fenced like a
run's. The old files lie there until a vacuum, for readers that still hold them open.
"""

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from deltalake.transaction import RemoveAction

from trawl.model.records import Kind, Op

from .log import Log, LogFile, Snapshot
from .schema import CONTENT, FILE
from .sql import connect, literal, register_log, rows_of

_SMALL = 64 * 2**20  # bytes: larger files are not worth joining
_FOLDABLE = 2  # files of one partition from which on it is rewritten


@dataclass(frozen=True, slots=True)
class Folded:
    """What maintenance did: the log's files before and after, and the check rows that were folded away."""

    files_before: int
    files_after: int
    rows_folded: int


def fold(log: Log, snapshot: Snapshot, run: str, say: Callable[[str], None] = lambda _: None) -> Folded:
    """Fold and join every partition that has more than one file to work on, in one commit."""
    files = snapshot.files().select(["path", "size_bytes", "num_records", "partition.kind", "partition.endpoint"])
    added: list[LogFile] = []
    removed: list[dict[str, Any]] = []
    with closing(connect()) as con:
        register_log(con, "log", snapshot)
        for (kind, endpoint), chosen in _partitions(files.to_pylist()):
            say(f"{kind} {endpoint}: {len(chosen)} files")
            writer = log.writer(run, "fold")
            if kind == Kind.STATE:
                for batch in con.sql(_folded(endpoint)).to_arrow_reader(16_384):
                    writer.add_table(kind, endpoint, pa.Table.from_batches([batch]))
            else:
                for file in chosen:
                    rows = log.read(LogFile(file["path"], kind, endpoint, 0, 0), FILE.names)
                    writer.add_table(kind, endpoint, rows)
            added += writer.close()
            removed += chosen
    if removed:
        now = int(time.time() * 1000)
        log.commit(snapshot, run, added, [_remove(file, now) for file in removed])
    folded = sum(file["num_records"] for file in removed) - sum(file.rows for file in added)
    return Folded(len(files), len(files) - len(removed) + len(added), folded)


def _partitions(files: list[dict[str, Any]]) -> list[tuple[tuple[Kind, str], list[dict[str, Any]]]]:
    """The files to rewrite, by partition. Folding needs all of a partition's small rows; joining only small files."""
    found: dict[tuple[Kind, str], list[dict[str, Any]]] = {}
    for file in files:
        kind = Kind(file["partition.kind"])
        if kind == Kind.STATE or file["size_bytes"] < _SMALL:
            found.setdefault((kind, file["partition.endpoint"]), []).append(file)
    return [(key, chosen) for key, chosen in sorted(found.items()) if len(chosen) >= _FOLDABLE]


def _folded(endpoint: str) -> str:
    """The small rows of an endpoint: all but the checks, and of those the newest of each record, made full."""
    rows = rows_of("log")
    own = f"(SELECT * FROM {rows} WHERE endpoint = {literal(endpoint)})"
    checks = f"(SELECT * FROM {own} WHERE kind = '{Kind.STATE}' AND op = '{Op.CHECK}')"
    content = [field.name for field in CONTENT]
    plain = ", ".join(f"n.{field.name}" for field in FILE if field.name not in content)
    full = ", ".join(f"c.{name}" for name in content)
    order = ", ".join(FILE.names)
    return f"""
        WITH newest AS (
            SELECT * FROM {checks} QUALIFY row_number() OVER (PARTITION BY key ORDER BY valid_from DESC) = 1
        ), sources AS (
            SELECT n.key, max(c.valid_from) AS content_from FROM newest n JOIN {own} c
              ON c.key = n.key AND c.version IS NOT NULL AND c.valid_from <= n.valid_from GROUP BY n.key
        ), made AS (
            SELECT {plain}, {full} FROM newest n JOIN sources s ON s.key = n.key
            JOIN {own} c ON c.key = s.key AND c.valid_from = s.content_from
        )
        SELECT {order} FROM made
        UNION ALL SELECT {order} FROM {own} WHERE kind = '{Kind.STATE}' AND op <> '{Op.CHECK}'
    """


def _remove(file: dict[str, Any], now: int) -> RemoveAction:
    partition = {"kind": file["partition.kind"], "endpoint": file["partition.endpoint"]}
    return RemoveAction(file["path"], False, now, file["size_bytes"], partition)
