"""A lake: everything that Trawl keeps, in a folder or a bucket."""

import os
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from datetime import datetime
from typing import IO, Any

import duckdb
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from trawl.model.errors import ConfigurationError

from . import views
from .source import SourceLake
from .sql import connect
from .store import FAULTS, Store, explain, faults


class Lake:
    """Opened by `trawl.open(url)`. Reading needs no lease and disturbs no writer.

    >>> import trawl
    >>> lake = trawl.open("./lake")  # doctest: +SKIP
    >>> lake.query("SELECT label FROM pokeapi.records WHERE endpoint = 'stat'").to_arrow()  # doctest: +SKIP
    """

    def __init__(self, url: str | os.PathLike[str]) -> None:
        self.store = Store(url)
        self.url = self.store.url

    def source(self, name: str) -> SourceLake:
        """One source's part, whether it exists yet or not."""
        return SourceLake(self.store, name)

    def sources(self) -> list[str]:
        """The sources that the lake holds. Raises ConfigurationError where there is no lake at all."""
        if not self.store.exists:
            raise ConfigurationError(
                f"there is no lake at {self.url}",
                remedy=f"make one: trawl run pokeapi --lake {self.url}; or name yours with --lake or TRAWL_LAKE",
            )
        return [name for name in self.store.folders() if re.fullmatch(r"[a-z][a-z0-9_]*", name) and name != "hosts"]

    def query(self, sql: str, *, as_of: datetime | None = None) -> "Result":
        """Ask SQL (DuckDB's) over every source's views, as they are or were `as_of` an instant (with a time zone).

        Raises ConfigurationError where the SQL is wrong, with the views that there are.
        """
        if as_of is not None and as_of.tzinfo is None:
            raise ConfigurationError(f"as_of {as_of} has no time zone", remedy="add one, for example +00:00 or Z")
        con = connect("75%")
        words = sql.lower()
        names = self.sources()
        with faults(self.url):
            for name in names:
                source = self.source(name)
                snapshot = source.log.snapshot()
                views.create(
                    con,
                    name,
                    snapshot,
                    lambda source=source, snapshot=snapshot: _runs(source, snapshot),  # type: ignore[misc]
                    base_url=source.facts(snapshot).get("base_url"),
                    as_of=as_of,
                    wanted=lambda view: view in words,
                )
        known = ", ".join(f"{name}.{view}" for name in names for view in views.NAMES)
        with _sql_errors(self.url, f"there are: {known or 'no sources yet'}"):
            relation = con.sql(sql)
        if relation is None:
            raise ConfigurationError("SQL: a statement without a result", remedy="ask with SELECT")
        return Result(con, relation, self.url)

    def faults(self) -> AbstractContextManager[None]:
        """Whatever the libraries below raise where the storage fails, or holds what is damaged, as one LakeError."""
        return faults(self.url)

    def records(self, source: str, *, as_of: datetime | None = None) -> "Result":
        """The view `<source>.records` as it is, or was `as_of` an instant."""
        if source not in self.sources():
            known = ", ".join(self.sources()) or "none yet"
            raise ConfigurationError(f"the lake {self.url} holds no source {source!r}", remedy=f"it holds: {known}")
        return self.query(f'FROM "{source}".records', as_of=as_of)


class Result:
    """An answer that has not been read yet. Read it once, by any of its methods."""

    def __init__(self, con: duckdb.DuckDBPyConnection, relation: duckdb.DuckDBPyRelation, url: str) -> None:
        self._con, self._url = con, url  # the relation lives as long as its connection
        self._relation = relation

    @property
    def columns(self) -> list[str]:
        return list(self._relation.columns)

    def to_arrow(self) -> pa.Table:
        """All of it as an Arrow table."""
        with _sql_errors(self._url):
            return self._relation.to_arrow_table()

    def rows(self) -> Iterator[dict[str, Any]]:
        """One dict per row, streamed."""
        with _sql_errors(self._url), closing(self._con):
            for batch in self._relation.to_arrow_reader(4096):
                yield from batch.to_pylist()

    def write_csv(self, sink: IO[bytes]) -> None:
        """Comma-separated, with a header; nested values as JSON text."""
        with _sql_errors(self._url):
            reader = self._relation.to_arrow_reader(4096)
            with pyarrow.csv.CSVWriter(sink, reader.schema) as writer:
                for batch in reader:
                    writer.write_batch(batch)

    def write_parquet(self, sink: IO[bytes]) -> None:
        """One Parquet file, zstd."""
        with _sql_errors(self._url):
            reader = self._relation.to_arrow_reader(16_384)
            with pq.ParquetWriter(sink, reader.schema, compression="zstd") as writer:
                for batch in reader:
                    writer.write_batch(batch)


@contextmanager
def _sql_errors(url: str, remedy: str | None = None) -> Iterator[None]:
    """What DuckDB refuses is the question's fault (it may only show while rows are read), unless the lake's is plain."""
    try:
        yield
    except duckdb.Error as error:
        fault = explain(error, url)
        if fault.remedy:
            raise fault from None
        raise ConfigurationError(f"SQL: {str(error).strip()}", remedy=remedy) from None
    except FAULTS as error:
        raise explain(error, url) from None


def _runs(source: SourceLake, snapshot: Any) -> pa.Table:
    held = source.committed_runs(snapshot)
    rows = []
    for manifest in source.runs.manifests():
        if manifest["committed"] and manifest["run_id"] not in held:
            continue
        rows.append(
            {
                name: _instant(manifest.get(name)) if name.endswith("_at") else manifest.get(name)
                for name in views.RUNS.names
                if name not in {"endpoints", "held"}
            }
            | {
                "held": [name for name, counts in manifest["endpoints"].items() if counts.get("held")],
                "endpoints": _json_text(manifest["endpoints"]),
            }
        )
    return pa.Table.from_pylist(rows, schema=views.RUNS)


def _instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _json_text(value: Any) -> str:
    import orjson  # noqa: PLC0415

    return orjson.dumps(value).decode()
