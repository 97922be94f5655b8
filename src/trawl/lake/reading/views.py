"""The views that a source offers to SQL, over the log and the objects beside it.

`records` is what there is now (or was, `as_of` an instant); `versions`, `changes` and `quarantine` are its history;
`runs` is what was done.
"""

from collections.abc import Callable
from datetime import datetime

import duckdb
import pyarrow as pa

from trawl.lake.log.schema import CONTENT, STANDING
from trawl.lake.log.sql import STATE, listing_rows_of, literal, register_log, rows_of
from trawl.lake.log.table import Snapshot
from trawl.lake.source import LIST_PAGES

NAMES = ("records", "versions", "changes", "runs", "quarantine")

_hidden = {"payload_run", "locator", "source_order", "byte_hash", "canonical_hash", "semantic_hash"}
_more = [
    field.name
    for field in (*STANDING, *CONTENT)
    if field.name not in _hidden | {"label", "first_seen", "changed_at", "state"}
]

RUNS = pa.schema(
    [
        ("run_id", pa.string()),
        ("mode", pa.string()),
        ("status", pa.string()),
        ("started_at", pa.timestamp("us", tz="UTC")),
        ("finished_at", pa.timestamp("us", tz="UTC")),
        ("duration_s", pa.float64()),
        ("requests", pa.int64()),
        ("not_modified", pa.int64()),
        ("bytes", pa.int64()),
        ("retries", pa.int64()),
        ("source_version", pa.string()),
        ("held", pa.list_(pa.string())),
        ("note", pa.string()),
        ("endpoints", pa.string()),
    ]
)


def create(
    con: duckdb.DuckDBPyConnection,
    source: str,
    snapshot: Snapshot | None,
    runs: Callable[[], pa.Table],
    *,
    base_url: Callable[[], str | None],
    as_of: datetime | None,
    wanted: Callable[[str], bool] = lambda _: True,
) -> None:
    """Create the schema `source` with its views; `wanted` spares those that a question does not name, and what only they need."""
    log = log_of(source)
    register_log(con, log, snapshot)
    rows = rows_of(log, as_of)
    con.execute(f'CREATE SCHEMA "{source}"')
    queries: dict[str, Callable[[], str]] = {
        "records": lambda: records(rows, base_url()),
        "versions": lambda: versions(rows),
        "changes": lambda: changes(rows),
        "quarantine": lambda: quarantine(rows, listing_rows_of(log, as_of), source),
    }
    for name, query in queries.items():
        if wanted(name):
            con.execute(f'CREATE VIEW "{source}".{name} AS {query()}')
    if wanted("runs"):
        con.register(f"_runs_{source}", runs())
        until = "" if as_of is None else f" WHERE finished_at <= TIMESTAMPTZ '{as_of.isoformat()}'"
        con.execute(f'CREATE VIEW "{source}".runs AS FROM _runs_{source}{until}')


def log_of(source: str) -> str:
    """The name under which a source's log lies beneath its views."""
    return f"_log_{source}"


def records(rows: str, base_url: str | None) -> str:
    """One row per record whose content is known and that is not gone."""
    more = ", ".join(f"n.{name}" for name in _more)
    origin = None if base_url is None else "/".join(base_url.split("/", 3)[:3])
    return f"""
        WITH n AS MATERIALIZED ({STATE.format(rows=rows)})
        SELECT n.endpoint, n.key, n.label, p.payload,
               CASE WHEN contains(n.locator, '://') THEN n.locator
                    WHEN starts_with(n.locator, '/') THEN {literal(origin)} || n.locator
                    ELSE {literal(base_url)} || '/' || n.locator END AS url,
               n.first_seen, n.changed_at, n.checked_at, n.state, {more}, n.payload_run AS run
        FROM n JOIN {rows} p ON p.endpoint = n.endpoint AND p.key = n.key AND p.run = n.payload_run AND p.kind = 'payload'
        WHERE n.state <> 'gone' AND n.version > 0
    """


def versions(rows: str) -> str:
    """Every observed content of every record: `valid_to` is null for the newest."""
    return f"""
        SELECT endpoint, key, version, label, payload, valid_from,
               lead(valid_from) OVER (PARTITION BY endpoint, key ORDER BY version) AS valid_to,
               source_version, etag, bytes, lower(hex(semantic_hash)) AS semantic_hash, run
        FROM (SELECT * FROM {rows} WHERE op = 'put'
              QUALIFY row_number() OVER (PARTITION BY endpoint, key, version ORDER BY valid_from) = 1)
    """


def changes(rows: str) -> str:
    """What happened to records: created, changed, renamed, reordered, missing, gone, revived."""
    return f"""
        WITH steps AS (
            SELECT *, lag(state) OVER w AS was, lag(label) OVER w AS old_label,
                   coalesce(max(version) OVER (PARTITION BY endpoint, key ORDER BY valid_from
                            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS old_version
            FROM (SELECT endpoint, key, op, kind, state, valid_from, run,
                         last_value(label IGNORE NULLS) OVER (PARTITION BY endpoint, key ORDER BY valid_from) AS label,
                         last_value(version IGNORE NULLS) OVER (PARTITION BY endpoint, key ORDER BY valid_from) AS version
                  FROM {rows} WHERE op <> 'check')
            WINDOW w AS (PARTITION BY endpoint, key ORDER BY valid_from)
        ), named AS (
            SELECT *, unnest(list_filter([
                CASE WHEN op = 'put' AND old_version = 0 THEN 'created'
                     WHEN op = 'put' AND version > old_version THEN 'changed'
                     WHEN op = 'put' AND was = 'present' THEN 'reordered' END,
                CASE WHEN op = 'put' AND old_version > 0 AND label IS DISTINCT FROM old_label THEN 'renamed' END,
                CASE WHEN state = 'missing' AND was = 'present' THEN 'missing'
                     WHEN state = 'gone' AND was <> 'gone' THEN 'gone'
                     WHEN state = 'present' AND was <> 'present' THEN 'revived' END
            ], lambda what: what IS NOT NULL)) AS change
            FROM steps
        )
        SELECT endpoint, key, label, change, old_label, version, valid_from AS observed_at, run FROM named
    """


def quarantine(rows: str, listings: str, source: str) -> str:
    """Answers that were set aside; `open` while the record (or the list, of which it is a page) was not read well since."""
    return f"""
        SELECT endpoint, key,
               (SELECT arg_max(label, named.valid_from) FILTER (label IS NOT NULL) FROM {rows} named
                WHERE named.endpoint = bad.endpoint AND named.key = bad.key) AS label,
               substr(reason, 13) AS reason, observed_at,
               NOT EXISTS (FROM {rows} later WHERE later.endpoint = bad.endpoint AND later.key = bad.key
                           AND later.valid_from > bad.valid_from AND later.checked_at IS NOT NULL) AS open,
               '{source}/quarantine/' || run || '/' || endpoint || '/' ||
               CASE WHEN length(url_encode(key)) <= 200 THEN url_encode(key) ELSE sha256(key) END || '.json' AS object, run
        FROM {rows} bad WHERE op = 'fail' AND starts_with(reason, 'quarantine: ')
        UNION ALL
        SELECT split_part(key, '/', 1) AS endpoint, split_part(key, '/', 2) AS key,
               'page ' || split_part(key, '/', 2) || ' of the list' AS label, reason, observed_at,
               NOT EXISTS (FROM {listings} later WHERE later.op = 'listed' AND later.valid_from > bad.valid_from
                           AND later.key || '{LIST_PAGES}' = split_part(bad.key, '/', 1)) AS open,
               '{source}/quarantine/' || run || '/' || key || '.json' AS object, run
        FROM {listings} bad WHERE op = 'fail'
    """
