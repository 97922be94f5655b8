"""Maintenance under the source's lease, so that it and a crawl never meet."""

from collections.abc import Callable

from trawl.lake import Folded, Lake, fold
from trawl.model.errors import ConfigurationError
from trawl.transport import Clock, utc_now

from .engine import run_id


def maintain(lake: Lake, name: str, *, say: Callable[[str], None] | None = None, clock: Clock = utc_now) -> Folded:
    """Fold and compact one source of a lake. Raises LeaseHeld while a run is writing it."""
    if name not in lake.sources():
        raise ConfigurationError(
            f"the lake {lake.url} holds no source {name!r}",
            remedy=f"it holds: {', '.join(lake.sources()) or 'none'}",
        )
    source = lake.source(name)
    run = run_id(clock())
    lease = source.lease(run, clock)
    lease.take()
    try:
        with lake.faults():
            snapshot = source.log.make()
            return fold(source.log, snapshot, run, say or (lambda _: None))
    finally:
        lease.release()
