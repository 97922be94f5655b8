"""A world that misbehaves, in few words: its faults, its referee, its clock and a lake beside it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.crawling import Clock, contents, pokeapi, run
from trawl.crawl import Report
from trawl.model.config import SourceConfig
from trawl.replica import (
    Document,
    Faults,
    GeneratedCatalogue,
    Listing,
    Referee,
    RefereedApp,
    Release,
    ReplicaApp,
    faulty,
    running,
)
from trawl.replica.catalogue import as_document

LONGEST = 0.5
"""Seconds that a client of these tests keeps to a cool-down at most, and that the referee holds it to."""

HELD = ("evolution-chain", "item", "location-area", "machine", "move", "move-ailment", "pokemon", "pokemon-color",
        "pokemon-encounters", "pokemon-species")  # fmt: skip
"""The endpoints that a generated world has."""

QUICK = {"max_backoff": "0.1s", "max_retry_after": f"{LONGEST}s", "timeout": "5s", "attempts": 10}
Documents = dict[tuple[str, str], Any]


def quick(**changes: Any) -> SourceConfig:
    """The shipped source, its waits short."""
    return pokeapi(**{"requests": QUICK} | changes)


def documents(catalogue: Any) -> Documents:
    """All that a catalogue holds, asked of nobody."""
    found: Documents = {}
    for endpoint in catalogue.endpoints:
        listing = catalogue.find(endpoint)
        for entry in listing.entries[: len(listing.entries)]:
            key = json.loads(entry)["url"].rstrip("/").rpartition("/")[2]
            for name, path in (
                (endpoint, f"{endpoint}/{key}"),
                (f"{endpoint}-encounters", f"{endpoint}/{key}/encounters"),
            ):
                if (document := catalogue.find(path)) is not None:
                    found[name, key] = json.loads(document.body)
    return found


@dataclass
class Stage:
    """A faulty world, a lake, and a clock that both go by."""

    url: str
    app: ReplicaApp
    referee: Referee
    clock: Clock
    lake: Path
    reports: list[Report] = field(default_factory=list)

    def crawl(self, source: SourceConfig | None = None, **options: Any) -> Report:
        report = run(self.lake, self.url, source or quick(), clock=self.clock, **options)
        self.reports.append(report)
        return report


@contextmanager
def staged(
    lake: Path,
    *,
    before: Any = None,
    catalogue: Any = None,
    jitter: float = 0.3,
    longest: float = LONGEST,
    **faults: Any,
) -> Iterator[Stage]:
    clock = Clock()
    app = ReplicaApp(catalogue or day(0))
    referee = Referee(jitter=jitter, longest=longest, clock=clock)
    old = None if before is None else ReplicaApp(before)
    world = faulty(app, Faults(**faults), before=old, clock=clock, announce=referee.announced)
    with running(RefereedApp(world, referee)) as url:
        yield Stage(url, app, referee, clock, lake)


def day(number: int) -> GeneratedCatalogue:
    return GeneratedCatalogue(200, seed=7, day=number)


class Days:
    """A deploy of a tiny API with one list; what is `unlisted` answers nevertheless, and documents are `of` a deploy."""

    def __init__(self, deploy: int, keys: range, *, unlisted: tuple[int, ...] = (), of: int | None = None) -> None:
        self.release = Release(hash=f"d{deploy}", deploy_date=str(1_785_542_400 + deploy * 86_400))
        self.endpoints = frozenset({"stat"})
        self.keys, self.unlisted = keys, unlisted
        self.of = deploy if of is None else of

    def find(self, path: str) -> Document | Listing | None:
        if path == "meta":
            return as_document(
                json.dumps({"hash": self.release.hash, "deploy_date": self.release.deploy_date}).encode()
            )
        if path == "stat":
            entries = [
                f'{{"name":"n{key}","url":"https://pokeapi.co/api/v2/stat/{key}/"}}'.encode() for key in self.keys
            ]
            return Listing(len(entries), entries)
        key = path.removeprefix("stat/")
        known = key.isdecimal() and (int(key) in self.keys or int(key) in self.unlisted)
        return as_document(f'{{"id":{key},"deploy":{self.of}}}'.encode()) if known else None


STAT = {"endpoints": {"stat": {}}}
PAGED = {"endpoints": {"stat": {"list": {"pagination": {"kind": "offset", "limit": 5}}}}}


def keys(lake: Path) -> set[int]:
    return {int(key) for _, key in contents(lake)}
