"""What one run is asked to do, checked against its source before the first request."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from difflib import get_close_matches
from typing import Literal

from trawl.model.config import SourceConfig
from trawl.model.errors import ConfigurationError
from trawl.transport import Rate, base_url_of, pace_of

Mode = Literal["discover", "refresh"]


@dataclass(frozen=True, slots=True)
class CrawlOptions:
    """The options of one run; None means the source's own value.

    Attributes:
        mode: `discover` requests only the token and the lists; `refresh` also fetches what is due.
        base_url: overrides the source's address.
        endpoints: only these (children are named on their own); empty is all.
        rate: requests per second, or "unlimited" (on private hosts only).
        max_requests: the run's request budget; the rest stays due.
        force: everything is due; requests stay conditional.
        no_cache: no validators are sent.
        accept, reject: endpoints whose held changes are committed or dropped.
        wait: how long to wait for another writer; None: do not wait.
        allow_rollback: believe an older deploy than the lake holds.
    """

    mode: Mode = "refresh"
    base_url: str | None = None
    endpoints: tuple[str, ...] = ()
    rate: Rate | None = None
    max_requests: int | None = None
    force: bool = False
    no_cache: bool = False
    accept: tuple[str, ...] = ()
    reject: tuple[str, ...] = ()
    wait: timedelta | None = None
    allow_rollback: bool = False


@dataclass(frozen=True, slots=True)
class Target:
    """Where a run goes and how fast: resolved and checked."""

    base_url: str
    endpoints: tuple[str, ...]
    requests_per_second: float | None
    connections: int


def resolve(source: SourceConfig, options: CrawlOptions) -> Target:
    """Check the options against the source. Raises ConfigurationError, with what would be right."""
    for flag, names in (
        ("--endpoint", options.endpoints),
        ("--accept", options.accept),
        ("--reject", options.reject),
    ):
        check_endpoints(source, names, flag)
    if both := set(options.accept) & set(options.reject):
        raise ConfigurationError(f"{', '.join(sorted(both))}: both accepted and rejected", remedy="choose one")
    base_url = base_url_of(source, options.base_url)
    rate, connections = pace_of(source, base_url, options.rate)
    if options.max_requests is not None and options.max_requests < 1:
        raise ConfigurationError(
            f"--max-requests {options.max_requests} is not a valid budget", remedy="give at least 1"
        )
    return Target(base_url, options.endpoints or tuple(source.endpoints), rate, connections)


def check_endpoints(source: SourceConfig, names: Iterable[str], flag: str) -> None:
    """Raise ConfigurationError for a name that is no endpoint, with those that are near."""
    for name in names:
        if name not in source.endpoints:
            near = get_close_matches(name, source.endpoints, n=3) or sorted(source.endpoints)
            raise ConfigurationError(
                f"{flag} {name}: the source {source.name!r} has no such endpoint",
                remedy=f"it has: {', '.join(near)}",
            )
