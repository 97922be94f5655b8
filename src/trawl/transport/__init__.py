"""How Trawl talks to an API: politely, within limits, to the source's own host only."""

from .client import Client, Response, Traffic
from .hosts import Rate, base_url_of, is_private, pace_of
from .pacing import Clock, CoolDown, utc_now

__all__ = [
    "Client",
    "Clock",
    "CoolDown",
    "Rate",
    "Response",
    "Traffic",
    "base_url_of",
    "is_private",
    "pace_of",
    "utc_now",
]
