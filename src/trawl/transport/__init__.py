"""How Trawl talks to an API: politely, within limits, to the source's own host only."""

from typing import TYPE_CHECKING, Any

from .client import Client, Response, Traffic
from .hosts import Rate, base_url_of, is_private, pace_of
from .pacing import Clock, CoolDown, utc_now

if TYPE_CHECKING:
    from .asynctransport import AsyncTransport, http_client

__all__ = [
    "AsyncTransport",
    "Client",
    "Clock",
    "CoolDown",
    "Rate",
    "Response",
    "Traffic",
    "base_url_of",
    "http_client",
    "is_private",
    "pace_of",
    "utc_now",
]


def __getattr__(name: str) -> Any:
    """What stands on httpx, which takes 0.1 s to load: a source in YAML does without it."""
    if name not in {"AsyncTransport", "http_client"}:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import asynctransport  # noqa: PLC0415

    return getattr(asynctransport, name)
