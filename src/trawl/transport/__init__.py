"""How Trawl talks to an API: politely, within limits, to the source's own host only."""

from .client import Client, Response, Traffic
from .hosts import is_private
from .pacing import Clock, CoolDown

__all__ = ["Client", "Clock", "CoolDown", "Response", "Traffic", "is_private"]
