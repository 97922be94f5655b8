"""What one run is asked to do, checked against its source before the first request."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from difflib import get_close_matches
from typing import Literal

from trawl.model.config import SourceConfig, check_base_url
from trawl.model.errors import ConfigurationError
from trawl.transport import is_private

Mode = Literal["discover", "refresh"]


@dataclass(frozen=True, slots=True)
class CrawlOptions:
    """One run's wishes; what is None is as the source says.

    Attributes:
        mode: `discover` asks the token and the lists; `refresh` also fetches what is due.
        base_url: takes the place of the source's address.
        endpoints: only these (children are named on their own); empty is all.
        rate: requests per second, or "unlimited" (on private hosts only).
        max_requests: the run's budget; what it leaves stays due.
        force: everything is due, still conditional.
        no_cache: no validators are sent.
        accept, reject: endpoints whose held news are let through or dropped.
        wait: how long to wait for another writer; None refuses at once.
        allow_rollback: believe an older deploy than the lake holds.
    """

    mode: Mode = "refresh"
    base_url: str | None = None
    endpoints: tuple[str, ...] = ()
    rate: float | Literal["unlimited"] | None = None
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
    rate: float | None
    if options.rate == "unlimited":
        if not is_private(base_url):
            raise ConfigurationError(
                f"--rate unlimited: {base_url} is a public host",
                remedy=f"unlimited is for loopback, private and cluster addresses; use a number (here: "
                f"{source.rate.requests_per_second:g})",
            )
        rate = None
    elif (rate := source.rate.requests_per_second if options.rate is None else options.rate) <= 0:
        raise ConfigurationError(f"--rate {rate:g} is no rate", remedy="give requests per second, or 'unlimited'")
    if options.max_requests is not None and options.max_requests < 1:
        raise ConfigurationError(f"--max-requests {options.max_requests} is no budget", remedy="give at least 1")
    connections = source.rate.connections if rate is not None else max(source.rate.connections, 16)
    return Target(base_url, options.endpoints or tuple(source.endpoints), rate, connections)


def base_url_of(source: SourceConfig, flag: str | None) -> str:
    """A source's address: flag, else TRAWL_SOURCE_<NAME>_BASE_URL, else its own."""
    return base_url_and_origin(source, flag)[0]


def base_url_and_origin(source: SourceConfig, flag: str | None) -> tuple[str, str]:
    """A source's address, and who named it."""
    variable = f"TRAWL_SOURCE_{source.name.upper()}_BASE_URL"
    for origin, url in (("--base-url", flag), (variable, os.environ.get(variable))):
        if url:
            try:
                return check_base_url(url), origin
            except ValueError as error:
                raise ConfigurationError(
                    f"{origin}: {error}", remedy="for example http://127.0.0.1:8000/api/v2"
                ) from None
    return source.base_url, "`base_url` of the source"


def check_endpoints(source: SourceConfig, names: Iterable[str], flag: str) -> None:
    """Raise ConfigurationError for a name that is no endpoint, with those that are near."""
    for name in names:
        if name not in source.endpoints:
            near = get_close_matches(name, source.endpoints, n=3) or sorted(source.endpoints)
            raise ConfigurationError(
                f"{flag} {name}: the source {source.name!r} has no such endpoint",
                remedy=f"it has: {', '.join(near)}",
            )
