"""Evenly spaced requests, and the shared "not before" after a 429."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from aiolimiter import AsyncLimiter

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The clock that runs go by unless another is injected."""
    return datetime.now(UTC)


class Pacer:
    """Lets one request through every 1/rate seconds, without bursts; None lets all through."""

    def __init__(self, requests_per_second: float | None) -> None:
        self._rate = requests_per_second
        self._limiter = _limiter(requests_per_second)

    async def turn(self) -> None:
        """Return once it is this request's turn."""
        while (limiter := self._limiter) is not None:
            await limiter.acquire()
            if limiter is self._limiter:  # else the pace has changed meanwhile: its turn is another one
                return

    async def change(self, requests_per_second: float | None) -> None:
        """Go on at another pace. No request goes through at once: one may have just gone at the old pace."""
        if requests_per_second == self._rate:
            return
        limiter = _limiter(requests_per_second)
        if limiter is not None:
            await limiter.acquire()
        self._rate, self._limiter = requests_per_second, limiter


def _limiter(requests_per_second: float | None) -> AsyncLimiter | None:
    return None if requests_per_second is None else AsyncLimiter(1, 1 / requests_per_second)


class CoolDown:
    """Nobody asks before `until`.

    Attributes:
        until: the instant, or None.
        publish: called with every later instant, so that other processes learn of it.

    """

    def __init__(self, clock: Clock, publish: Callable[[datetime], Awaitable[None]] | None = None) -> None:
        self._clock = clock
        self._publish = publish
        self.until: datetime | None = None

    def learn(self, until: datetime | None) -> None:
        """Take over what another process found, unless that is over."""
        if until is not None and until > (self.until or self._clock()):
            self.until = until

    async def start(self, wait: timedelta) -> None:
        """Begin (or lengthen) a cool-down of this length from now."""
        until = self._clock() + wait
        if self.until is None or until > self.until:
            self.until = until
            if self._publish is not None:
                await self._publish(until)

    async def over(self) -> None:
        """Return once nobody has to wait any more."""
        while self.until is not None:
            left = (self.until - self._clock()).total_seconds()
            if left <= 0:
                self.until = None
                return
            await asyncio.sleep(left)
