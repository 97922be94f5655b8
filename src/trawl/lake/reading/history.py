"""What happened to records, and to one record: the questions behind `trawl changes` and `trawl history`."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import fields
from datetime import datetime
from typing import Any

from trawl.lake.log.sql import STATE, connect, literal, register_log, rows_of
from trawl.lake.log.table import Snapshot
from trawl.model.records import Event, Kind, Op, Prior

from . import views
from .lake import Lake, Result

CHANGES = ("created", "changed", "renamed", "reordered", "missing", "gone", "revived")


def changes(
    lake: Lake,
    source: str,
    *,
    since: datetime | None = None,
    run: str | None = None,
    endpoints: Sequence[str] = (),
    kinds: Sequence[str] = (),
    each: int | None = None,
) -> Result:
    """Rows of the view `changes`, by kind: from an instant on, of one run, of some endpoints and kinds.

    `each` leaves only so many of each kind.
    """
    order = " ".join(f"WHEN '{kind}' THEN {place}" for place, kind in enumerate(CHANGES))
    place = "endpoint, try_cast(key AS BIGINT), key, observed_at"
    few = "" if each is None else f"QUALIFY row_number() OVER (PARTITION BY change ORDER BY {place}) <= {each}"
    chosen = _chosen(since, run, endpoints, kinds)
    return lake.query(f"FROM {_changes(source, run)} WHERE {chosen} {few} ORDER BY CASE change {order} END, {place}")


def count_changes(
    lake: Lake,
    source: str,
    *,
    since: datetime | None = None,
    run: str | None = None,
    endpoints: Sequence[str] = (),
    kinds: Sequence[str] = (),
) -> dict[str, dict[str, int]]:
    """How many changes there are, by kind and endpoint."""
    chosen = _chosen(since, run, endpoints, kinds)
    query = f"SELECT change, endpoint, count(*) AS n FROM {_changes(source, run)} WHERE {chosen} GROUP BY ALL"
    found: dict[str, dict[str, int]] = {kind: {} for kind in CHANGES}
    for row in lake.query(query).rows():
        found[row["change"]][row["endpoint"]] = row["n"]
    return {kind: counts for kind, counts in found.items() if counts}


def _changes(source: str, run: str | None) -> str:
    """The view; for one run only the history of the records that it touched: what it costs grows with the run."""
    if run is None:
        return f'"{source}".changes'
    rows = rows_of(views.log_of(source))
    touched = f"(SELECT endpoint, key FROM {rows} WHERE run = {literal(run)} AND op <> '{Op.CHECK}')"
    return f"({views.changes(f'(FROM {rows} SEMI JOIN {touched} USING (endpoint, key))')})"


def _chosen(since: datetime | None, run: str | None, endpoints: Sequence[str], kinds: Sequence[str]) -> str:
    conditions = ["true"]
    if since is not None:
        conditions.append(f"observed_at >= {literal(since)}")
    if run is not None:
        conditions.append(f"run = {literal(run)}")
    if endpoints:
        conditions.append(f"endpoint IN ({', '.join(map(literal, endpoints))})")
    if kinds:
        conditions.append(f"change IN ({', '.join(map(literal, kinds))})")
    return " AND ".join(conditions)


def last_changed(lake: Lake, source: str) -> str | None:
    """The last run that changed a record, if any did."""
    rows = list(lake.query(f'SELECT run FROM "{source}".changes ORDER BY observed_at DESC LIMIT 1').rows())
    return rows[0]["run"] if rows else None


def versions(lake: Lake, source: str, endpoint: str, key: str) -> list[dict[str, Any]]:
    """Every content of one record, oldest first."""
    place = f"endpoint = {literal(endpoint)} AND key = {literal(key)}"
    return list(lake.query(f'FROM "{source}".versions WHERE {place} ORDER BY version').rows())


def payloads(lake: Lake, source: str, wanted: Sequence[tuple[str, str, int]]) -> dict[tuple[str, str, int], str]:
    """The documents of some versions, by endpoint, key and version."""
    if not wanted:
        return {}
    values = ", ".join(f"({literal(e)}, {literal(k)}, {v})" for e, k, v in wanted)
    endpoints, keys = (", ".join(sorted({literal(each[place]) for each in wanted})) for place in (0, 1))
    rows = lake.query(
        f'SELECT endpoint, key, version, payload FROM "{source}".versions '
        f"WHERE endpoint IN ({endpoints}) AND key IN ({keys}) "
        f"AND (endpoint, key, version) IN (VALUES {values})"
    ).rows()
    return {(row["endpoint"], row["key"], row["version"]): row["payload"] for row in rows}


def events(snapshot: Snapshot | None, endpoint: str, key: str) -> list[dict[str, Any]]:
    """What happened to one record, oldest first: its changes, and the answers that were of no use.

    `change` is that of the view `changes`, or `failed` or `quarantined`; `reason` says why, where that was written.
    """
    with closing(connect()) as con:
        register_log(con, "log", snapshot)
        own = f"(SELECT * FROM {rows_of('log')} WHERE endpoint = {literal(endpoint)} AND key = {literal(key)})"
        query = f"""
            SELECT c.endpoint, c.key, c.label, c.change, c.old_label, c.version, c.observed_at, c.run,
                   r.missing_since, CASE WHEN r.refused >= r.missing_since THEN r.refused END AS refused_at,
                   r.reason, r.source_version
            FROM ({views.changes(own)}) c JOIN (
                SELECT *, last_value(refused_at IGNORE NULLS) OVER (ORDER BY valid_from) AS refused FROM {own}
            ) r ON r.valid_from = c.observed_at
            UNION ALL BY NAME
            SELECT endpoint, key, label,
                   CASE WHEN starts_with(reason, 'quarantine: ') THEN 'quarantined' ELSE 'failed' END AS change,
                   valid_from AS observed_at, run, missing_since, refused_at, reason, source_version
            FROM {own} WHERE op = '{Op.FAIL}'
            ORDER BY observed_at, change
        """
        return list(con.sql(query).to_arrow_table().to_pylist())


def standing(snapshot: Snapshot | None, endpoint: str, key: str) -> tuple[Prior, str | None] | None:
    """What a run would know of a record before it asks for it, and the document that is stored; None where nothing is."""
    with closing(connect()) as con:
        register_log(con, "log", snapshot)
        own = f"(SELECT * FROM {rows_of('log')} WHERE endpoint = {literal(endpoint)} AND key = {literal(key)})"
        found = con.sql(STATE.format(rows=own)).to_arrow_table().to_pylist()
        if not found:
            return None
        row = found[0]
        stored = con.execute(
            f"SELECT payload FROM {own} WHERE kind = '{Kind.PAYLOAD}' AND run = {literal(row['payload_run'])}"
        ).fetchone()
    known = {field.name: row[field.name] for field in fields(Prior) if field.name in row}
    prior = Prior(**known, event=Event.NONE, floor=row["valid_from"], stored_label=row["label"])
    return prior, None if stored is None else stored[0]
