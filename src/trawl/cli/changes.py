"""`trawl changes`: what changed since a time, or in the last run that changed something."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import islice
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from trawl.lake import Lake
from trawl.lake.reading.finding import check_endpoints
from trawl.lake.reading.history import changes as changed_records
from trawl.lake.reading.history import count_changes, last_changed, payloads
from trawl.model.canonical import parse
from trawl.model.diff import Difference
from trawl.model.diff import diff as compare
from trawl.model.values import parse_duration

from .common import (
    EndpointOption,
    Flag,
    JsonOption,
    LakeOption,
    line_width,
    open_lake,
    out,
    parse_time,
    print_json,
)
from .differences import show_differences
from .text import shorten, verbatim

_DIFFERENCES = 8  # of one record
_AT_ONCE = 128  # records whose documents are compared together
_STYLES = {
    "created": "green",
    "revived": "green",
    "changed": "yellow",
    "renamed": "cyan",
    "missing": "magenta",
    "gone": "red",
}
_LAST = {"last", "last run", "last-run"}

Change = Literal["created", "changed", "renamed", "reordered", "missing", "gone", "revived"]


def changes(
    source: str,
    /,
    *,
    since: str = "last run",
    endpoint: EndpointOption = (),
    kind: Annotated[tuple[Change, ...], Parameter(negative=(), show_default=False)] = (),
    diff: Annotated[Flag, Parameter(name="--diff")] = False,
    limit: int = 20,
    lake: LakeOption = None,
    json_output: JsonOption = False,
) -> None:
    """Show what changed: the counts, then each record.

    ```
    trawl changes pokeapi
    trawl changes pokeapi --since 7d --kind renamed --kind gone
    trawl changes pokeapi --since 2026-08-03 --endpoint pokemon --diff
    ```

    Parameters
    ----------
    source
        A source that the lake holds.
    since
        From a time (2026-08-03) or so long ago (24h, 7d) until now; or in the last run that changed anything.
    kind
        Only this kind of change; repeatable.
    diff
        Show what is different in each changed record.
    limit
        Show so many records of each kind (0: all); JSON, a line per change, holds all of them.
    """
    found = open_lake(lake)
    check_endpoints(found.held(source).log.snapshot(), source, endpoint)
    run = last_changed(found, source) if since in _LAST else None
    start = None if since in _LAST else _start(since)
    if since in _LAST and run is None:
        if not json_output:
            out.print("nothing has changed yet")
        return
    chosen: dict[str, Any] = {"since": start, "run": run, "endpoints": endpoint, "kinds": kind}
    if json_output:
        rows: Iterable[dict[str, Any]] = changed_records(found, source, **chosen).rows()
        for row, differences in _with_differences(found, source, rows) if diff else ((row, None) for row in rows):
            more = {} if differences is None else {"differences": [asdict(item) for item in differences]}
            print_json(row | more)
        return
    counts = count_changes(found, source, **chosen)
    where = f"in run {run}" if run else f"since {_told(start)}"
    out.print(f"[bold]{source}[/]: {_total(counts)} {where}")
    _show_counts(counts)
    rows = changed_records(found, source, **chosen, each=limit if limit > 0 else None).rows()
    shown: dict[str, int] = defaultdict(int)
    before = None
    for row, differences in _with_differences(found, source, rows) if diff else ((row, []) for row in rows):
        change = row["change"]
        if change != before:
            _more(counts, shown, before)
            out.print(f"\n[bold {_STYLES.get(change, '')}]{change}[/]" if change in _STYLES else f"\n[bold]{change}[/]")
        before = change
        shown[change] += 1
        out.print(f"  {row['endpoint']} {verbatim(row['key'])} {_label(row)}".rstrip())
        show_differences(differences or [], limit=_DIFFERENCES, indent="    ")
    _more(counts, shown, before)


def _start(text: str) -> datetime:
    """An instant, or one that lies so long ago."""
    try:
        return datetime.now(UTC) - parse_duration(text)
    except ValueError:
        moment = parse_time(text, "--since", more=", or so long ago: 24h, 7d")
        assert moment is not None
        return moment


def _told(moment: datetime | None) -> str:
    return "" if moment is None else moment.isoformat(" ", "seconds").replace("+00:00", " UTC")


def _show_counts(counts: dict[str, dict[str, int]]) -> None:
    width = max((len(kind) for kind in counts), default=0)
    for kind, endpoints in counts.items():
        number = sum(endpoints.values())
        largest = sorted(endpoints.items(), key=lambda item: (-item[1], item[0]))
        names = ", ".join(f"{name} {count:,}" for name, count in largest)
        room = line_width() - width - len("  " * 3) - 7
        out.print(f"  {kind.ljust(width)}  {number:>7,}  [dim]{shorten(names, room)}[/]")


def _total(counts: dict[str, dict[str, int]]) -> str:
    number = sum(sum(endpoints.values()) for endpoints in counts.values())
    return "no changes" if not number else "1 change" if number == 1 else f"{number:,} changes"


def _more(counts: dict[str, dict[str, int]], shown: dict[str, int], change: str | None) -> None:
    if change is not None and (left := sum(counts[change].values()) - shown[change]) > 0:
        out.print(f"  [dim]and {left:,} more; --limit 0 shows all[/]")


def _label(row: dict[str, Any]) -> str:
    label = verbatim(row["label"] or "")
    return f"{verbatim(row['old_label'] or '')} -> {label}" if row["change"] == "renamed" else label


def _with_differences(
    lake: Lake, source: str, rows: Iterable[dict[str, Any]]
) -> Iterator[tuple[dict[str, Any], list[Difference] | None]]:
    """Each change, and for a changed record how its document differs from the version before."""
    left = iter(rows)
    while chunk := list(islice(left, _AT_ONCE)):
        places = {
            (row["endpoint"], row["key"], version)
            for row in chunk
            if row["change"] == "changed"
            for version in (row["version"] - 1, row["version"])
        }
        documents = payloads(lake, source, sorted(places))
        for row in chunk:
            if row["change"] != "changed":
                yield row, None
                continue
            old, new = (
                parse(documents[row["endpoint"], row["key"], version].encode())
                for version in (row["version"] - 1, row["version"])
            )
            yield row, list(compare(old, new))
