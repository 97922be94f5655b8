"""New semantic rules over stored content: hashes that differ under them get a row, and nothing else changes."""

from collections.abc import Callable
from contextlib import closing
from datetime import datetime

import pyarrow as pa

from trawl.model.records import Kind, Op

from .log import LogWriter, Snapshot
from .schema import CONTENT, STANDING
from .sql import STATE, connect, literal, register_log, rows_of

_PAYLOADS = 64  # in memory at once, each up to some megabytes
_HASHES = pa.schema([("key", pa.string()), ("hash", pa.binary())])


def rehash(
    snapshot: Snapshot, writer: LogWriter, endpoint: str, semantic: Callable[[bytes], bytes], now: datetime
) -> int:
    """Hash the newest content of every record by `semantic`; write a row for each that is not what was stored.

    The content goes by as a stream, a few documents at a time; DuckDB keeps keys and hashes, and spills them.
    """
    own = f"(SELECT * FROM {rows_of('log')} WHERE endpoint = {literal(endpoint)})"
    standing = ", ".join(field.name for field in STANDING)
    content = ", ".join("hash AS semantic_hash" if f.name == "semantic_hash" else f.name for f in CONTENT)
    with closing(connect()) as con:
        register_log(con, "log", snapshot)
        con.execute(f"CREATE TABLE newest AS SELECT * FROM ({STATE.format(rows=own)}) WHERE version > 0")
        con.execute("CREATE TABLE hashes (key VARCHAR, hash BLOB)")
        payloads = f"""
            SELECT p.key, p.payload FROM {own} p SEMI JOIN newest n ON n.key = p.key AND n.payload_run = p.run
            WHERE p.kind = '{Kind.PAYLOAD}'
        """
        with closing(con.cursor()) as stream:
            register_log(stream, "log", snapshot)
            for batch in stream.sql(payloads).to_arrow_reader(_PAYLOADS):
                found = [semantic(payload.as_py().encode()) for payload in batch["payload"]]
                con.register("found", pa.table([batch["key"], found], schema=_HASHES))
                con.execute("INSERT INTO hashes FROM found")
        rows = con.sql(f"""
            SELECT '{Op.REHASH}' AS op, key, greatest({literal(now)}, valid_from + INTERVAL 1 MICROSECOND) AS valid_from,
                   {literal(now)} AS observed_at, {standing}, {content}
            FROM newest JOIN hashes USING (key) WHERE semantic_hash IS DISTINCT FROM hash
        """)
        written = 0
        for batch in rows.to_arrow_reader(16_384):
            writer.add_table(Kind.STATE, endpoint, pa.Table.from_batches([batch]))
            written += batch.num_rows
    return written
