"""Evenly spaced requests, and the shared "not before" after a 429."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from datetime import datetime, timedelta

from aiolimiter import AsyncLimiter

Clock = Callable[[], datetime]


def pacer(requests_per_second: float | None) -> AbstractAsyncContextManager[None]:
    """Lets one request through every 1/rate seconds, without bursts; None lets all through."""
    return nullcontext() if requests_per_second is None else AsyncLimiter(1, 1 / requests_per_second)


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
        """Take over what another process found."""
        if until is not None and (self.until is None or until > self.until):
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
