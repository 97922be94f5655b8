"""Maintenance under the source's lease, so that it and a crawl never meet."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

from trawl.crawl.holds import pending_holds
from trawl.crawl.planning import ADOPTABLE
from trawl.lake import Junk, Lake, by_kind, fold, foldable, junk, sweep
from trawl.transport import Clock, utc_now

from .upkeep import Upkeep, upkeep

RETAIN = timedelta(days=7)  # longer than any run, or plan that waits to be finished


@dataclass(frozen=True, slots=True)
class Maintained:
    """What maintenance did, or would do.

    Attributes:
        files_joined: the log's files that were rewritten, or would be.
        removed: what was deleted, by kind: `files` and `bytes`.
    """

    files_before: int
    files_after: int
    rows_folded: int
    files_joined: int
    removed: dict[str, dict[str, int]]


def maintain(
    lake: Lake,
    name: str,
    *,
    retain: timedelta = RETAIN,
    dry_run: bool = False,
    say: Callable[[str], None] | None = None,
    clock: Clock = utc_now,
) -> Maintained:
    """Fold and compact one source of a lake, then delete what nobody has needed for `retain`.

    Raises LeaseHeld while a run is writing it.
    """
    with upkeep(lake, name, clock, dry_run=dry_run) as work:
        log = work.source.log
        if dry_run:
            files = len(work.snapshot.files())
            return Maintained(files, files, 0, foldable(work.snapshot), by_kind(_junk(work, retain)))
        folded = fold(log, work.snapshot, work.run, say or (lambda _: None))
        now = replace(work, started_at=clock(), snapshot=log.make())
        found = _junk(now, retain)
        if found and not folded.files_joined:  # a writer that has lost its lease must not commit what is deleted here
            now.commit(rearranged=True)
        sweep(work.source, found)
        if found or folded.files_joined:
            log.checkpoint()
        return Maintained(
            folded.files_before, folded.files_after, folded.rows_folded, folded.files_joined, by_kind(found)
        )


def _junk(work: Upkeep, retain: timedelta) -> list[Junk]:
    held = {hold["run_id"] for hold in pending_holds(work.source).values()}
    return junk(work.source, work.snapshot, work.started_at, retain, ADOPTABLE, held)
