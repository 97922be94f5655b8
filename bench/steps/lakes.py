"""Made-up lakes of any size, written by the lake's own writer as a history of runs would have."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import duckdb
import pyarrow as pa

from trawl.lake import Lake, ListingState, LogFile, SourceLake
from trawl.model.records import Kind

SOURCE = "bench"
ENDPOINTS = ("authors", "books", "loans", "members")
_BATCH = 100_000

PUTS = """
    SELECT 'put' AS op, i::VARCHAR AS key, moment AS valid_from, moment AS observed_at, moment AS checked_at,
           'present' AS state, 'v1' AS source_version, 1 AS source_order, 0 AS failures,
           'record-' || i AS label, '{endpoint}/' || i || '/' AS locator,
           'W/"' || md5('e' || i) || '"' AS etag, unhex(md5('b' || i)) AS byte_hash, unhex(md5('c' || i)) AS canonical_hash,
           unhex(md5('s' || i)) AS semantic_hash, octet_length(encode(payload)) AS bytes, 1 AS version,
           moment AS first_seen, moment AS changed_at, '{run}' AS payload_run, payload
    FROM (SELECT range AS i, {at} AS moment, '{{"id":' || range || ',"name":"record-' || range || '","text":"'
                 || repeat(md5('t' || range), 8) || '"}}' AS payload
          FROM range({first}, {end}))
"""

_CHECKS = """
    SELECT 'check' AS op, range::VARCHAR AS key, {at} AS valid_from, {at} AS observed_at, {at} AS checked_at,
           'present' AS state, 'v1' AS source_version, 1 AS source_order, 0 AS failures
    FROM range({first}, {end})
"""


def build(
    folder: str,
    records: int,
    now: str,
    *,
    rows_per_file: int,
    due: int = 0,
    rounds: int = 1,
    checks: bool = False,
    runs: int = 4,
) -> int:
    """Make a lake of `records` records, put a month before `now` by several runs. The number of its files.

    Each was verified an hour before `now`, by a row of its own (`checks`) or else by its put; `due` of them
    for each of `rounds`, evenly spread, three days before, those of the first round earliest.
    """
    moment = datetime.fromisoformat(now)
    part = Lake(folder).source(SOURCE)
    part.store.make()
    part.log.make()
    count = -(-records // rows_per_file)
    spans = [
        (
            index,
            ENDPOINTS[index * len(ENDPOINTS) // count],
            index * rows_per_file,
            min((index + 1) * rows_per_file, records),
        )
        for index in range(count)
    ]
    verified = _literal(moment - timedelta(hours=1))
    if due:
        every = records // (due * rounds)
        stale = f"{_literal(moment - timedelta(days=3))} + to_hours(range // {every} % {rounds})"
        verified = f"CASE WHEN range % {every} = 0 THEN {stale} ELSE {verified} END"
    history = []
    for number in range(runs):
        at = moment - timedelta(days=30 - number)
        mine = spans[number::runs]
        history.append(_Run(f"put-{number}", at, Kind.PAYLOAD, PUTS, _literal(at) if checks else verified, mine))
    if checks:
        history.append(_Run("check", moment - timedelta(hours=1), Kind.STATE, _CHECKS, verified, spans))
    return sum(run.commit(part) for run in history)


def listing(endpoint: str, records: int, rows_per_file: int) -> pa.Table:
    """What the endpoint's list would say: every record that `build` made of it, of the form `LISTED`."""
    number, count = ENDPOINTS.index(endpoint), -(-records // rows_per_file)
    return duckdb.sql(f"""
        SELECT '{endpoint}' AS endpoint, range::VARCHAR AS key, 'record-' || range AS label,
               NULL::VARCHAR AS locator, NULL::BLOB AS body
        FROM range({records}) WHERE range // {rows_per_file} * {len(ENDPOINTS)} // {count} = {number}
    """).to_arrow_table()


@dataclass(frozen=True, slots=True)
class _Run:
    """One run of the history: rows of a kind, by SQL, in a file for each span of keys."""

    name: str
    moment: datetime
    kind: Kind
    rows: str
    at: str
    spans: list[tuple[int, str, int, int]]

    def commit(self, part: SourceLake) -> int:
        """Write and commit it; the number of its files."""
        base = part.log.snapshot()
        assert base is not None
        files: list[LogFile] = []
        for index, endpoint, first, end in self.spans:
            writer = part.log.writer(self.name, f"{index:06d}")
            for start in range(first, end, _BATCH):
                stop = min(start + _BATCH, end)
                query = self.rows.format(endpoint=endpoint, run=self.name, at=self.at, first=start, end=stop)
                writer.add_table(self.kind, endpoint, duckdb.sql(query).to_arrow_table())
            files += writer.close()
        writer = part.log.writer(self.name, "run")
        for endpoint in ENDPOINTS:
            state = ListingState("present", f'"{endpoint}"', None, None, None, self.moment)
            part.write_listing(writer, endpoint, state, size=1, digest=b"0" * 16)
        part.write_run(writer, base, self.name, self.moment, {})
        files += writer.close()
        part.log.commit(base, self.name, files)
        return len(files)


def _literal(moment: datetime) -> str:
    return f"TIMESTAMPTZ '{moment.isoformat()}'"
