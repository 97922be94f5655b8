"""Forgetting a record: it is erased from history, quarantine and files, and refused from then on."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from trawl.crawl.holds import pending_holds
from trawl.crawl.progress import count_of
from trawl.lake import Lake, LogFile, Traces, delete, traces, without
from trawl.model.config import ENDPOINT
from trawl.model.errors import ConfigurationError
from trawl.model.keys import mark_of
from trawl.transport import Clock, utc_now

from .upkeep import upkeep


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What was erased, or would be.

    Attributes:
        endpoints: the record's own endpoint and those of its children, whose records went with it.
        rows, files: rows of the log, and the committed files that were written anew without them.
        loose: files deleted that no commit named.
        answers: quarantined answers deleted.
        plans: unfinished plans given up: their shards may hold the record.
        remembered: whether it is refused from now on.
    """

    endpoints: list[str]
    key: str
    rows: int
    files: int
    loose: int
    answers: int
    plans: int
    remembered: bool


def forget(
    lake: Lake,
    name: str,
    endpoint: str,
    key: str,
    *,
    until_listed_again: bool = False,
    dry_run: bool = False,
    clock: Clock = utc_now,
) -> Forgotten | None:
    """Erase a record and its children. None where there is no trace of it.

    One fenced commit, then the old files are deleted. Killed anywhere, the same call goes on. Raises
    ConfigurationError while news that wait for a decision hold the record.
    """
    if not re.fullmatch(ENDPOINT, endpoint):
        return None
    with upkeep(lake, name, clock, dry_run=dry_run) as work:
        endpoints = _family(work.facts.get("parents", {}), endpoint)
        records = [(place, key) for place in endpoints]
        holds = pending_holds(work.source)
        found = traces(work.source, work.snapshot, records, {hold["run_id"] for hold in holds.values()})
        before: dict[str, list[str]] = work.facts.get("forgotten", {})
        mark = mark_of(endpoint, key)
        known = mark in before.get(endpoint, [])
        if not found.any and not known:
            return None
        if found.nothing and known and not until_listed_again:
            return _forgotten(endpoints, key, found, 0, remembered=True)
        _check_holds(work.source.name, holds, found.loose, key)
        marks = {*before.get(endpoint, [])} - {mark} | (set() if until_listed_again else {mark})
        plans = work.source.runs.plans() if dry_run else work.source.runs.drop_plans()
        if not dry_run:
            files = without(work.source, work.run, found, records)
            facts = work.facts | {"forgotten": before | {endpoint: sorted(marks)}}
            note = f"{count_of(found.rows, 'row')} of {', '.join(endpoints)} erased"
            work.commit_run("forget", facts, files, found.files, note=note)
            delete(work.source, found)
        return _forgotten(endpoints, key, found, len(plans), remembered=not until_listed_again)


def _family(parents: Mapping[str, str], endpoint: str) -> list[str]:
    """An endpoint and all that hang on it: a child's key is its parent's."""
    found = [endpoint]
    for name in found:
        found += sorted(child for child, parent in parents.items() if parent == name)
    return found


def _check_holds(source: str, holds: Mapping[str, dict[str, Any]], loose: Iterable[LogFile], key: str) -> None:
    paths = {file.path for file in loose}
    for name, hold in holds.items():
        if any(file["path"] in paths for file in hold["files"]):
            raise ConfigurationError(
                f"held changes of {name} contain the record {key}",
                remedy=f"accept or reject them first: trawl run {source} --reject {name} (or --accept {name})",
            )


def _forgotten(endpoints: list[str], key: str, found: Traces, plans: int, *, remembered: bool) -> Forgotten:
    return Forgotten(
        endpoints, key, found.rows, len(found.files), len(found.loose), len(found.answers), plans, remembered
    )
