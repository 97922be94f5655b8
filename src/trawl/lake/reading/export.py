"""Records as plain files: a JSON document each, or a table (Parquet, CSV, JSON lines) per endpoint.

    DIR/SOURCE/ENDPOINT/KEY.json
    DIR/SOURCE/ENDPOINT.parquet

Beside them, in `DIR/SOURCE/.trawl-export`, stand the names of what was written: only such a file is ever replaced or
removed. Every file appears whole, by a rename; a document only where its content is another one. Memory is bounded: documents
come out of the log some megabytes at a time, and who stands in the export is decided in DuckDB.
"""

import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Literal, Protocol, get_args

import duckdb
import orjson
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from trawl.lake.log.sql import OwnDuckDB, literal, path_literal
from trawl.lake.log.table import LogFile, Snapshot
from trawl.lake.source import SourceLake
from trawl.lake.store import local_folder
from trawl.model.canonical import parse, text
from trawl.model.errors import ConfigurationError, LakeError
from trawl.model.filenames import safe_name
from trawl.model.records import Kind

from . import views
from .finding import check_endpoints

Format = Literal["files", "parquet", "csv", "jsonl"]
FORMATS: tuple[Format, ...] = get_args(Format)

_NAMES = ".trawl-export"
_NEW = "%new"  # no name of an endpoint ends so
_BATCH = 8 * 2**20  # bytes of documents that wait for one look-up
_CHUNK = 8192  # names at once


@dataclass(slots=True)
class Exported:
    """What an export came to, in records and files."""

    folder: str
    records: int = 0
    written: int = 0
    unchanged: int = 0
    removed: int = 0
    bytes: int = 0


def export(
    source: SourceLake,
    folder: Path,
    form: Format,
    *,
    endpoints: tuple[str, ...] = (),
    as_of: datetime | None = None,
    overwrite: bool = False,
    begin: Callable[[int], object] = lambda _: None,
    advance: Callable[[int], object] = lambda _: None,
) -> Exported:
    """Write the records of a source that are not gone (of some endpoints, as of an instant) below a folder.

    Again into the same folder it writes what changed and removes what is gone. `begin` learns how many records there
    are, `advance` how many more are done. Raises ConfigurationError where files of somebody else are in the way.
    """
    snapshot = source.log.snapshot()
    check_endpoints(snapshot, source.name, endpoints)
    if re.match(r"\w[\w+.-]+:/", str(folder)):  # a path has one slash where an address has two
        address = str(folder).replace(":/", "://", 1)
        raise ConfigurationError(
            f"--to {address}: an export writes to folders", remedy="export into a folder, then copy it there"
        )
    root = local_folder(str(folder)) / safe_name(source.name)
    if source.store.folder is not None and root.resolve().is_relative_to(source.store.folder.resolve()):
        raise ConfigurationError(f"{folder} lies in the lake itself", remedy="choose another folder with --to")
    with _disk_errors(root), closing(OwnDuckDB()) as own:
        con = own.con
        views.create(
            con,
            source.name,
            snapshot,
            views.RUNS.empty_table,
            base_url=lambda: source.facts(snapshot).get("base_url"),
            as_of=as_of,
            wanted=lambda name: name == "records",
        )
        chosen = f" WHERE endpoint IN ({', '.join(map(literal, endpoints))})" if endpoints else ""
        con.execute(f'CREATE TEMP TABLE wanted AS SELECT * EXCLUDE (payload) FROM "{source.name}".records{chosen}')
        counts = dict(con.execute("SELECT endpoint, count(*) FROM wanted GROUP BY 1 ORDER BY 1").fetchall())
        book = _Book(root, form)
        done = Exported(str(root), records=sum(counts.values()))
        book.check(counts, overwrite=overwrite)
        for endpoint in counts:
            book.plan(con, endpoint, overwrite=overwrite)
        begin(done.records)
        for endpoint in counts:
            tables = _documents(con, source, snapshot, endpoint)
            if form == "files":
                _write_files(root / safe_name(endpoint), tables, done, advance)
            else:
                _write_table(root / f"{safe_name(endpoint)}.{form}", form, tables, done, advance)
        present = {safe_name(endpoint) for endpoint in counts}
        for name in sorted(present | ({safe_name(endpoint) for endpoint in endpoints} or book.endpoints())):
            done.removed += book.settle(con, name, present=name in present)
    return done


class _Book:
    """The names of the files that exports of one format have written, a text file per endpoint.

    `plan` adds the new names before the first file is written: what is killed half-way knows its own files.
    """

    def __init__(self, root: Path, form: Format) -> None:
        self._root, self._form = root, form
        self._folder = root / _NAMES / form

    def endpoints(self) -> set[str]:
        """The endpoints (as names of files) that were exported before."""
        return {path.name for path in self._folder.glob("*") if not path.name.endswith(_NEW)}

    def check(self, endpoints: Iterable[str], *, overwrite: bool) -> None:
        """Refuse a folder that holds something, but no export."""
        if overwrite or (self._root / _NAMES).is_dir() or not self._root.exists():
            return
        if not self._root.is_dir():
            raise ConfigurationError(f"{self._root} is not a folder", remedy="choose another one with --to")
        if any(self._root.iterdir()):
            raise ConfigurationError(
                f"{self._root} is not empty, and no export was written there",
                remedy="choose another folder with --to; or --overwrite, which replaces only files of the same names",
            )

    def plan(self, con: duckdb.DuckDBPyConnection, endpoint: str, *, overwrite: bool) -> None:
        """Write down what this endpoint's export will hold; refuse to replace what is not in the book."""
        own = self._folder / safe_name(endpoint)
        own.parent.mkdir(parents=True, exist_ok=True)
        new = self._folder / f"{own.name}{_NEW}"
        with new.open("w", encoding="ascii") as file:
            if self._form == "files":
                keys = con.execute(f"SELECT key FROM wanted WHERE endpoint = {literal(endpoint)}")
                while chunk := keys.fetchmany(_CHUNK):
                    file.writelines(f"{safe_name(key)}.json\n" for (key,) in chunk)
            else:
                file.write(f"{safe_name(endpoint)}.{self._form}\n")
        folder = self._place(own.name)
        with own.open("a", encoding="ascii") as known:
            names = con.cursor().execute(f"SELECT name FROM {_lines(new)} EXCEPT SELECT name FROM {_lines(own)}")
            while chunk := names.fetchmany(_CHUNK):
                for (name,) in chunk:
                    if not overwrite and (folder / name).exists():
                        new.unlink()
                        raise ConfigurationError(
                            f"{folder / name} exists, and no export wrote it",
                            remedy="move it away, choose another folder with --to, or replace it with --overwrite",
                        )
            known.flush()
            with new.open(encoding="ascii") as fresh:
                shutil.copyfileobj(fresh, known)

    def settle(self, con: duckdb.DuckDBPyConnection, name: str, *, present: bool) -> int:
        """Remove the files of earlier exports that this one does not hold; how many they were."""
        own, new = self._folder / name, self._folder / f"{name}{_NEW}"
        if not own.is_file():
            return 0
        rest = f" EXCEPT SELECT name FROM {_lines(new)}" if present else ""
        folder, removed = self._place(own.name), 0
        names = con.cursor().execute(f"SELECT name FROM {_lines(own)}{rest}")
        while chunk := names.fetchmany(_CHUNK):
            for (file,) in chunk:
                if file and "/" not in file and not file.startswith("."):  # the book may have been edited
                    with suppress(FileNotFoundError):
                        (folder / file).unlink()
                        removed += 1
        if present:
            new.replace(own)
        else:
            own.unlink()
            with suppress(OSError):
                folder.rmdir()
        return removed

    def _place(self, endpoint: str) -> Path:
        return self._root / endpoint if self._form == "files" else self._root


def _lines(file: Path) -> str:
    """A file of names as a table."""
    return (
        f"read_csv({path_literal(str(file))}, columns = {{'name': 'VARCHAR'}}, header = false, delim = '\t', quote = '', "
        "escape = '', auto_detect = false)"
    )


def _documents(
    con: duckdb.DuckDBPyConnection, source: SourceLake, snapshot: Snapshot | None, endpoint: str
) -> Iterator[pa.Table]:
    """The chosen records of an endpoint with their payloads, some megabytes at a time, in the log's order."""
    if snapshot is None:
        return
    columns = ["key", "run", "payload"]
    query = (
        "SELECT w.*, batch.payload FROM batch JOIN wanted w "
        f"ON w.key = batch.key AND w.run = batch.run AND w.endpoint = {literal(endpoint)}"
    )
    waiting: list[pa.Table] = []

    def look_up() -> pa.Table:
        con.register("batch", pa.concat_tables(waiting))
        waiting.clear()
        return con.sql(query).to_arrow_table()

    for file in _payload_files(snapshot, endpoint):
        for table in source.log.batches(file, columns):
            waiting.append(table)
            if sum(part.nbytes for part in waiting) >= _BATCH:
                yield look_up()
    if waiting:
        yield look_up()


def _payload_files(snapshot: Snapshot, endpoint: str) -> list[LogFile]:
    return [
        LogFile(row["path"], Kind.PAYLOAD, endpoint, row["size_bytes"], row["num_records"])
        for row in snapshot.files().sort_by("path").to_pylist()
        if row["partition.kind"] == Kind.PAYLOAD and row["partition.endpoint"] == endpoint
    ]


def _write_files(folder: Path, tables: Iterator[pa.Table], done: Exported, advance: Callable[[int], object]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for table in tables:
        for key, payload in zip(table["key"].to_pylist(), table["payload"].to_pylist(), strict=True):
            content = payload.encode()
            file = folder / f"{safe_name(key)}.json"
            if _holds(file, content):
                done.unchanged += 1
            else:
                with _whole(file) as sink:
                    sink.write(content)
                done.written += 1
                done.bytes += len(content)
        advance(len(table))


def _holds(file: Path, content: bytes) -> bool:
    try:
        return file.stat().st_size == len(content) and file.read_bytes() == content
    except FileNotFoundError:
        return False


class _Writer(Protocol):
    def write(self, table: pa.Table) -> object: ...
    def close(self) -> object: ...


def _write_table(
    file: Path, form: Format, tables: Iterator[pa.Table], done: Exported, advance: Callable[[int], object]
) -> None:
    with _whole(file) as sink:
        writer: _Writer | None = None
        for table in tables:
            writer = writer or _WRITERS[form](sink, table.schema)
            writer.write(table)
            advance(len(table))
        if writer is not None:
            writer.close()
    done.written += 1
    done.bytes += file.stat().st_size


class _Lines:
    """JSON lines: the payload is the document itself, not its text."""

    def __init__(self, sink: IO[bytes], _schema: pa.Schema) -> None:
        self._sink = sink

    def write(self, table: pa.Table) -> None:
        for row in table.to_pylist():
            payload = row["payload"].encode()
            if b"\n" in payload or b"\r" in payload:
                payload = text(parse(payload))
            row["payload"] = orjson.Fragment(payload)
            self._sink.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z))

    def close(self) -> None:
        self._sink.flush()


_WRITERS: dict[str, Callable[[Any, pa.Schema], _Writer]] = {
    "parquet": lambda sink, schema: pq.ParquetWriter(sink, schema, compression="zstd"),
    "csv": pyarrow.csv.CSVWriter,
    "jsonl": _Lines,
}


@contextmanager
def _whole(file: Path) -> Iterator[IO[bytes]]:
    """A file that appears under its name when it is complete, or not at all."""
    part = file.with_name(f".{file.name}.part")
    try:
        with part.open("wb") as sink:
            yield sink
        part.replace(file)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


@contextmanager
def _disk_errors(root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise LakeError(
            f"the export to {root}: {error.strerror or error}", remedy="check the folder, then run it again"
        ) from None
