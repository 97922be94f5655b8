"""Planning a run, set-based: what is due, in which shard, and what the listings alone taught.

Nothing here makes a Python object per record: listings come as Arrow tables, decisions are SQL, shards go to Parquet
(one row group each), and only a shard's own worker reads its rows back.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from typing import IO

import pyarrow as pa
import pyarrow.compute as pc

from trawl.lake.log.schema import CONTENT
from trawl.lake.log.sql import LATEST, connect, literal, register_log, rows_of
from trawl.lake.log.table import LogWriter, Snapshot
from trawl.model.records import Event, Kind, Op, State

SHARD_RECORDS = 500
SHARD_BYTES = 24 * 2**20
_UNKNOWN_BYTES = 8_192  # what a record is taken to weigh before it was ever seen

LISTED = pa.schema(
    [
        ("endpoint", pa.string()),
        ("key", pa.string()),
        ("label", pa.string()),
        ("locator", pa.string()),
        ("body", pa.large_binary()),
    ]
)

_SLICES = pa.schema([("endpoint", pa.string()), ("first", pa.int64()), ("number", pa.int64())])
_SLICE = "(first + hash(d.key) % number)::INTEGER"
_VALIDATORS = {"etag", "last_modified"}
_PRIOR_CONTENT = [field.name for field in CONTENT if field.name not in {"label", "locator", "version"}]


def listed_table(
    endpoint: str,
    keys: list[str],
    labels: list[str | None],
    locators: list[str | None],
    bodies: list[bytes | None],
) -> pa.Table:
    """A listing's keys as a table of the form `LISTED`."""
    return pa.table([[endpoint] * len(keys), keys, labels, locators, bodies], schema=LISTED)


@dataclass(frozen=True, slots=True)
class EndpointRule:
    """What planning needs to know of one endpoint.

    Attributes:
        level: 0, or one more than its parent's.
        listed: whether this run has a verified new listing of it.
        detail: whether records are fetched one by one (else the listing holds them).
        follow: the parent whose present records make this endpoint's listing.
        confirmed: whether this run has verified its listing, newly or by a 304.
        held: the listing is not believed: nothing is new or lost by it, and what it lacks is not asked for.
        since: from when on answers were read by the source's rules of today; None: always. What was read before is due,
            and its validators, labels and failures are not built on.
    """

    endpoint: str
    level: int
    listed: bool
    detail: bool
    freshness: timedelta
    tombstone_after: timedelta
    follow: str | None = None
    held: bool = False
    confirmed: bool = False
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Token:
    """The API's version token in this run, and when it was first seen."""

    value: str
    first_seen: datetime
    max_age: timedelta
    audit: float


@dataclass(frozen=True, slots=True)
class EndpointCount:
    """One endpoint's decisions: records now present, and by event and decision."""

    present: int
    new: int
    lost: int
    back: int
    gone: int
    due: int

    @property
    def known(self) -> int:
        """How many records were present before this listing."""
        return self.present - self.new - self.back + self.lost


class Planner:
    """One run's planning over one snapshot of the log. What was `forgotten` (marks of keys) stands in no listing."""

    def __init__(self, snapshot: Snapshot | None, now: datetime, forgotten: Sequence[str] = ()) -> None:
        self._now = now
        refused = ", ".join(map(literal, forgotten))
        believed = f"WHERE sha256(endpoint || '/' || key) NOT IN ({refused})" if refused else ""
        self._seen = f"(FROM (FROM listings_in UNION ALL BY NAME FROM followed) {believed})"
        self._con = connect(_memory(snapshot))
        register_log(self._con, "log", snapshot)
        self._rows = rows_of("log")

    def read(self) -> None:
        """Read from the log where every record stands: first of all, and once."""
        self._con.execute(f"""
            CREATE TEMP TABLE standing AS
            WITH latest AS MATERIALIZED ({LATEST.format(rows=self._rows)})
            SELECT l.*, s.state, s.source_version, s.source_order, s.missing_since, s.refused_at, s.failures, s.retry_at
            FROM latest l JOIN {self._rows} s
              ON s.endpoint = l.endpoint AND s.key = l.key AND s.valid_from = l.valid_from
        """)

    def stop(self) -> None:
        """Make what is asked in another thread end now, with an error."""
        self._con.interrupt()

    def close(self) -> None:
        self._con.close()

    def decide(
        self,
        rules: Sequence[EndpointRule],
        listings: Sequence[pa.Table],
        *,
        token: Token | None,
        force: bool,
    ) -> dict[str, EndpointCount]:
        """Decide every record of these endpoints. May be called again, once some are held."""
        con = self._con
        con.register("rules_in", _rules_table(rules))
        con.register("listings_in", pa.concat_tables(listings) if listings else LISTED.empty_table())
        con.execute("CREATE OR REPLACE TEMP TABLE rules AS FROM rules_in")
        con.execute("CREATE OR REPLACE TEMP TABLE followed (endpoint VARCHAR, key VARCHAR, label VARCHAR)")
        by_name = {rule.endpoint: rule for rule in rules}
        for child in sorted((rule for rule in rules if rule.follow is not None), key=lambda rule: rule.level):
            con.execute(f"INSERT INTO followed {self._following(child, by_name)}")
        con.execute(f"CREATE OR REPLACE TEMP TABLE decision AS {self._decision(token, force=force)}")
        counts = con.execute("""
            SELECT r.endpoint,
                   count(*) FILTER (after = 'present') AS present,
                   count(*) FILTER (event = 'new') AS new,
                   count(*) FILTER (event = 'lost') AS lost,
                   count(*) FILTER (event = 'back') AS back,
                   count(*) FILTER (after = 'gone' AND state <> 'gone') AS gone,
                   count(*) FILTER (decision <> 'fresh') AS due
            FROM rules r LEFT JOIN decision d USING (endpoint) GROUP BY r.endpoint
        """).fetchall()
        return {endpoint: EndpointCount(*numbers) for endpoint, *numbers in counts}

    def unsettled(self) -> set[str]:
        """The endpoints with a record whose content is not known, or was of no use when it last came."""
        query = (
            f"SELECT DISTINCT endpoint FROM standing WHERE state <> '{State.GONE}' AND (version = 0 OR failures > 0)"
        )
        return {endpoint for (endpoint,) in self._con.execute(query).fetchall()}

    def decisions(self) -> dict[str, dict[str, int]]:
        """How many records of each endpoint got which decision (new, stale, missing, retry, fresh)."""
        found: dict[str, dict[str, int]] = {}
        query = "SELECT endpoint, decision, count(*) FROM decision GROUP BY ALL ORDER BY ALL"
        for endpoint, decision, number in self._con.execute(query).fetchall():
            found.setdefault(endpoint, {})[decision] = number
        return found

    def cut(self, *, limit: int | None = None, records: int = SHARD_RECORDS) -> None:
        """Choose what this run fetches (at most `limit` records) and cut it into shards of at most so many records."""
        order = "CASE decision WHEN 'new' THEN 0 WHEN 'retry' THEN 1 WHEN 'missing' THEN 2 ELSE 3 END, checked_at NULLS FIRST"
        within = "" if limit is None else f"QUALIFY row_number() OVER (ORDER BY level, {order}) <= {limit}"
        self._con.execute(
            f"CREATE OR REPLACE TEMP TABLE due AS SELECT * FROM decision WHERE decision <> 'fresh' {within}"
        )
        weights = self._con.execute(f"""
            SELECT level, endpoint, sum(greatest(1.0 / {records}, coalesce(bytes, {_UNKNOWN_BYTES}) / {SHARD_BYTES}.0))::DOUBLE
            FROM due GROUP BY level, endpoint
        """).fetchall()
        self._con.register("slices", _slices(weights))

    def shards(self) -> list[tuple[int, int, int]]:
        """(level, records, last known bytes) of every shard, in the order in which `write_shards` stores them."""
        return self._con.execute(f"""
            SELECT level, count(*)::INTEGER, coalesce(sum(bytes), 0)::BIGINT
            FROM due d JOIN slices USING (endpoint) GROUP BY level, {_SLICE} ORDER BY {_SLICE}
        """).fetchall()

    def write_shards(self, sink: IO[bytes]) -> None:
        """Write the due records with all that is known of them: an Arrow file with one batch per shard.

        Not Parquet: its readers go through the footer of all row groups to find one.
        """
        good = "CASE WHEN d.current AND coalesce(d.locator = c.locator, true) THEN c.{0} END AS {0}"  # for its address
        content = ", ".join(
            good.format(name) if name in _VALIDATORS else f"c.{name}" for name in _PRIOR_CONTENT if name != "bytes"
        )
        reader = self._con.sql(f"""
            SELECT {_SLICE} AS slice, d.endpoint, d.key, coalesce(d.label, CASE WHEN d.current THEN c.label END) AS label,
                   coalesce(d.locator, c.locator) AS locator, d.event, coalesce(d.state, 'present') AS state,
                   CASE WHEN d.event = '' THEN d.valid_from ELSE greatest(d.valid_from, {literal(self._now)}) END AS floor,
                   coalesce(d.version, 0) AS version, d.source_version, d.source_order, d.missing_since, d.refused_at,
                   coalesce(d.failures, 0) AS failures, d.bytes, {content}, d.body,
                   c.label AS stored_label
            FROM due d JOIN slices USING (endpoint) LEFT JOIN {self._rows} c
              ON c.endpoint = d.endpoint AND c.key = d.key AND c.valid_from = d.content_from AND c.version IS NOT NULL
            ORDER BY slice
        """).to_arrow_reader(16_384)
        schema = pa.schema([field for field in reader.schema if field.name != "slice"])
        with pa.ipc.new_file(sink, schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as writer:
            for group in _groups(reader):
                (batch,) = group.select(schema.names).combine_chunks().to_batches()
                writer.write_batch(batch)

    def write_listing_rows(self, writer: LogWriter, endpoints: Sequence[str] | None = None, *, planned: bool) -> None:
        """Write the rows that the listings alone teach: of records not in a shard or, if not `planned`, of all.

        `endpoints` restricts it to some.
        """
        only = "" if endpoints is None else f" AND d.endpoint IN ({', '.join(map(literal, endpoints))})"
        unplanned = "AND NOT EXISTS (FROM due p WHERE p.endpoint = d.endpoint AND p.key = d.key)" if planned else ""
        now = literal(self._now)
        new = f"CASE WHEN event = '{Event.NEW}' THEN"
        rows = self._con.sql(f"""
            SELECT d.endpoint, key,
                   CASE WHEN event = '{Event.LOST}' THEN '{Op.MISSING}' WHEN event IN ('{Event.NEW}', '{Event.BACK}')
                        THEN '{Op.LISTED}' ELSE '{Op.GONE}' END AS op,
                   after AS state,
                   greatest({now}, valid_from + INTERVAL 1 MICROSECOND) AS valid_from, {now} AS observed_at,
                   source_version, source_order,
                   CASE WHEN after <> '{State.PRESENT}' THEN coalesce(missing_since, {now}) END AS missing_since,
                   coalesce(failures, 0)::INTEGER AS failures,
                   CASE WHEN event = '{Event.BACK}' THEN {now} ELSE retry_at END AS retry_at,
                   {new} label END AS label, {new} locator END AS locator, {new} 0 END AS version, {new} {now} END AS first_seen
            FROM decision d
            WHERE (event <> '' OR after IS DISTINCT FROM state){only} {unplanned}
            ORDER BY d.endpoint, key
        """).to_arrow_table()
        for endpoint in rows["endpoint"].unique().to_pylist():
            part = rows.filter(pc.equal(rows["endpoint"], endpoint))
            writer.add_table(Kind.STATE, endpoint, part)

    def _following(self, child: EndpointRule, rules: Mapping[str, EndpointRule]) -> str:
        """The listing of an endpoint that follows another one: that one's present records."""
        assert child.follow is not None
        parent = rules.get(child.follow)
        stands = f"(FROM standing WHERE endpoint = {literal(child.follow)} AND state = '{State.PRESENT}')"
        if parent is None or not (parent.listed or parent.follow):
            return f"SELECT {literal(child.endpoint)}, key, NULL FROM {stands}"
        known = f"SEMI JOIN {stands} USING (key)" if parent.held else ""
        listed = f"(FROM {self._seen} WHERE endpoint = {literal(child.follow)})"
        return f"SELECT {literal(child.endpoint)}, key, label FROM {listed} {known}"

    def _decision(self, token: Token | None, *, force: bool) -> str:
        now = literal(self._now)
        if token is None:
            verified = token_due = "false"
        else:
            old_enough = literal(token.first_seen + token.max_age)
            carried = f"source_version = {literal(token.value)}"
            verified = f"coalesce({carried} OR checked_at >= {old_enough}, false)"
            token_due = f"""(NOT {verified} AND (retry_at IS NULL OR retry_at <= {now}) AND (
                coalesce(checked_at < {literal(token.first_seen)}, true) OR {now} >= {old_enough}
                OR coalesce(source_version <> {literal(token.value)}, false)))"""
        audit = 0.0 if token is None else token.audit
        return f"""
        WITH met AS (
            SELECT r.level, coalesce(l.endpoint, k.endpoint) AS endpoint, coalesce(l.key, k.key) AS key,
                   l.label, l.locator, l.body, k.* EXCLUDE (endpoint, key), r.detail, r.confirmed, r.freshness, r.tombstone_after,
                   r.held AND l.key IS NULL AS doubtful, r.since,
                   r.since IS NULL OR coalesce(checked_at >= r.since, false) AS current,
                   CASE WHEN r.held THEN ''
                        WHEN l.key IS NOT NULL AND k.key IS NULL THEN '{Event.NEW}'
                        WHEN l.key IS NOT NULL AND k.state <> '{State.PRESENT}' THEN '{Event.BACK}'
                        WHEN l.key IS NULL AND r.listed AND k.state = '{State.PRESENT}' THEN '{Event.LOST}'
                        ELSE '' END AS event,
                   {verified} AS verified,
                   r.freshness * (0.75 + 0.2 * (hash(coalesce(l.key, k.key)) % 1000) / 1000) AS term,
                   checked_at + term <= {now} AS aged,
                   (hash(coalesce(l.key, k.key) || {literal(str(self._now.date()))}) % 10000) < {audit * 10000} AS sampled
            FROM {self._seen} l FULL JOIN standing k ON l.endpoint = k.endpoint AND l.key = k.key
            JOIN rules r ON r.endpoint = coalesce(l.endpoint, k.endpoint)
            WHERE NOT (r.held AND k.key IS NULL)
        )
        SELECT *, CASE
                WHEN event IN ('{Event.NEW}', '{Event.BACK}') THEN '{State.PRESENT}'
                WHEN event = '{Event.LOST}' THEN '{State.MISSING}'
                WHEN NOT detail AND confirmed AND state = '{State.MISSING}' AND missing_since + tombstone_after <= {now}
                THEN '{State.GONE}'
                ELSE state END AS after,
            CASE
                WHEN doubtful THEN 'fresh'
                WHEN NOT detail THEN CASE WHEN body IS NULL THEN 'fresh' WHEN event = '{Event.NEW}' THEN 'new' ELSE 'stale' END
                WHEN event = '{Event.NEW}' THEN 'new'
                WHEN event = '{Event.BACK}' THEN 'stale'
                WHEN event = '{Event.LOST}' THEN 'missing'
                WHEN state = '{State.GONE}' THEN 'fresh'
                WHEN state = '{State.MISSING}' THEN
                    CASE WHEN NOT {force} AND checked_at >= missing_since AND NOT aged THEN 'fresh'
                         WHEN {force} OR refused_at IS NULL OR refused_at + tombstone_after <= {now} OR valid_from + term <= {now}
                         THEN 'missing' ELSE 'fresh' END
                WHEN NOT current AND version > 0 AND (failures = 0 OR valid_from < since)
                THEN CASE WHEN failures > 0 THEN 'retry' ELSE 'stale' END
                WHEN failures > 0 AND (retry_at > {now}) AND NOT {force} AND valid_from >= coalesce(since, valid_from) THEN 'fresh'
                WHEN version = 0 THEN 'new'
                WHEN failures = 0 AND retry_at <= {now} THEN 'stale'
                WHEN failures > 0 THEN 'retry'
                WHEN {force} OR {token_due} THEN 'stale'
                WHEN aged AND (NOT verified OR sampled) THEN 'stale'
                ELSE 'fresh' END AS decision
        FROM met
        """


def _memory(snapshot: Snapshot | None) -> str:
    """What planning may take: half a gigabyte up to five million rows, a tenth of one for each million more."""
    rows = 0 if snapshot is None else pc.sum(snapshot.files()["num_records"]).as_py() or 0
    return f"{max(500, rows // 10_000)}MB"


def _rules_table(rules: Sequence[EndpointRule]) -> pa.Table:
    return pa.table(
        {
            "endpoint": pa.array([rule.endpoint for rule in rules], pa.string()),
            "level": pa.array([rule.level for rule in rules], pa.int32()),
            "listed": pa.array([rule.listed or rule.follow is not None for rule in rules], pa.bool_()),
            "held": pa.array([rule.held for rule in rules], pa.bool_()),
            "confirmed": pa.array([rule.confirmed and not rule.held for rule in rules], pa.bool_()),
            "detail": pa.array([rule.detail for rule in rules], pa.bool_()),
            "since": pa.array([rule.since for rule in rules], pa.timestamp("us", tz="UTC")),
            "freshness": pa.array([rule.freshness for rule in rules], pa.duration("us")),
            "tombstone_after": pa.array([rule.tombstone_after for rule in rules], pa.duration("us")),
        }
    )


def _slices(weights: Sequence[tuple[int, str, float]]) -> pa.Table:
    """The slices over which each endpoint's records are spread by hash: the first one, and their number.

    There are as many as its records weigh shards; small endpoints of a level share one. `weights` are (level, endpoint,
    weight in shards).
    """
    found: list[tuple[str, int, int]] = []
    first, shared, room = 0, (-1, 0), 0.0
    for level, endpoint, weight in sorted(weights, key=lambda known: (known[0], known[2] < 1, known[1])):
        if weight >= 1:
            found.append((endpoint, first, ceil(weight)))
            first += ceil(weight)
            continue
        if level != shared[0] or weight > room:
            shared, room = (level, first), 1.0
            first += 1
        room -= weight
        found.append((endpoint, shared[1], 1))
    columns = zip(*found, strict=True) if found else ((), (), ())
    return pa.table([list(column) for column in columns], schema=_SLICES)


def _groups(reader: pa.RecordBatchReader) -> Iterator[pa.Table]:
    """The rows of each shard, in order: consecutive rows of the same slice."""
    waiting: list[pa.Table] = []
    current: int | None = None
    for batch in reader:
        table = pa.Table.from_batches([batch])
        start = 0
        runs = pc.run_end_encode(table["slice"].combine_chunks())
        for end, value in zip(runs.run_ends.to_pylist(), runs.values.to_pylist(), strict=True):
            if current is not None and value != current:
                yield pa.concat_tables(waiting)
                waiting = []
            current = value
            waiting.append(table.slice(start, end - start))
            start = end
    if waiting:
        yield pa.concat_tables(waiting)
