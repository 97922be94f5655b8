"""One source's part of a lake: its log, what lies beside it, and who may write."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa

from trawl.model.canonical import parse
from trawl.model.errors import LakeError
from trawl.model.keys import path_told
from trawl.model.records import Kind, Op, Prior

from .log.schema import FILE, NO_ENDPOINT
from .log.sql import STATE, connect, literal, register_log, rows_of
from .log.table import Log, LogFile, LogWriter, Snapshot
from .runs.documents import FACTS, read
from .runs.lease import Holder, Lease
from .runs.lease import holder as lease_holder
from .runs.objects import Keys, RunStore
from .store import LOST_FILE, Store, damaged_file

LIST_PAGES = "+list"
"""What stands behind an endpoint's name where not a record of it is meant, but a page of its list (no endpoint has a +)."""

_ENDPOINT, _KEY = pa.field("endpoint", pa.string()), pa.field("key", pa.string())
_PAYLOADS = 64  # read at once, each up to some megabytes


@dataclass(frozen=True, slots=True)
class ListingState:
    """The last verified listing of an endpoint (its validators, and the deploy it came from), or that there is none.

    `state` is `absent` where the API does not have the endpoint, else `present`.
    """

    state: str
    etag: str | None
    last_modified: str | None
    source_version: str | None
    source_order: int | None
    valid_from: datetime


class SourceLake:
    """What a lake holds of one source."""

    def __init__(self, store: Store, name: str) -> None:
        self.name = name
        self.store = store
        self.log = Log(store, name)
        self.runs = RunStore(store, name)

    def lease(self, run: str, clock: Callable[[], datetime]) -> Lease:
        """The source's lease, not yet taken."""
        return Lease(self.store, self._lease, run, clock)

    def holder(self, now: datetime) -> Holder | None:
        """Who is writing now, if anybody is."""
        return lease_holder(self.store, self._lease, now)

    def facts(self, snapshot: Snapshot | None) -> dict[str, Any]:
        """What the last committed run left for the next: version token, rule and key hashes, base address."""
        return self.last_run(snapshot)[0]

    def last_run(self, snapshot: Snapshot | None) -> tuple[dict[str, Any], datetime | None]:
        """The facts of the last committed run, and its instant: no row of the log is later. Of an empty log, none."""
        rows = _small_rows(snapshot, Kind.RUN, ["payload", "valid_from"])
        if not len(rows):
            return {}, None
        (last,) = rows.sort_by([("valid_from", "descending")]).slice(0, 1).to_pylist()
        found = read(FACTS, last["payload"] and last["payload"].encode())
        if found is None:
            raise LakeError(f"the log of {self.name} holds a damaged run row", remedy=LOST_FILE)
        return found, last["valid_from"]

    def committed_runs(self, snapshot: Snapshot | None) -> set[str]:
        """The runs that the log holds."""
        return set(_small_rows(snapshot, Kind.RUN, ["key"])["key"].to_pylist())

    def listings(self, snapshot: Snapshot | None) -> dict[str, ListingState]:
        """The last verified listing of each endpoint."""
        columns = ["key", "op", *(field.name for field in fields(ListingState))]
        rows = _small_rows(snapshot, Kind.LISTING, columns).sort_by("valid_from").to_pylist()
        return {row.pop("key"): ListingState(**row) for row in rows if row.pop("op") == Op.LISTED}

    def write_listing(self, writer: LogWriter, endpoint: str, state: ListingState, *, size: int, digest: bytes) -> None:
        """Record a verified listing: its validators and bytes, never its keys (they are the records' own rows)."""
        row = {
            "op": Op.LISTED,
            "key": endpoint,
            "valid_from": state.valid_from,
            "observed_at": state.valid_from,
            "checked_at": state.valid_from,
            "state": state.state,
            "source_version": state.source_version,
            "source_order": state.source_order,
            "etag": state.etag,
            "last_modified": state.last_modified,
            "byte_hash": digest,
            "bytes": size,
        }
        writer.add_table(Kind.LISTING, NO_ENDPOINT, _one(row))

    def write_broken_page(self, writer: LogWriter, place: str, name: str, reason: str, at: datetime) -> None:
        """Record a page of a list that was quarantined (`place` is the endpoint with `LIST_PAGES`)."""
        row = {"op": Op.FAIL, "key": f"{place}/{name}", "valid_from": at, "observed_at": at, "reason": reason}
        writer.add_table(Kind.LISTING, NO_ENDPOINT, _one(row))

    def write_run(
        self, writer: LogWriter, base: Snapshot | None, run: str, at: datetime, facts: dict[str, Any]
    ) -> None:
        """Record the run itself, with the facts that the next one builds on: later than all, whatever the clock says."""
        _, last = self.last_run(base)
        at = at if last is None else max(at, last + timedelta(microseconds=1))
        row = {"op": Op.RUN, "key": run, "valid_from": at, "observed_at": at, "payload": json.dumps(facts)}
        writer.add_table(Kind.RUN, NO_ENDPOINT, _one(row))

    def told_paths(self, snapshot: Snapshot, parent: str, template: str, keys: list[str]) -> dict[str, str]:
        """The paths of children, by key, that the newest records of their parents tell."""
        found: dict[str, str] = {}
        with closing(connect()) as con:
            register_log(con, "log", snapshot)
            con.register("wanted", pa.table({"key": pa.array(keys, pa.string())}))
            parents = con.sql(f"""
                SELECT p.key, p.payload FROM {rows_of("log")} p SEMI JOIN wanted USING (key)
                WHERE p.endpoint = {literal(parent)} AND p.kind = '{Kind.PAYLOAD}'
                QUALIFY row_number() OVER (PARTITION BY p.key ORDER BY p.valid_from DESC) = 1
            """)
            for batch in parents.to_arrow_reader(_PAYLOADS):
                for key, payload in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                    if (path := path_told(parse(payload.encode()), template, key)) is not None:
                        found[key] = path
        return found

    def payload(self, snapshot: Snapshot | None, endpoint: str, key: str) -> bytes | None:
        """The document that is stored of a record, or None."""
        with closing(connect()) as con:
            register_log(con, "log", snapshot)
            found = con.execute(
                f"SELECT payload FROM {rows_of('log')} WHERE endpoint = {literal(endpoint)} AND key = {literal(key)} "
                f"AND kind = '{Kind.PAYLOAD}' ORDER BY valid_from DESC LIMIT 1"
            ).fetchone()
        return None if found is None else str(found[0]).encode()

    def keys(self, snapshot: Snapshot | None, endpoint: str) -> Keys:
        """The keys of all records of an endpoint that the log knows."""
        with closing(connect()) as con:
            register_log(con, "log", snapshot)
            query = f"SELECT DISTINCT key FROM {rows_of('log')} WHERE endpoint = {literal(endpoint)}"
            return Keys(con.sql(query).to_arrow_table()["key"])

    def priors(self, snapshot: Snapshot, records: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Prior]:
        """What is known of some records (endpoint and key), each of which the log holds."""
        names = ", ".join(
            {
                "event": "'' AS event",
                "floor": "valid_from AS floor",
                "body": "NULL AS body",
                "stored_label": "label AS stored_label",
            }.get(field.name, field.name)
            for field in fields(Prior)
        )
        places, keys = ([record[part] for record in records] for part in (0, 1))
        with closing(connect()) as con:
            register_log(con, "log", snapshot)
            con.register("wanted", pa.table([places, keys], schema=pa.schema([_ENDPOINT, _KEY])))
            own = f"(FROM {rows_of('log')} SEMI JOIN wanted USING (endpoint, key))"
            rows = con.sql(f"SELECT {names} FROM ({STATE.format(rows=own)})").to_arrow_table().to_pylist()
        return {(row["endpoint"], row["key"]): Prior(**row) for row in rows}

    def held_ops(self, files: Sequence[LogFile]) -> dict[str, int]:
        """How many rows of each operation uncommitted files hold."""
        counts: Counter[str] = Counter()
        for file in files:
            if file.kind != Kind.LISTING:
                counts.update(self.log.read(file, ["op"])["op"].to_pylist())
        return counts

    def overtaken(self, snapshot: Snapshot, files: Sequence[LogFile]) -> bool:
        """Whether the log has rows about the same records (or listings) as uncommitted files, of the same time or later."""
        with closing(connect()) as con:
            register_log(con, "log", snapshot)
            for file in files:
                con.register("file", self.log.read(file, ["key", "valid_from"]))
                listing = f"(kind = '{Kind.LISTING}') = {file.kind == Kind.LISTING}"
                found = con.execute(
                    f"SELECT count(*) FROM log l JOIN file f ON f.key = l.key AND l.valid_from >= f.valid_from "
                    f"WHERE l.endpoint = {literal(file.endpoint)} AND {listing}"
                ).fetchall()
                if found[0][0]:
                    return True
        return False

    @property
    def _lease(self) -> str:
        return f"{self.name}/lease.json"


def _one(row: dict[str, Any]) -> pa.Table:
    return pa.table({name: pa.array([value], FILE.field(name).type) for name, value in row.items()})


def _small_rows(snapshot: Snapshot | None, kind: Kind, columns: list[str]) -> pa.Table:
    if snapshot is None:
        return pa.table({name: pa.array([]) for name in columns})
    try:
        return snapshot.dataset(kind).to_table(columns=columns)
    except (pa.ArrowException, OSError) as error:
        if lost := snapshot.lost_files():  # the error itself does not always name the file
            raise damaged_file(lost[0]) from None
        raise error from None
