"""Other keys for records that are stored: where these could be read from, and the rows under them."""

from collections.abc import Iterator, Sequence
from contextlib import closing

import pyarrow as pa
import pyarrow.compute as pc

from trawl.lake.log.table import Log, LogFile, Snapshot
from trawl.model.records import Kind

from .contents import Contents
from .rewriting import rewrite, with_keys


def stored(log: Log, snapshot: Snapshot, endpoint: str) -> Iterator[tuple[str, str | None, str | None, str | None]]:
    """Key, label, locator and newest payload of every record; what was never fetched has no payload."""
    with closing(Contents(log, snapshot, [endpoint])) as contents:
        for _, rows in contents.documents():
            contents.con.register("rows", rows)
            yield from contents.con.execute(
                "SELECT key, label, locator, payload FROM rows JOIN newest USING (key)"
            ).fetchall()
        yield from contents.con.execute("SELECT key, label, locator, NULL FROM newest WHERE version = 0").fetchall()


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
