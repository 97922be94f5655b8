"""Misbehaviour on request: what networks, caches and APIs do to a client, around an application that is always right.

From the outside in: the wire (`WireApp`) loses, delays, cuts and refuses; the edge (`EdgeApp`) caches each address
apart; the origin (`OriginApp`) tears lists and forgets records. Which request is hit depends on the seed, the address
and how often it was asked, never on the time of day: the same requests meet the same faults.
"""

from collections.abc import Callable

from trawl.replica.answers import ASGIApp

from .edge import EdgeApp
from .origin import OriginApp
from .settings import FORMS, Faults
from .waits import Clock, utc_now
from .wire import WireApp

__all__ = ["FORMS", "EdgeApp", "Faults", "OriginApp", "WireApp", "faulty"]


def faulty(
    app: ASGIApp,
    faults: Faults,
    *,
    before: ASGIApp | None = None,
    clock: Clock = utc_now,
    announce: Callable[..., None] = lambda _wait: None,
) -> ASGIApp:
    """The application as this settings' world lets a client see it.

    `before` is the same API as it was a day ago: pages come from it (`mixed`), and caches still hold it (`cache`).
    `announce` is told of every cool-down that an answer asks for, as a timedelta.
    """
    faults.check(before=before is not None)
    if faults.bends:
        app = OriginApp(app, faults, before)
    if faults.cache:
        app = EdgeApp(app, faults, clock, before)
    return WireApp(app, faults, clock, announce)
