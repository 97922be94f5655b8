"""New semantic rules over stored content: hashes that differ under them get a row, and nothing else changes."""

from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import datetime

import pyarrow as pa

from trawl.lake.log.schema import CONTENT, STANDING
from trawl.lake.log.sql import literal
from trawl.lake.log.table import Log, LogWriter, Snapshot
from trawl.model.records import Kind, Op

from .contents import Contents

_HASHES = pa.schema([("endpoint", pa.string()), ("key", pa.string()), ("hash", pa.binary())])


def rehash(
    log: Log, snapshot: Snapshot, writer: LogWriter, semantic: Mapping[str, Callable[[bytes], bytes]], now: datetime
) -> dict[str, int]:
    """Hash the newest content of some endpoints' records anew; write a row for each hash that is not what was stored.

    Gives the number of rows by endpoint.
    """
    standing = ", ".join(field.name for field in STANDING)
    content = ", ".join("hash AS semantic_hash" if f.name == "semantic_hash" else f.name for f in CONTENT)
    written = dict.fromkeys(semantic, 0)
    with closing(Contents(log, snapshot, semantic.keys())) as contents:
        con = contents.con
        con.execute("CREATE TEMP TABLE hashes (endpoint VARCHAR, key VARCHAR, hash BLOB)")
        for endpoint, rows in contents.documents():
            found = [semantic[endpoint](payload.as_py().encode()) for payload in rows["payload"]]
            con.register("found", pa.table([[endpoint] * len(rows), rows["key"], found], schema=_HASHES))
            con.execute("INSERT INTO hashes FROM found")
        for endpoint in semantic:
            changed = con.sql(f"""
                SELECT '{Op.REHASH}' AS op, key, greatest({literal(now)}, valid_from + INTERVAL 1 MICROSECOND) AS valid_from,
                       {literal(now)} AS observed_at, {standing}, {content}
                FROM newest JOIN hashes USING (endpoint, key)
                WHERE endpoint = {literal(endpoint)} AND semantic_hash IS DISTINCT FROM hash
            """)
            for batch in changed.to_arrow_reader(16_384):
                writer.add_table(Kind.STATE, endpoint, pa.Table.from_batches([batch]))
                written[endpoint] += batch.num_rows
    return written
