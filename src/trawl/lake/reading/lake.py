"""A lake: everything that Trawl keeps, in a folder or a bucket."""

import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from difflib import get_close_matches
from functools import partial
from typing import IO, Any

import duckdb
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from trawl.lake.log.sql import OwnDuckDB
from trawl.lake.log.table import Snapshot
from trawl.lake.source import SourceLake
from trawl.lake.store import FAULTS, Store, explain, faults
from trawl.model.errors import ConfigurationError
from trawl.model.names import did_you_mean

from . import finding, views


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
        """Query every source's views in SQL (DuckDB's), now or `as_of` a time (with a time zone).

        Raises ConfigurationError if the SQL is wrong, with the views that exist.
        """
        if as_of is not None and as_of.tzinfo is None:
            raise ConfigurationError(f"as_of {as_of} has no time zone", remedy="add one, for example +00:00 or Z")
        words, names = sql.lower(), self.sources()
        own = OwnDuckDB("75%")
        end = partial(own.leave, names) if _only_asks(sql) else own.close
        try:
            with faults(self.url):
                for name in names:
                    source = self.source(name)
                    snapshot = source.log.snapshot()
                    views.create(
                        own.con,
                        name,
                        snapshot,
                        partial(_runs, source, snapshot),
                        base_url=partial(_base_url, source, snapshot),
                        as_of=as_of,
                        wanted=lambda view: view in words,
                    )
            relation = _asked(own.con, sql, self.url, names)
        except ConfigurationError:  # what is refused has changed nothing
            end()
            raise
        except BaseException:
            own.close()
            raise
        return Result(own, relation, self.url, end)

    def faults(self) -> AbstractContextManager[None]:
        """Whatever the libraries below raise where the storage fails, or holds what is damaged, as one LakeError."""
        return faults(self.url)

    def records(self, source: str, *, as_of: datetime | None = None) -> "Result":
        """The view `<source>.records`, now or `as_of` a time."""
        self.held(source)
        return self.query(f'FROM "{source}".records', as_of=as_of)

    def held(self, name: str) -> SourceLake:
        """The part of a source that the lake holds. Raises ConfigurationError for another, with those that there are."""
        names = self.sources()
        if name not in names:
            hint = did_you_mean(name, names)
            raise ConfigurationError(
                f"the lake {self.url} holds no source {name!r}",
                remedy=f"{hint}it holds: {', '.join(names) or 'none yet'}",
            )
        return self.source(name)

    def find(self, source: str, endpoint: str, wanted: str) -> str:
        """A record's key by its key, or by its label (in any case; one that it once had, if no other has it now).

        Raises ConfigurationError: a label of several names the candidates; where there is none, what is near.
        """
        snapshot = self.held(source).log.snapshot()
        finding.check_endpoints(snapshot, source, [endpoint])
        key = finding.find_key(snapshot, endpoint, wanted)
        if key is None:
            raise finding.nobody(endpoint, wanted, finding.near_records(snapshot, endpoint, wanted))
        return key


_NESTED = {"list", "array", "struct", "map"}


class Result:
    """An answer that has not been read yet. Read it once, by any of its methods."""

    def __init__(
        self,
        own: OwnDuckDB,
        relation: duckdb.DuckDBPyRelation,
        url: str,
        end: Callable[[], None],
    ) -> None:
        self.columns = list(relation.columns)
        self._own, self._url, self._end = own, url, end
        self._relation: duckdb.DuckDBPyRelation | None = relation

    def to_arrow(self) -> pa.Table:
        """All of it as an Arrow table."""
        with self._once() as relation, _sql_errors(self._url):
            return relation.to_arrow_table()

    def rows(self) -> Iterator[dict[str, Any]]:
        """One dict per row, streamed. Raises ConfigurationError where two columns share a name: a dict would lose one."""
        if twice := [name for name, number in Counter(self.columns).items() if number > 1]:
            raise ConfigurationError(
                f"two columns are named {twice[0]!r}",
                remedy="give them different names in the SQL: SELECT a.key AS a, b.key AS b",
            )
        return self._rows()

    def _rows(self) -> Iterator[dict[str, Any]]:
        with self._once() as relation, _unwritable("rows"):
            for batch in self._read(relation, 4096)[1]:
                yield from batch.to_pylist()

    def write_csv(self, sink: IO[bytes]) -> None:
        """Comma-separated, with a header; nested values as JSON text."""
        with self._once() as relation:
            schema, batches = self._read(_flat(relation), 4096)
            with _unwritable("CSV"), pyarrow.csv.CSVWriter(sink, schema) as writer:
                for batch in batches:
                    writer.write_batch(batch)

    def write_parquet(self, sink: IO[bytes]) -> None:
        """One Parquet file, zstd."""
        with self._once() as relation:
            schema, batches = self._read(relation, 16_384)
            with _unwritable("Parquet"), pq.ParquetWriter(sink, schema, compression="zstd") as writer:
                for batch in batches:
                    writer.write_batch(batch)

    @contextmanager
    def _once(self) -> Iterator[duckdb.DuckDBPyRelation]:
        """What is asked. Once all of it is read, its instance may be left to another question; otherwise it ends here."""
        relation, self._relation = self._relation, None
        if relation is None:
            raise ConfigurationError("this answer was read already", remedy="ask again, or keep what to_arrow() gave")
        try:
            yield relation
        except BaseException:
            self._own.close()
            raise
        self._end()

    def _read(self, relation: duckdb.DuckDBPyRelation, rows: int) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
        """So many rows at once. What fails here is the question's or the lake's fault, never that of who writes them."""
        with _sql_errors(self._url):
            reader = relation.to_arrow_reader(rows)

        def batches() -> Iterator[pa.RecordBatch]:
            with _sql_errors(self._url):
                yield from reader

        return reader.schema, batches()


def _flat(relation: duckdb.DuckDBPyRelation) -> duckdb.DuckDBPyRelation:
    """The relation with nested values as JSON text."""
    if not any(kind.id in _NESTED for kind in relation.types):
        return relation
    columns = enumerate(zip(relation.columns, relation.types, strict=True), 1)
    return relation.project(
        ", ".join(
            f"{f'to_json(#{place})::VARCHAR' if kind.id in _NESTED else f'#{place}'} AS {_quoted(name)}"
            for place, (name, kind) in columns
        )
    )


def _asked(con: duckdb.DuckDBPyConnection, sql: str, url: str, sources: list[str]) -> duckdb.DuckDBPyRelation:
    """A question, understood but not answered yet. Raises ConfigurationError where it is none."""
    with _sql_errors(url, sql, [f"{name}.{view}" for name in sources for view in views.NAMES]):
        relation = con.sql(sql)
    if relation is None:
        raise ConfigurationError("SQL: a statement without a result", remedy="ask with SELECT")
    return relation


def _only_asks(sql: str) -> bool:
    """Whether a question sets and makes nothing that would stay."""
    try:
        return all(found.type == duckdb.StatementType.SELECT for found in duckdb.extract_statements(sql))
    except (duckdb.Error, TypeError):  # no SQL; a lone surrogate
        return True


@contextmanager
def _unwritable(form: str) -> Iterator[None]:
    """A type that a format does not have is the question's fault; the sink's own errors are the caller's."""
    try:
        yield
    except (pa.ArrowException, OverflowError) as error:
        raise ConfigurationError(f"{form}: {error}", remedy="cast that column to text in the SQL") from None


@contextmanager
def _sql_errors(url: str, sql: str = "", known: list[str] | None = None) -> Iterator[None]:
    """What DuckDB refuses is the question's fault (it may only show while rows are read), unless the lake's is plain."""
    try:
        yield
    except duckdb.InterruptException:
        raise KeyboardInterrupt from None
    except duckdb.Error as error:
        fault = explain(error, url)
        if fault.remedy:
            raise fault from None
        if known is not None:
            raise _explain(error, sql, known) from None
        raise ConfigurationError(f"SQL: {_plain(error)}") from None
    except FAULTS as error:
        raise explain(error, url) from None


def _explain(error: duckdb.Error, sql: str, known: list[str]) -> ConfigurationError:
    """What is wrong with a question, and what could have been meant."""
    remedy = f"there are: {', '.join(known) or 'no sources yet'}"
    text = _plain(error)
    named = [view for view in known if view in sql]
    if isinstance(error, duckdb.BinderException) and named:
        remedy = f'its columns: trawl query "DESCRIBE {named[0]}"'
    elif isinstance(error, duckdb.CatalogException) and (missing := re.search(r"Table with name (\S+)", text)):
        text = text.split("\n")[0]  # DuckDB's own guess is among its inner tables
        word = next((word for word in re.findall(r"[\w.]+", sql) if word.endswith(missing[1])), missing[1])
        if near := get_close_matches(word, known, n=1):
            remedy = f"did you mean {near[0]}? {remedy}"
    return ConfigurationError(f"SQL: {text}", remedy=remedy)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _plain(error: duckdb.Error) -> str:
    return str(error).strip()


def _base_url(source: SourceLake, snapshot: Snapshot | None) -> str | None:
    return source.facts(snapshot).get("base_url")


def _runs(source: SourceLake, snapshot: Snapshot | None) -> pa.Table:
    held = source.committed_runs(snapshot)
    rows = []
    for manifest in source.runs.manifests():
        if manifest["committed"] and manifest["run_id"] not in held:
            continue
        rows.append(
            {
                name: _instant(manifest.get(name)) if name.endswith("_at") else _shown(manifest.get(name))
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


def _shown(value: Any) -> Any:
    """What Arrow can hold: what an API sent in a header may be no UTF-8."""
    return value.encode(errors="backslashreplace").decode() if isinstance(value, str) else value


def _json_text(value: Any) -> Any:
    return _shown(json.dumps(value, ensure_ascii=False, separators=(",", ":")))
