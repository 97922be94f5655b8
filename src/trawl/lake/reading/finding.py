"""Which record is meant: by its key, or by a label that it has or had."""

from collections.abc import Iterable, Sequence
from contextlib import closing
from difflib import get_close_matches
from typing import Any

from trawl.lake.log.sql import connect, literal, register_log, rows_of
from trawl.lake.log.table import Snapshot
from trawl.model.errors import ConfigurationError

_NEAR = 0.8  # of 1: how alike a name must be to be offered in place of another
_OFFERED = 8


def find_key(snapshot: Snapshot | None, endpoint: str, wanted: str) -> str | None:
    """The key of the record with this key, else with this label (in any case), else that once had it; None for none.

    Raises ConfigurationError with the candidates where a label names several.
    """
    with closing(connect()) as con:
        _name_records(con, snapshot, endpoint)
        name = literal(wanted)
        for condition in (
            f"key = {name}",
            f"lower(label) = lower({name})",
            f"list_contains(labels, lower({name}))",
        ):
            found = con.execute(f"SELECT key, label FROM named WHERE {condition} ORDER BY key LIMIT 100").fetchall()
            if len(found) > 1:
                raise several(endpoint, wanted, found)
            if found:
                return str(found[0][0])
    return None


def near_records(snapshot: Snapshot | None, endpoint: str, wanted: str) -> list[tuple[str, str | None]]:
    """Keys and labels of the records whose label or key is most like a word."""
    with closing(connect()) as con:
        _name_records(con, snapshot, endpoint)
        word = f"lower({literal(wanted)})"
        return con.execute(f"""
            SELECT key, label FROM (
                SELECT key, label, greatest(jaro_winkler_similarity(lower(coalesce(label, '')), {word}),
                                            jaro_winkler_similarity(lower(key), {word})) AS likeness FROM named)
            WHERE likeness >= {_NEAR} ORDER BY likeness DESC, key LIMIT 5
        """).fetchall()


def several(endpoint: str, wanted: str, found: Sequence[tuple[str, str | None]]) -> ConfigurationError:
    """The error for a word that names more than one record."""
    return ConfigurationError(f"{endpoint}: {wanted!r} names several records", remedy=f"use a key: {_listed(found)}")


def nobody(endpoint: str, wanted: str, near: Sequence[tuple[str, str | None]]) -> ConfigurationError:
    """The error for a word that names no record."""
    hint = f"did you mean: {_listed(near)}?" if near else "give its key or its label"
    return ConfigurationError(f"{endpoint} has no record {wanted!r}", remedy=hint)


def check_endpoints(snapshot: Snapshot | None, source: str, names: Iterable[str]) -> None:
    """Raise ConfigurationError for an endpoint of which the lake holds nothing, with those that are near."""
    held = set() if snapshot is None else set(snapshot.files()["partition.endpoint"].to_pylist()) - {"-"}
    for name in names:
        if name not in held:
            near = get_close_matches(name, held, n=3) or sorted(held)
            raise ConfigurationError(
                f"the lake holds no endpoint {name!r} of {source}", remedy=f"it holds: {', '.join(near) or 'none yet'}"
            )


def _name_records(con: Any, snapshot: Snapshot | None, endpoint: str) -> None:
    """A table `named`: each record of the endpoint with its label, and all labels that it ever had."""
    register_log(con, "log", snapshot)
    con.execute(f"""
        CREATE TEMP TABLE named AS
        WITH each AS (SELECT key, label, max(valid_from) AS seen FROM {rows_of("log")}
                      WHERE endpoint = {literal(endpoint)} GROUP BY ALL)
        SELECT key, arg_max(label, seen) FILTER (label IS NOT NULL) AS label,
               list(lower(label)) FILTER (label IS NOT NULL) AS labels
        FROM each GROUP BY key
    """)


def _listed(found: Sequence[tuple[str, str | None]]) -> str:
    """Records for a sentence: `25 (pikachu), 26 (raichu) and 3 more`."""
    shown = ", ".join(key if label is None else f"{key} ({label})" for key, label in found[:_OFFERED])
    return shown if len(found) <= _OFFERED else f"{shown} and {len(found) - _OFFERED} more"
