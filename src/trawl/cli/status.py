"""`trawl status`: what the lake holds and what waits."""

from datetime import UTC, datetime
from typing import Any

from trawl.crawl import count_of, pending_holds
from trawl.lake import Lake

from .common import JsonOption, LakeOption, open_lake, out, print_json, table
from .text import one_line, verbatim


def status(
    *,
    lake: LakeOption = None,
    json_output: JsonOption = False,
) -> None:
    """Show each source's records, its last runs, and what waits: holds, unfinished plans, quarantine, a running writer.

    ```
    trawl status --lake ./lake
    ```
    """
    found = open_lake(lake)
    facts = {name: _status(found, name) for name in found.sources()}
    if json_output:
        print_json({"lake": found.url, "sources": facts})
        return
    out.print(f"lake [bold]{verbatim(found.url)}[/]")
    for name, fact in facts.items():
        _show(name, fact)


def _status(lake: Lake, name: str) -> dict[str, Any]:
    source = lake.source(name)
    # One after the other: what a question has made, the next one can use.
    counts, quarantined, runs = (
        list(lake.query(sql).rows())
        for sql in (
            f'SELECT state, count(*) AS n FROM "{name}".records GROUP BY state ORDER BY state',
            f'SELECT count(*) AS n FROM "{name}".quarantine WHERE open',
            (
                f'SELECT run_id, mode, status, started_at, duration_s, requests, note FROM "{name}".runs '
                "ORDER BY started_at DESC LIMIT 5"
            ),
        )
    )
    snapshot = source.log.snapshot()
    facts = source.facts(snapshot)
    holder = source.holder(datetime.now(UTC))
    return {
        "records": {row["state"]: row["n"] for row in counts},
        "quarantined": sum(row["n"] for row in quarantined),
        "source_version": facts.get("token", {}).get("value"),
        "files": None if snapshot is None else len(snapshot.files()),
        "runs": runs,
        "held": {name: hold["reason"] for name, hold in pending_holds(source).items()},
        "unread": facts.get("unread", {}),
        "unfinished": [plan.run for plan in source.runs.plans()],
        "writing": None if holder is None else str(holder),
    }


def _show(name: str, fact: dict[str, Any]) -> None:
    records = ", ".join(f"{number:,} {state}" for state, number in fact["records"].items()) or "no records yet"
    out.print(f"\n[bold]{name}[/]: {records}; {fact['files'] or 0} files in the log")
    if fact["source_version"]:
        out.print(f"  version {verbatim(fact['source_version'])}")
    for endpoint, reason in fact["held"].items():
        out.print(
            f"  [yellow]held[/] {verbatim(endpoint)}: {verbatim(reason)} "
            f"(trawl run {name} --accept {verbatim(endpoint)}, or --reject {verbatim(endpoint)})"
        )
    for endpoint, unread in fact["unread"].items():
        times = count_of(unread["runs"], "run")
        out.print(
            f"  [red]degraded[/] the list of {endpoint} could not be read in {times}: {verbatim(one_line(unread['reason']))}"
        )
    for run in fact["unfinished"]:
        out.print(f"  [yellow]unfinished[/] run {verbatim(run)}: the next run with the same options continues it")
    if fact["quarantined"]:
        out.print(f'  [yellow]quarantined[/] {fact["quarantined"]:,} (trawl query "FROM {name}.quarantine WHERE open")')
    if fact["writing"]:
        out.print(f"  [green]writing now:[/] {verbatim(fact['writing'])}")
    if fact["runs"]:
        columns = ["run", "mode", "status", "started", "seconds", "requests"]
        out.print(table(columns, [_run_row(run) for run in fact["runs"]]))
    for run in fact["runs"]:
        if run["note"]:
            out.print(f"[dim]{verbatim(run['run_id'])}:[/] {verbatim(one_line(run['note']))}")


def _run_row(run: dict[str, Any]) -> list[Any]:
    started, seconds = run["started_at"], run["duration_s"]  # none where the manifest is damaged
    when = f"{started:%Y-%m-%d %H:%M}" if started else ""
    return [run["run_id"], run["mode"], run["status"], when, round(seconds or 0, 1), run["requests"]]
