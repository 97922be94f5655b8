"""DuckDB over the log: the one place that knows how rows fold into the state of a record.

The state is the latest row's standing, joined with the content of the latest row that has any (thin rows leave it as it
was). Finding the two instants first and joining back costs a third of the memory of one wide aggregation.
"""

import os
import re
import tempfile
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from weakref import WeakSet

import duckdb

from trawl.lake.store import LOST_FILE
from trawl.model.errors import LakeError

from .schema import CONTENT, LOG, STANDING
from .table import Snapshot

_standing = ", ".join(f"s.{field.name}" for field in STANDING)
_content = ", ".join(f"c.{field.name}" for field in CONTENT)

_MEMORY = "500MB"

_opening = threading.Lock()
"""An instance that another thread finds while it is being made lacks its Arrow functions, and that thread's question fails."""

LATEST = """
SELECT endpoint, key, max(valid_from) AS valid_from, max(checked_at) AS checked_at, max(version) AS version,
       max(valid_from) FILTER (version IS NOT NULL) AS content_from,
       arg_max(bytes, valid_from) FILTER (version IS NOT NULL) AS bytes
FROM {rows} GROUP BY endpoint, key
"""

STATE = f"""
WITH latest AS MATERIALIZED ({LATEST})
SELECT l.endpoint, l.key, l.valid_from, l.checked_at, {_standing}, {_content}
FROM latest l
JOIN {{rows}} s ON s.endpoint = l.endpoint AND s.key = l.key AND s.valid_from = l.valid_from
JOIN {{rows}} c ON c.endpoint = l.endpoint AND c.key = l.key AND c.valid_from = l.content_from
"""


def connect(memory: str = _MEMORY) -> duckdb.DuckDBPyConnection:
    """DuckDB for a question of ours: what it registers, and makes as temporary, only this connection sees.

    Those that are open at once share an instance: it takes 20 ms of CPU to make, as much as all else that a small
    question needs. (A fork has none of its parent's threads: it shares nothing with it.)
    """
    name = f"trawl-{os.getpid()}-{tempfile.gettempdir()}"  # the same name has the same configuration
    return _quiet(_instance(memory, name if memory == _MEMORY else ""))


class OwnDuckDB:
    """A private instance with one connection: nobody else sees what is made there, or set.

    It is made anew, or was left by a question before, as that had found it. What it has read of files it keeps: so none
    lives longer than `_SPARE_SECONDS`.
    """

    def __init__(self, memory: str = _MEMORY) -> None:
        try:
            self._instance, self._made = _spare.pop()
        except IndexError:
            self._instance, self._made = _instance(memory), time.monotonic()
        self.con = _quiet(self._instance.cursor())
        self.con.execute(f"SET memory_limit = '{memory}'")
        _own.add(self)

    def close(self) -> None:
        self.con.close()
        self._instance.close()

    def leave(self, schemas: Iterable[str]) -> None:
        """Close it, but leave the instance, without these schemas, for a question of this process to come."""
        for name in schemas:
            self.con.execute(f'DROP SCHEMA IF EXISTS "{name}" CASCADE')
        self.con.close()
        if time.monotonic() - self._made < _SPARE_SECONDS:
            _spare[:] = [(self._instance, self._made)]
        else:
            self._instance.close()


def stop_questions() -> None:
    """Make what is asked of private instances, in whatever thread, end now with an error. What is asked later is not."""
    for own in list(_own):
        with suppress(duckdb.Error):  # it was just closed
            own.con.interrupt()


_own: WeakSet[OwnDuckDB] = WeakSet()
_SPARE_SECONDS = 600
_spare: list[tuple[duckdb.DuckDBPyConnection, float]] = []
"""The instance that the next question takes, and when it was made: at most one. A fork would have none of its threads."""
os.register_at_fork(before=_spare.clear)


def _instance(memory: str, name: str = "") -> duckdb.DuckDBPyConnection:
    """It spills to a temporary folder, and reaches for nothing outside."""
    configuration: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": memory,
        "temp_directory": f"{tempfile.gettempdir()}/trawl-duckdb",
        "preserve_insertion_order": False,
        "parquet_metadata_cache": True,  # the log is read several times over, and has many files
        "TimeZone": "UTC",
        "autoinstall_known_extensions": False,
    }
    with _opening:
        return duckdb.connect(f":memory:{name}", config=configuration)


def _quiet(con: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    con.execute("SET enable_progress_bar = false")  # in a notebook it would stand in the middle of what is read
    return con


def register_log(con: duckdb.DuckDBPyConnection, name: str, snapshot: Snapshot | None) -> None:
    """Make the log readable under a name; where there is none, an empty one.

    In a folder DuckDB reads the files itself, in a third of the time that an Arrow dataset takes. It has no reader for
    buckets that would not be a download.
    """
    files = [] if snapshot is None else snapshot.local_files()
    if files:
        paths = ", ".join(map(path_literal, files))
        try:
            con.execute(
                f"CREATE OR REPLACE TEMP VIEW {name} AS FROM read_parquet([{paths}], hive_partitioning = true, "
                "hive_types = {'kind': VARCHAR, 'endpoint': VARCHAR}, union_by_name = false)"
            )
        except (duckdb.IOException, duckdb.InvalidInputException) as error:
            raise unreadable(error) from None
    else:
        con.register(name, LOG.empty_table() if snapshot is None else snapshot.dataset())


def unreadable(error: duckdb.Error) -> LakeError:
    """The LakeError for a file of the log that is missing or damaged."""
    text = " ".join(str(error).split(" LINE ")[0].split())
    return LakeError(f"a file of the log cannot be read: {text}", remedy=LOST_FILE)


def rows_of(log: str, as_of: datetime | None = None) -> str:
    """The rows about records, up to an instant, as a subquery."""
    until = "" if as_of is None else f" AND valid_from <= {literal(as_of)}"
    return f"(SELECT * FROM {log} WHERE kind IN ('payload', 'state'){until})"


def listing_rows_of(log: str, as_of: datetime | None = None) -> str:
    """The rows about lists, up to an instant, as a subquery."""
    until = "" if as_of is None else f" AND valid_from <= {literal(as_of)}"
    return f"(SELECT * FROM {log} WHERE kind = 'listing'{until})"


def path_literal(path: str) -> str:
    """A file's path for DuckDB's readers, which would take some characters for a pattern."""
    return literal(re.sub(r"[*?\[]", r"[\g<0>]", path))


def literal(value: datetime | float | str | bool | None) -> str:
    """A value of ours as an SQL literal."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return f"TIMESTAMPTZ '{value.isoformat()}'"
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return repr(value)
