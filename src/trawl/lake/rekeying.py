"""Other keys for records that are stored: where these could be read from, and the rows under them."""

from collections.abc import Iterator, Sequence
from contextlib import closing

import pyarrow as pa
import pyarrow.compute as pc

from trawl.model.records import Kind

from .log import Log, LogFile, Snapshot
from .rewriting import rewrite, with_keys
from .sql import STATE, connect, literal, register_log, rows_of

_PAYLOADS = 64


def contents(snapshot: Snapshot, endpoint: str) -> Iterator[tuple[str, str | None, str | None, str | None]]:
    """Key, label, locator and newest payload of every record; what was never fetched has no payload."""
    own = f"(SELECT * FROM {rows_of('log')} WHERE endpoint = {literal(endpoint)})"
    with closing(connect()) as con:
        register_log(con, "log", snapshot)
        query = f"""
            SELECT n.key, n.label, n.locator, p.payload FROM ({STATE.format(rows=own)}) n
            LEFT JOIN (SELECT key, run, payload FROM {own} WHERE kind = '{Kind.PAYLOAD}') p
              ON p.key = n.key AND p.run = n.payload_run
        """
        for batch in con.sql(query).to_arrow_reader(_PAYLOADS):
            yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


def orphans(log: Log, files: Sequence[LogFile], keys: Sequence[str]) -> list[str]:
    """Some keys of stored documents that are none of `keys`."""
    known = pa.array(keys, pa.string())
    for file in files:
        if file.kind == Kind.PAYLOAD:
            found = log.read(file, ["key"])["key"]
            if lost := found.filter(pc.invert(pc.is_in(found, known))).unique().to_pylist():
                return [str(key) for key in lost]
    return []


def renamed(log: Log, run: str, files: Sequence[LogFile], old: Sequence[str], new: Sequence[str]) -> list[LogFile]:
    """The files once more, under the new keys and uncommitted; rows of records that have none are left out."""
    return rewrite(log, run, files, with_keys(pa.array(old, pa.string()), pa.array(new, pa.string())))
