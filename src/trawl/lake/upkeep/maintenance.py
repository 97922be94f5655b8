"""Keeping a lake quick: old `check` rows folded, small files joined.

Of each record's checks only the newest stays, as a full row; all other rows stay as they are, so every `as_of` names the
same records with the same content as before (a past `checked_at` may become older). It is one commit, fenced like a
run's. The old files lie there until a vacuum, for readers that still hold them open.
"""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from itertools import chain

import pyarrow as pa

from trawl.lake.log.schema import CONTENT, FILE, NO_ENDPOINT
from trawl.lake.log.sql import connect, literal, register_log, rows_of
from trawl.lake.log.table import Log, LogFile, Snapshot
from trawl.model.records import Kind, Op

from .rewriting import row_groups

_SMALL = 8 * 2**20  # bytes: larger files are not worth joining, for the writer fills them to twice that
_FOLDABLE = 2  # small files of one partition from which on it is rewritten


@dataclass(frozen=True, slots=True)
class Folded:
    """What folding did: the log's files before and after, the check rows folded away, and the files worked on."""

    files_before: int
    files_after: int
    rows_folded: int
    files_joined: int


def fold(log: Log, snapshot: Snapshot, run: str, say: Callable[[str], None] = lambda _: None) -> Folded:
    """Fold and join every partition that has more than one file to work on, in one commit."""
    files = snapshot.log_files()
    added: list[LogFile] = []
    removed: list[LogFile] = []
    with closing(connect()) as con:
        register_log(con, "log", snapshot)
        for (kind, endpoint), chosen in _partitions(files):
            say(f"{kind}{'' if endpoint == NO_ENDPOINT else f' {endpoint}'}: {len(chosen)} files")
            writer = log.writer(run, "fold")
            if kind == Kind.STATE:
                for batch in con.sql(_folded(endpoint)).to_arrow_reader(16_384):
                    writer.add_table(kind, endpoint, pa.Table.from_batches([batch]))
            else:
                for rows in chain.from_iterable(row_groups(log, file) for file in chosen):
                    writer.add_table(kind, endpoint, rows)
            added += writer.close()
            removed += chosen
    if removed:
        log.commit(snapshot, run, added, removed, rearranged=True)
    folded = sum(file.rows for file in removed) - sum(file.rows for file in added)
    return Folded(len(files), len(files) - len(removed) + len(added), folded, len(removed))


def foldable(snapshot: Snapshot) -> int:
    """How many files `fold` would work on."""
    return sum(len(chosen) for _, chosen in _partitions(snapshot.log_files()))


def _partitions(files: list[LogFile]) -> list[tuple[tuple[Kind, str], list[LogFile]]]:
    """The files to rewrite, by partition. Folding needs all of a partition's small rows; joining only small files."""
    found: dict[tuple[Kind, str], list[LogFile]] = {}
    for file in files:
        found.setdefault((Kind(file.kind), file.endpoint), []).append(file)
    return [
        ((kind, endpoint), own if kind == Kind.STATE else small)
        for (kind, endpoint), own in sorted(found.items())
        if len(small := [file for file in own if file.size < _SMALL]) >= _FOLDABLE
    ]


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
