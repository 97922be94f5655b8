"""The log of one source: an append-only Delta table, one commit per run.

Shards write final Parquet files under the table; nobody sees them until `commit` adds them all at once. Two application
transactions go with each commit: the run's own id, so that a repeated commit is recognised, and one that all writers
share (the fence), so that Delta refuses a writer whose view of the table is stale. A third one counts the commits that
taught or took anything: what merely rearranges files leaves it, and an unfinished plan stays good.
"""

import io
import json
import math
import re
import time
import uuid
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain
from operator import attrgetter
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable, PostCommitHookProperties, Transaction
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from deltalake.transaction import AddAction, RemoveAction

from trawl.lake.store import Store, explain, storage_options
from trawl.model.errors import ConfigurationError, LakeError, StaleCommit
from trawl.model.records import Kind, Op, Row

from .schema import FILE, FORMAT_PROPERTY, FORMAT_VERSION, LOG, PARTITIONS

_FENCE = "trawl"
_NEWS = "trawl-news"
_REPLACED = {"delta.deletedFileRetentionDuration": "interval 90 days"}  # how long Delta knows when a file was replaced
_PLACE = re.compile(r"kind=([a-z]+)/endpoint=([^/]+)/[^/]+\.parquet")
_BUFFER = 4 * 2**20  # bytes of payload that wait in memory before they become a row group
_FILE = 16 * 2**20  # bytes of a Parquet file that are held in memory before it is put in place, and the next one begins


_ROW_FIELDS = [name for name in FILE.names if name != "run"]
_row_values = attrgetter(*_ROW_FIELDS)

Waiting = dict[tuple[str, str], list[Row]]


@dataclass(frozen=True, slots=True)
class LogFile:
    """A Parquet file of the log: where it lies below the table, its size in bytes and its number of rows."""

    path: str
    kind: str
    endpoint: str
    size: int
    rows: int

    @property
    def partition(self) -> dict[str, str | None]:
        return {"kind": self.kind, "endpoint": self.endpoint}


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The log at one version: what a run reads, and what its commit is checked against."""

    version: int
    table: DeltaTable
    folder: str | None = None

    @property
    def news(self) -> int:
        """How many commits taught or took anything: two logs with the same number say the same."""
        return self.table.transaction_version(_NEWS) or 0

    def same_as(self, other: "Snapshot | None") -> bool:
        """Whether the other one is this log at this version."""
        return (
            other is not None
            and self.version == other.version
            and self.table.metadata().id == other.table.metadata().id
        )

    def dataset(self, kind: Kind | None = None) -> ds.Dataset:
        """The rows (of one kind), with the columns of `schema.LOG`."""
        return self.table.to_pyarrow_dataset(file_pruning_predicate=kind and [("kind", "=", str(kind))])

    def local_files(self) -> list[str]:
        """The paths of the committed files where they lie in a folder; none where they lie in a bucket."""
        if not self.folder:
            return []
        return [f"{self.folder}/{path}" for path in self.files()["path"].to_pylist()]

    def lost_files(self) -> list[str]:
        """The committed files that are not there, or shorter than they were, where they lie in a folder."""
        if not self.folder:
            return []
        files = self.files().select(["path", "size_bytes"]).to_pylist()
        places = {Path(self.folder, file["path"]): file["size_bytes"] for file in files}
        return [str(place) for place, size in places.items() if not place.is_file() or place.stat().st_size != size]

    def files(self) -> pa.Table:
        """The committed files: `path`, `size_bytes`, `num_records` and the partition's `kind` and `endpoint`."""
        return pa.table(self.table.get_add_actions(flatten=True))

    def log_files(self) -> list[LogFile]:
        """The committed files, one by one."""
        columns = ["path", "partition.kind", "partition.endpoint", "size_bytes", "num_records"]
        return [LogFile(*file.values()) for file in self.files().select(columns).to_pylist()]


class Log:
    """The log of `source` in a store."""

    def __init__(self, store: Store, source: str) -> None:
        self.source = source
        self._store = store
        self._root = f"{source}/log"
        self._uri = f"{store.url}/{self._root}"
        self._options = storage_options(store)
        self._folder = None if store.folder is None else f"{store.folder}/{self._root}"

    def snapshot(self, version: int | None = None) -> Snapshot | None:
        """The log as it is (or was at `version`), or None where there is none. Refuses a newer format."""
        try:
            table = DeltaTable(self._uri, version=version, storage_options=self._options)
        except TableNotFoundError:
            return None
        except (DeltaError, OSError) as error:
            raise explain(error, self._uri) from None
        self._refuse_empty_entries()
        found = table.metadata().configuration.get(FORMAT_PROPERTY)
        if found is None:
            raise ConfigurationError(
                f"{self._uri} is a Delta table, and no log of Trawl's", remedy="choose another folder with --lake"
            )
        if not found.isdecimal() or int(found) > FORMAT_VERSION:
            raise ConfigurationError(
                f"{self._uri} has format {found}; this Trawl reads up to {FORMAT_VERSION}",
                remedy="use a newer Trawl: pip install --upgrade trawl",
            )
        return Snapshot(table.version(), table, self._folder)

    def make(self) -> Snapshot:
        """The log as it is; an empty one is made first where there is none."""
        if (found := self.snapshot()) is not None:
            return found
        try:
            DeltaTable.create(
                self._uri,
                LOG,
                mode="ignore",
                partition_by=list(PARTITIONS),
                name=self.source,
                configuration={FORMAT_PROPERTY: str(FORMAT_VERSION)} | _REPLACED,
                storage_options=self._options,
                raise_if_key_not_exists=False,
            )
        except (DeltaError, OSError) as error:
            raise explain(error, self._uri) from None
        found = self.snapshot()
        assert found is not None
        self._settle_entry(found.version)
        return found

    def writer(self, run: str, part: str) -> "LogWriter":
        """Where one part of a run (a shard) puts its rows; every attempt writes files of its own."""
        return LogWriter(self._store, self._root, run, part)

    def commit(
        self,
        base: Snapshot,
        run: str,
        files: Sequence[LogFile],
        removed: Sequence[LogFile] = (),
        *,
        rearranged: bool = False,
    ) -> None:
        """Make the files visible, once, and those that they take the place of invisible.

        `rearranged` says that the log means what it meant before.

        Raises StaleCommit where anybody committed since `base` was read; a run that is in the log already is left as it
        is.
        """
        if base.table.transaction_version(run) is not None:
            return
        now = int(time.time() * 1000)
        adds = [
            AddAction(
                path=file.path,
                size=file.size,
                partition_values=file.partition,
                modification_time=now,
                data_change=not rearranged,
                stats=json.dumps({"numRecords": file.rows}),
            )
            for file in files
        ]
        self._store.settle(f"{self._root}/{file.path}" for file in files)
        removes = [RemoveAction(file.path, not rearranged, now, file.size, file.partition) for file in removed]
        fence = (base.table.transaction_version(_FENCE) or 0) + 1
        transactions = [Transaction(run, 1), Transaction(_FENCE, fence)]
        if not rearranged:
            transactions.append(Transaction(_NEWS, base.news + 1))
        try:
            base.table.create_write_transaction(
                [*adds, *removes],
                mode="append",
                schema=LOG,
                partition_by=list(PARTITIONS),
                commit_properties=CommitProperties(app_transactions=transactions, max_commit_retries=3),
                post_commithook_properties=PostCommitHookProperties(cleanup_expired_logs=False),
            )
        except CommitFailedError as error:
            if not self._landed(run):
                raise StaleCommit(
                    f"run {run} was not committed: the log of {self.source} changed since it was read ({error})",
                    remedy="run again; two writers must not work on one source at once",
                ) from None
        except (DeltaError, OSError) as error:
            if not self._landed(run):
                raise explain(error, self._uri) from None
        self._settle_entry(base.version + 1)

    def read(self, file: LogFile, columns: list[str]) -> pa.Table:
        """Some columns of a file, committed or not."""
        content = self._store.get(f"{self._root}/{file.path}")
        if content is None:
            raise LakeError(f"the file {file.path} of {self.source} is gone", remedy="run again")
        return pq.read_table(pa.BufferReader(content), columns=columns)

    def batches(self, file: LogFile, columns: list[str]) -> Iterator[pa.Table]:
        """Some columns of a file, a row group at a time: payloads are large."""
        with self._store.open(f"{self._root}/{file.path}") as content:
            groups = pq.ParquetFile(content)
            for number in range(groups.num_row_groups):
                yield groups.read_row_group(number, columns=columns)

    def _landed(self, run: str) -> bool:
        """Whether a commit that seemed to fail is in the log all the same: its answer may have been lost."""
        try:
            return self.holds(run)
        except LakeError as error:
            raise LakeError(
                f"whether run {run} was committed is not known: {error.message}",
                remedy="run again once the storage answers: the next run sees it, and goes on from there",
            ) from None

    def _settle_entry(self, version: int) -> None:
        self._store.settle([f"{self._root}/_delta_log/{version:020}.json"])

    def _refuse_empty_entries(self) -> None:
        """Delta takes an empty entry for a commit of nothing: of a run that was committed it would make none."""
        if self._folder is None:
            return
        for entry in sorted(Path(self._folder, "_delta_log").glob("*.json")):
            if not entry.stat().st_size:
                raise LakeError(
                    f"the lake {self._uri}: the log's entry {entry.name} is empty, as a power cut leaves it",
                    remedy=f"if it is the last one, delete {entry}: its run was not committed, and the next one is",
                )

    def loose(self, snapshot: Snapshot, endpoint: str | None = None) -> Iterator[tuple[LogFile, datetime]]:
        """The files that no commit names (any longer), of one endpoint or of all, and when each was written."""
        committed = set(snapshot.files()["path"].to_pylist())
        below = [""] if endpoint is None else [f"/kind={kind}/endpoint={endpoint}" for kind in Kind]
        for found in chain.from_iterable(self._store.scan(f"{self._root}{place}") for place in below):
            path = found["path"].removeprefix(f"{self._root}/")
            if path not in committed and (parts := _PLACE.fullmatch(path)):
                yield LogFile(path, parts[1], parts[2], found["size"], 0), found["last_modified"]

    def replaced_since(self, snapshot: Snapshot, instant: datetime) -> set[str]:
        """The files that a commit took out of the log after an instant (to the hour): readers may have them open."""
        age = datetime.now(UTC) - instant
        hours = 0 if age < timedelta(minutes=1) else math.ceil(age / timedelta(hours=1))
        try:
            every, older = (
                set(snapshot.table.vacuum(old, dry_run=True, enforce_retention_duration=False)) for old in (0, hours)
            )
        except (DeltaError, OSError) as error:
            raise explain(error, self._uri) from None
        return every - older

    def path_of(self, file: LogFile) -> str:
        """Where a file lies in the lake."""
        return f"{self._root}/{file.path}"

    def checkpoint(self) -> None:
        """Sum up Delta's own log, and drop of it what is a month old: so it opens quickly."""
        table = self.make().table
        try:
            table.create_checkpoint()
            names = f"{table.version():020}.checkpoint.parquet", "_last_checkpoint"
            self._store.settle(f"{self._root}/_delta_log/{name}" for name in names)
            table.cleanup_metadata()
        except (DeltaError, OSError) as error:
            raise explain(error, self._uri) from None

    def holds(self, run: str) -> bool:
        """Whether this run is in the log."""
        found = self.snapshot()  # a handle answers from what it read when it was opened: only a fresh one knows
        return found is not None and found.table.transaction_version(run) is not None


class LogWriter:
    """Collects rows and writes one Parquet file for each kind and endpoint. Memory is bounded by payload bytes."""

    def __init__(self, store: Store, root: str, run: str, part: str) -> None:
        self._store, self._root, self._run, self._part = store, root, run, part
        self._waiting: Waiting = defaultdict(list)
        self._buffered = 0
        self._tables: dict[tuple[str, str], list[pa.Table]] = defaultdict(list)
        self._held = 0
        self._open: dict[tuple[str, str], tuple[io.BytesIO, pq.ParquetWriter, int]] = {}
        self._files: list[LogFile] = []

    def add(self, row: Row) -> bool:
        """Take a row. True once so much waits that `flush` should be called."""
        kind = Kind.PAYLOAD if row.op == Op.PUT else Kind.STATE
        self._waiting[kind, row.endpoint].append(row)
        self._buffered += len(row.payload or b"")
        return self._buffered >= _BUFFER

    def add_table(self, kind: Kind, endpoint: str, rows: pa.Table) -> None:
        """Take rows that were made set-based; columns that they lack are null, and the run is the writer's.

        They wait for others: a row group for each row would cost a reader fifty times as much as the row. Blocking work.
        """
        given = set(rows.column_names)
        columns = [
            rows[field.name].cast(field.type)
            if field.name in given
            else pa.array([self._run] * len(rows))
            if field.name == "run"
            else pa.nulls(len(rows), field.type)
            for field in FILE
        ]
        table = pa.table(columns, schema=FILE)
        self._tables[kind, endpoint].append(table)
        self._held += table.nbytes
        if self._held >= _BUFFER:
            self._write_tables()

    def take(self) -> Waiting:
        """Hand over what waits, for `flush`."""
        waiting, self._waiting, self._buffered = self._waiting, defaultdict(list), 0
        return waiting

    def flush(self, waiting: Waiting) -> None:
        """Turn what `take` gave into row groups. Blocking work for a thread; one call at a time."""
        for partition, rows in waiting.items():
            for part in _parts(rows):
                self._write(partition, _table(part, self._run))

    def close(self) -> list[LogFile]:
        """Write what is left and put the files in place, still uncommitted. Blocking work."""
        self.flush(self.take())
        self._write_tables()
        for partition in sorted(self._open):
            self._finish(partition)
        pa.default_memory_pool().release_unused()  # else a quarter of a crawl's memory is what Arrow keeps for later
        files, self._files = self._files, []
        return files

    def _write_tables(self) -> None:
        tables, self._tables, self._held = self._tables, defaultdict(list), 0
        for partition, parts in tables.items():
            self._write(partition, pa.concat_tables(parts))

    def _finish(self, partition: tuple[str, str]) -> None:
        kind, endpoint = partition
        buffer, writer, rows = self._open.pop(partition)
        writer.close()
        path = f"kind={kind}/endpoint={endpoint}/{self._run}-{self._part}-{uuid.uuid4().hex[:8]}.parquet"
        self._store.create(f"{self._root}/{path}", buffer.getbuffer())
        self._files.append(LogFile(path, kind, endpoint, buffer.tell(), rows))

    def _write(self, partition: tuple[str, str], table: pa.Table) -> None:
        if not len(table):
            return
        if partition not in self._open:
            buffer = io.BytesIO()
            writer = pq.ParquetWriter(
                buffer,
                FILE,
                compression="zstd",
                use_dictionary=["op", "run", "state", "reason", "source_version"],
                write_statistics=["valid_from", "observed_at", "version"],
                store_schema=False,
            )
            self._open[partition] = buffer, writer, 0
        buffer, writer, rows = self._open[partition]
        writer.write_table(table)
        self._open[partition] = buffer, writer, rows + len(table)
        if buffer.tell() >= _FILE:
            self._finish(partition)


def _parts(rows: list[Row]) -> Iterator[list[Row]]:
    """The rows in parts of about `_BUFFER` bytes of payload: more may have come in while others were written."""
    part: list[Row] = []
    size = 0
    for row in rows:
        part.append(row)
        size += len(row.payload or b"")
        if size >= _BUFFER:
            yield part
            part, size = [], 0
    if part:
        yield part


def _table(rows: list[Row], run: str) -> pa.Table:
    values = dict(zip(_ROW_FIELDS, zip(*map(_row_values, rows), strict=True), strict=True))
    columns = [
        pa.array([run] * len(rows)) if name == "run" else pa.array(values[name], FILE.field(name).type)
        for name in FILE.names
    ]
    return pa.Table.from_arrays(columns, schema=FILE)
