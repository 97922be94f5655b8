"""`trawl history`: what happened to one record."""

import json
from typing import Annotated, Any

from cyclopts import Parameter
from rich.markup import escape

from trawl.lake import Lake
from trawl.model.canonical import parse
from trawl.model.diff import Difference, diff
from trawl.model.errors import ConfigurationError

from .common import LakeOption, open_lake, out, shorten

_MARKS = {"added": "[green]+", "removed": "[red]-", "changed": "[yellow]~", "reordered": "[dim]="}
_SHOWN = 40  # differences of one version


def history(
    source: str,
    endpoint: str,
    key: str,
    *,
    lake: LakeOption = None,
    json_output: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> None:
    """Show every change of a record, and what was different in each version.

    ```
    trawl history pokeapi pokemon 25
    trawl history pokeapi pokemon pikachu
    ```

    Parameters
    ----------
    source
        A source that the lake holds.
    endpoint
        One of its endpoints.
    key
        The record's key, or its label (any case).
    json_output
        Print one JSON object.
    """
    found = open_lake(lake)
    key = find_key(found, source, endpoint, key)
    changes = list(_rows(found, source, "changes", endpoint, key, "observed_at"))
    versions = list(_rows(found, source, "versions", endpoint, key, "version"))
    if json_output:
        print(json.dumps({"changes": changes, "versions": versions}, default=str))
        return
    contents = {version["version"]: parse(version["payload"].encode()) for version in versions}
    for change in changes:
        when, label = f"{change['observed_at']:%Y-%m-%d %H:%M:%S}", escape(change["label"] or key)
        out.print(f"[bold]{when}[/] {change['change']} {label} [dim](run {change['run']})[/]")
        if change["change"] == "changed":
            _show(list(diff(contents[change["version"] - 1], contents[change["version"]])))


def find_key(lake: Lake, source: str, endpoint: str, wanted: str) -> str:
    """A record's key by its key or its label. Raises ConfigurationError with the candidates where it is not one."""
    if source not in lake.sources():
        raise ConfigurationError(
            f"the lake holds no source {source!r}", remedy=f"it holds: {', '.join(lake.sources()) or 'none'}"
        )
    place = f"endpoint = {_quoted(endpoint)}"
    exact = f"SELECT DISTINCT key, label FROM {source}.changes WHERE {place} AND key = {_quoted(wanted)}"
    named = (
        f"SELECT DISTINCT key, label FROM {source}.changes WHERE {place} AND lower(label) = lower({_quoted(wanted)})"
    )
    for query in (exact, named):
        keys = {row["key"]: row["label"] for row in lake.query(query).rows()}
        if len(keys) == 1:
            return str(next(iter(keys)))
        if keys:
            raise ConfigurationError(
                f"{wanted!r} names several records", remedy=f"use a key: {', '.join(sorted(keys))}"
            )
    raise ConfigurationError(f"{source}/{endpoint} has no record {wanted!r}", remedy="give its key or its label")


def _rows(lake: Lake, source: str, view: str, endpoint: str, key: str, order: str) -> Any:
    query = f"FROM {source}.{view} WHERE endpoint = {_quoted(endpoint)} AND key = {_quoted(key)} ORDER BY {order}"
    return lake.query(query).rows()


def _show(differences: list[Difference]) -> None:
    for item in differences[:_SHOWN]:
        values = [escape(shorten(json.dumps(v, ensure_ascii=False, default=str), 60)) for v in (item.old, item.new)]
        text = {
            "added": values[1],
            "removed": values[0],
            "changed": f"{values[0]} -> {values[1]}",
            "reordered": "another order",
        }[item.kind]
        out.print(f"  {_MARKS[item.kind]} {escape(item.path)}[/]: {text}")
    if len(differences) > _SHOWN:
        out.print(f"  [dim]and {len(differences) - _SHOWN:,} more[/]")


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
