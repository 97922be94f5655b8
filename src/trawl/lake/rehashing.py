"""New semantic rules over stored content: hashes that differ under them get a row, and nothing else changes."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from datetime import datetime

import duckdb
import pyarrow as pa

from trawl.model.records import Kind, Op

from .log import Log, LogFile, LogWriter, Snapshot
from .schema import CONTENT, STANDING
from .sql import STATE, connect, literal, register_log, rows_of

_PAYLOADS = 64  # in memory at once, each up to some megabytes
_HASHES = pa.schema([("endpoint", pa.string()), ("key", pa.string()), ("hash", pa.binary())])


def rehash(
    log: Log, snapshot: Snapshot, writer: LogWriter, semantic: Mapping[str, Callable[[bytes], bytes]], now: datetime
) -> dict[str, int]:
    """Hash the newest content of some endpoints' records anew; write a row for each hash that is not what was stored.

    Documents go by a few at a time; DuckDB keeps keys and hashes, and spills them. Gives the rows by endpoint.
    """
    endpoints = ", ".join(map(literal, semantic))
    own = f"(SELECT * FROM {rows_of('log')} WHERE endpoint IN ({endpoints}))"
    standing = ", ".join(field.name for field in STANDING)
    content = ", ".join("hash AS semantic_hash" if f.name == "semantic_hash" else f.name for f in CONTENT)
    written = dict.fromkeys(semantic, 0)
    with closing(connect()) as con:
        register_log(con, "log", snapshot)
        con.execute(f"CREATE TEMP TABLE newest AS SELECT * FROM ({STATE.format(rows=own)}) WHERE version > 0")
        con.execute("CREATE TEMP TABLE hashes (endpoint VARCHAR, key VARCHAR, hash BLOB)")
        for file in snapshot.log_files():
            if file.kind == Kind.PAYLOAD and file.endpoint in semantic:
                for rows in _newest(con, log, file):
                    found = [semantic[file.endpoint](payload.as_py().encode()) for payload in rows["payload"]]
                    columns = [pa.array([file.endpoint] * len(rows)), rows["key"], found]
                    con.register("found", pa.table(columns, schema=_HASHES))
                    con.execute("INSERT INTO hashes FROM found")
        for endpoint in semantic:
            rows = con.sql(f"""
                SELECT '{Op.REHASH}' AS op, key, greatest({literal(now)}, valid_from + INTERVAL 1 MICROSECOND) AS valid_from,
                       {literal(now)} AS observed_at, {standing}, {content}
                FROM newest JOIN hashes USING (endpoint, key)
                WHERE endpoint = {literal(endpoint)} AND semantic_hash IS DISTINCT FROM hash
            """)
            for batch in rows.to_arrow_reader(16_384):
                writer.add_table(Kind.STATE, endpoint, pa.Table.from_batches([batch]))
                written[endpoint] += batch.num_rows
    return written


def _newest(con: duckdb.DuckDBPyConnection, log: Log, file: LogFile) -> Iterator[pa.Table]:
    """Key and payload of the rows of a file that hold the newest content of their record, a few at a time."""
    names = pa.concat_tables(log.batches(file, ["key", "run"], 65_536))
    con.register("file", names)
    newest = con.sql(f"""
        SELECT n.key IS NOT NULL AS newest
        FROM (SELECT key, run, row_number() OVER () AS place FROM file) f LEFT JOIN newest n
          ON n.endpoint = {literal(file.endpoint)} AND n.key = f.key AND n.payload_run = f.run
        ORDER BY place
    """).to_arrow_table()["newest"]
    start = 0
    for rows in log.batches(file, ["key", "payload"], _PAYLOADS) if newest.index(True).as_py() >= 0 else ():
        yield rows.filter(newest.slice(start, len(rows)))
        start += len(rows)
