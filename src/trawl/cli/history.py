"""`trawl history`: what happened to one record."""

from datetime import datetime
from typing import Annotated, Any

from cyclopts import Parameter

from trawl.lake.reading.history import events, payloads, versions
from trawl.model.canonical import parse
from trawl.model.diff import diff

from .common import JsonOption, LakeOption, open_lake, out, print_json
from .differences import show_differences
from .text import verbatim

_SHOWN = 40  # differences of one version


def history(
    source: str,
    endpoint: str,
    key: Annotated[str, Parameter(allow_leading_hyphen=True)],
    /,
    *,
    limit: int = 50,
    lake: LakeOption = None,
    json_output: JsonOption = False,
) -> None:
    """Show every change of a record, with the differences between versions.

    ```
    trawl history pokeapi pokemon 25
    trawl history pokeapi pokemon pikachu
    ```

    Parameters
    ----------
    source
        A source that the lake holds.
    endpoint
        One of the source's endpoints.
    key
        The record's key, or its label (any case).
    limit
        Show so many events, the newest (0: all).
    """
    found = open_lake(lake)
    key = found.find(source, endpoint, key)
    happened = events(found.source(source).log.snapshot(), endpoint, key)
    if json_output:
        print_json({"changes": happened, "versions": versions(found, source, endpoint, key)})
        return
    shown = happened[-limit:] if limit > 0 else happened
    label = next((event["label"] for event in reversed(happened) if event["label"]), None)
    out.print(f"[bold]{source} {endpoint} {verbatim(key)}[/]" + (f" {verbatim(label)}" if label else ""))
    if len(shown) < len(happened):
        out.print(f"[dim]{len(happened) - len(shown):,} earlier events: --limit 0 shows all[/]")
    wanted = {
        (endpoint, key, version)
        for event in shown
        if event["change"] == "changed"
        for version in (event["version"] - 1, event["version"])
    }
    documents = payloads(found, source, sorted(wanted))
    for event in shown:
        out.print(f"[bold]{_time(event['observed_at'])}[/] {_story(event)} [dim](run {event['run']})[/]")
        if event["change"] == "changed":
            old, new = (parse(documents[endpoint, key, v].encode()) for v in (event["version"] - 1, event["version"]))
            show_differences(list(diff(old, new)), limit=_SHOWN)


def _story(event: dict[str, Any]) -> str:
    """What happened, and why, in a few words."""
    change = event["change"]
    match change:
        case "changed":
            return f"[yellow]changed[/] to version {event['version']}"
        case "created":
            return "[green]created[/]"
        case "renamed":
            return f"[cyan]renamed[/] {verbatim(str(event['old_label']))} -> {verbatim(str(event['label']))}"
        case "reordered":
            return "reordered: only lists whose order means nothing"
        case "missing":
            refused = ", and the API refuses it" if event["refused_at"] else ""
            return f"[magenta]missing[/]: no longer in the list{refused}"
        case "gone":
            since = (
                f"not listed since {_time(event['missing_since'])}" if event["missing_since"] else "its parent is gone"
            )
            refused = f", refused since {_time(event['refused_at'])}" if event["refused_at"] else ""
            return f"[red]gone[/]: {since}{refused}"
        case "revived":
            return "[green]revived[/]: back in the list"
        case _:
            reason = (event["reason"] or "").removeprefix("quarantine: ")
            return f"[red]{change}[/]: {verbatim(reason)}"


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"
