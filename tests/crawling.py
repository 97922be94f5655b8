"""Crawling and reading lakes in tests, in few words."""

import asyncio
import json
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from trawl.crawl import CrawlOptions, Report, crawl
from trawl.lake import Lake
from trawl.model.config import SourceConfig
from trawl.replica import GeneratedCatalogue
from trawl.sources import load_source

COUNTS = ("new", "changed", "reordered", "missing", "gone", "revived", "quarantined", "failed")


@cache
def generated(records: int, *, seed: int, day: int) -> GeneratedCatalogue:
    """A generated day that computes each document once."""
    found = GeneratedCatalogue(records, seed=seed, day=day)
    found.find = cache(found.find)  # type: ignore[method-assign]
    return found


class Clock:
    """Real time, moved forward at will; no two calls give the same instant."""

    def __init__(self) -> None:
        self.ahead = timedelta()
        self._last = datetime.min.replace(tzinfo=UTC)

    def __call__(self) -> datetime:
        now = max(datetime.now(UTC) + self.ahead, self._last + timedelta(microseconds=1))
        self._last = now
        return now

    def move(self, **by: float) -> None:
        self.ahead += timedelta(**by)


def run(
    lake: Lake | Path | str,
    url: str,
    source: SourceConfig | None = None,
    *,
    clock: Any = None,
    **options: Any,
) -> Report:
    """One run against a world, without a rate limit."""
    options.setdefault("rate", "unlimited")
    target = lake if isinstance(lake, Lake) else Lake(lake)
    more = {} if clock is None else {"clock": clock}
    return asyncio.run(crawl(source or pokeapi(), target, CrawlOptions(base_url=url, **options), **more))


def pokeapi(**changes: Any) -> SourceConfig:
    """The shipped source, with fields changed; the change may reach into `defaults` as a mapping."""
    source = load_source("pokeapi")
    if not changes:
        return source
    return SourceConfig.model_validate(source.model_dump(mode="json", exclude_unset=False) | changes)


def without_token() -> SourceConfig:
    """A copy of the shipped source without its version token."""
    return pokeapi(version_token=None)


def ask(lake: Path | str | Lake, sql: str, **more: Any) -> list[dict[str, Any]]:
    return list((lake if isinstance(lake, Lake) else Lake(lake)).query(sql, **more).rows())


def contents(lake: Path | str | Lake, **more: Any) -> dict[tuple[str, str], Any]:
    """The present records, parsed exactly."""
    rows = ask(lake, "SELECT endpoint, key, payload FROM pokeapi.records WHERE state = 'present'", **more)
    found = {(row["endpoint"], row["key"]): json.loads(row["payload"]) for row in rows}
    assert len(found) == len(rows), "a record appears twice"
    return found


def changes_of(lake: Path | str | Lake, run_id: str) -> dict[str, set[tuple[str, str]]]:
    """What a run's rows say, by kind of change."""
    found: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for row in ask(lake, f"SELECT endpoint, key, change FROM pokeapi.changes WHERE run = '{run_id}'"):
        found[row["change"]].add((row["endpoint"], row["key"]))
    return found


def rows_written(lake: Path | str | Lake, run_id: str) -> dict[str, int]:
    """How many rows of each operation a run has in the log (through no view: straight from the table)."""
    import pyarrow.compute as pc

    store = lake if isinstance(lake, Lake) else Lake(lake)
    snapshot = store.source("pokeapi").log.snapshot()
    assert snapshot is not None
    table = snapshot.dataset().to_table(columns=["op"], filter=pc.field("run") == run_id)
    counts: dict[str, int] = {}
    for op in table["op"].to_pylist():
        counts[op] = counts.get(op, 0) + 1
    return counts


def count(report: Report) -> dict[str, int]:
    return {name: report.total(name) for name in COUNTS if report.total(name)}
