"""New files in the place of committed ones: the same rows with some taken out, or under other keys."""

from collections.abc import Callable, Iterable, Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from trawl.lake.log.schema import FILE
from trawl.lake.log.table import Log, LogFile
from trawl.model.records import Kind

_GROUP = 8 * 2**20  # bytes in memory that become a row group

Change = Callable[[pa.Table], pa.Table]


def rewrite(log: Log, run: str, files: Iterable[LogFile], change: Change) -> list[LogFile]:
    """Write what `change` makes of each file's rows, a few at a time. Nothing is committed."""
    added: list[LogFile] = []
    for file in files:
        writer = log.writer(run, "rewritten")
        for rows in row_groups(log, file, change):
            writer.add_table(Kind(file.kind), file.endpoint, rows)
        added += writer.close()
    return added


def row_groups(log: Log, file: LogFile, change: Change = lambda rows: rows) -> Iterator[pa.Table]:
    """What `change` makes of a file's rows, in parts that fit into memory."""
    waiting: list[pa.Table] = []
    size = 0
    for rows in log.batches(file, FILE.names):
        part = change(rows)
        waiting.append(part)
        size += part.nbytes
        if size >= _GROUP:
            yield pa.concat_tables(waiting)
            waiting, size = [], 0
    if waiting:
        yield pa.concat_tables(waiting)


def count_of_keys(log: Log, file: LogFile, keys: Sequence[str]) -> int:
    """How many of a file's rows are about one of the keys."""
    wanted = pa.array(keys, pa.string())
    return sum(pc.sum(pc.is_in(rows["key"], wanted)).as_py() or 0 for rows in log.batches(file, ["key"]))


def without_keys(keys: Sequence[str]) -> Change:
    """Take the rows of some records out."""
    gone = pa.array(keys, pa.string())
    return lambda rows: rows.filter(pc.invert(pc.is_in(rows["key"], gone)))


def with_keys(old: pa.Array, new: pa.Array) -> Change:
    """Give rows other keys; those of records that have none are left out."""

    def change(rows: pa.Table) -> pa.Table:
        renamed = rows.set_column(rows.column_names.index("key"), "key", new.take(pc.index_in(rows["key"], old)))
        return renamed.filter(pc.is_valid(renamed["key"]))

    return change
