"""The newest content of records, document by document: large lakes fit into little memory."""

from collections.abc import Collection, Iterator

import duckdb
import pyarrow as pa

from trawl.lake.log.sql import STATE, connect, literal, register_log, rows_of
from trawl.lake.log.table import Log, LogFile, Snapshot
from trawl.model.records import Kind


class Contents:
    """What is known of some endpoints' records (the table `newest`, DuckDB spills it) and their documents, streamed."""

    def __init__(self, log: Log, snapshot: Snapshot, endpoints: Collection[str]) -> None:
        self._log, self._snapshot, self._endpoints = log, snapshot, endpoints
        self.con: duckdb.DuckDBPyConnection = connect()
        register_log(self.con, "log", snapshot)
        chosen = ", ".join(map(literal, endpoints))
        own = f"(SELECT * FROM {rows_of('log')} WHERE endpoint IN ({chosen}))"
        self.con.execute(f"CREATE TEMP TABLE newest AS {STATE.format(rows=own)}")

    def close(self) -> None:
        self.con.close()

    def documents(self) -> Iterator[tuple[str, pa.Table]]:
        """Endpoint, and `key` and `payload` of some of its records, until all that were ever fetched had their turn."""
        for file in self._snapshot.log_files():
            if file.kind == Kind.PAYLOAD and file.endpoint in self._endpoints:
                for rows in self._newest(file):
                    yield file.endpoint, rows

    def _newest(self, file: LogFile) -> Iterator[pa.Table]:
        """The rows of a file that hold the newest content of their record."""
        names = pa.concat_tables(self._log.batches(file, ["key", "run"]))
        self.con.register("file", names)
        newest = self.con.sql(f"""
            SELECT n.key IS NOT NULL AS newest
            FROM (SELECT key, run, row_number() OVER () AS place FROM file) f LEFT JOIN newest n
              ON n.endpoint = {literal(file.endpoint)} AND n.key = f.key AND n.payload_run = f.run
            ORDER BY place
        """).to_arrow_table()["newest"]
        if newest.index(True).as_py() < 0:
            return
        start = 0
        for rows in self._log.batches(file, ["key", "payload"]):
            found = rows.filter(newest.slice(start, len(rows)))
            start += len(rows)
            if len(found):
                yield found
