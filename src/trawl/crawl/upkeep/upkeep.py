"""What all upkeep of a lake stands on: one source of it, at one moment, under the source's lease."""

import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from trawl.crawl.report import EndpointReport, Report
from trawl.lake import Lake, LogFile, Snapshot, SourceLake
from trawl.lake.runs.lease import Lease
from trawl.model.errors import ConfigurationError, LakeError
from trawl.transport import Clock


def run_id(started: datetime) -> str:
    """A run's name: ids sort as their runs began, to the millisecond."""
    return f"{started:%Y%m%dT%H%M%S}{started.microsecond // 1000:03d}-{secrets.token_hex(3)}"


@dataclass(frozen=True, slots=True)
class Upkeep:
    """One source's part of a lake while it is worked on. Without a lease (a dry run) nothing can be committed."""

    run: str
    started_at: datetime
    source: SourceLake
    snapshot: Snapshot
    facts: dict[str, Any]
    lease: Lease | None
    clock: Clock

    def commit(
        self,
        files: Sequence[LogFile] = (),
        removed: Sequence[LogFile] = (),
        *,
        rearranged: bool = False,
    ) -> None:
        """One commit, fenced."""
        if self.lease is None:
            raise LakeError("a dry run commits nothing")
        self.lease.check()
        self.source.log.commit(self.snapshot, self.run, files, removed, rearranged=rearranged)

    def commit_run(
        self,
        mode: str,
        facts: dict[str, Any],
        files: Sequence[LogFile] = (),
        removed: Sequence[LogFile] = (),
        *,
        endpoints: Mapping[str, EndpointReport] | None = None,
        note: str | None = None,
    ) -> Report:
        """A commit that is a run like any other: with a manifest, and with `facts` that the next one builds on."""
        name, found = self.source.name, dict(endpoints or {})
        report = Report(self.run, name, mode, "done", self.started_at, self.clock(), found, note=note)
        self.source.runs.save_manifest(report.to_dict() | {"committed": True, "holds": {}})
        writer = self.source.log.writer(self.run, "run")
        self.source.write_run(writer, self.snapshot, self.run, self.started_at, facts)
        self.commit([*files, *writer.close()], removed)
        return report


@contextmanager
def upkeep(lake: Lake, name: str, clock: Clock, *, dry_run: bool = False) -> Iterator[Upkeep]:
    """Open a source of a lake for work, under its lease. Raises LeaseHeld while a run is writing it."""
    source, started = lake.held(name), clock()
    with lake.faults():
        if source.log.snapshot() is None:  # nothing is written where nothing is: the folder may be somebody else's
            raise ConfigurationError(f"the lake {lake.url} holds nothing of {name!r} yet", remedy="crawl it first")
    run = run_id(started)
    lease = None if dry_run else source.lease(run, clock)
    try:
        if lease is not None:
            lease.take()
        with lake.faults():
            snapshot = source.log.snapshot()
            assert snapshot is not None
            yield Upkeep(run, started, source, snapshot, source.facts(snapshot), lease, clock)
    finally:
        if lease is not None:
            lease.release()
