"""What nobody needs any longer: files that no commit names, answers long understood, leftovers of dead runs.

Young things stay, whatever they are: a reader may have a replaced file open, and what a run has written is nobody's
until it commits. So do, at any age, what an unfinished plan can still be finished with, and what waits for a decision.
"""

from collections import defaultdict
from collections.abc import Collection
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from trawl.lake.log.sql import connect, listing_rows_of, register_log, rows_of
from trawl.lake.log.table import Snapshot
from trawl.lake.reading import views
from trawl.lake.source import SourceLake

RUNS_KEPT = timedelta(days=90)  # how long at least a run without a commit stays in the view `runs`

_ENDED = ("no-change", "failed", "aborted", "interrupted")


@dataclass(frozen=True, slots=True)
class Junk:
    """An object that may go, and what it is."""

    what: str
    path: str
    size: int


def junk(
    source: SourceLake,
    snapshot: Snapshot,
    now: datetime,
    retain: timedelta,
    adoptable: timedelta,
    held: Collection[str],
) -> list[Junk]:
    """All that may go. `adoptable`: the age up to which a plan can be finished; `held`: runs with news that wait."""
    before = now - retain
    plans = _by_run(source, "plans")
    dead = {run for run, items in plans.items() if _dead(snapshot, run, items, now - max(retain, adoptable))}
    needed = {*held, *(plans.keys() - dead)}
    recent = source.log.replaced_since(snapshot, before)
    found = [
        Junk("files that no commit names", source.log.path_of(file), file.size)
        for file, written in source.log.loose(snapshot)
        if written < before
        and file.path not in recent
        and not any(file.path.rpartition("/")[2].startswith(f"{run}-") for run in needed)
    ]
    found += [
        Junk("plans of dead runs", item["path"], item["size"])
        for run in sorted(dead)
        for item in sorted(plans[run], key=lambda item: item["path"].endswith("/plan.json"))
    ]
    wanted = answers_named(source, snapshot, "open")
    found += [
        Junk("quarantined answers that are out of date", item["path"], item["size"])
        for run, items in _by_run(source, "quarantine").items()
        for item in items
        if run not in needed and item["path"] not in wanted and item["last_modified"] < before
    ]
    committed = source.committed_runs(snapshot)
    for item in source.store.scan(f"{source.name}/runs"):
        run, _, status = item["path"].rpartition("/")[2].removesuffix(".json").partition(".")
        claims = not status and run not in committed and run not in needed
        old = item["last_modified"] < (before if claims else min(before, now - RUNS_KEPT))
        if old and (claims or status in _ENDED):
            found.append(Junk("manifests of runs without a commit", item["path"], item["size"]))
    found += [
        Junk("half-written files", item["path"], item["size"])
        for item in source.store.halves(source.name)
        if item["last_modified"] < before
    ]
    return found


def sweep(source: SourceLake, found: Collection[Junk]) -> None:
    """Delete it all. What is not there any longer is no error."""
    for item in found:
        if item.what == "half-written files":
            source.store.delete_half(item.path)
        else:
            source.store.delete(item.path)
    for folder in sorted({item.path.rpartition("/")[0] for item in found}, reverse=True):
        source.store.prune(folder)
        if not folder.endswith(("/runs", "/log")):
            source.store.prune(folder.rpartition("/")[0])


def _dead(snapshot: Snapshot, run: str, items: list[dict[str, Any]], before: datetime) -> bool:
    """Whether no run can go on with a plan: its run is in the log, or all of it is too old."""
    committed = snapshot.table.transaction_version(run) is not None
    return committed or all(item["last_modified"] < before for item in items)


def answers_named(source: SourceLake, snapshot: Snapshot, only: str = "true") -> set[str]:
    """The objects that rows of the view `quarantine` name; `only` is a condition on these."""
    with closing(connect()) as con:
        register_log(con, "log", snapshot)
        query = (
            f"SELECT object FROM ({views.quarantine(rows_of('log'), listing_rows_of('log'), source.name)}) WHERE {only}"
        )
        return {path for (path,) in con.execute(query).fetchall()}


def _by_run(source: SourceLake, folder: str) -> dict[str, list[dict[str, Any]]]:
    """The objects below a folder, by the run that they belong to."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for item in source.store.scan(f"{source.name}/{folder}"):
        found[item["path"].split("/")[2]].append(item)
    return found


def by_kind(found: Collection[Junk]) -> dict[str, dict[str, int]]:
    """How many objects of each kind, and their bytes."""
    counts: dict[str, dict[str, int]] = {}
    for item in found:
        count = counts.setdefault(item.what, {"files": 0, "bytes": 0})
        count["files"] += 1
        count["bytes"] += item.size
    return counts
