"""Was the client polite? Judged by what arrived: the densest second, and requests inside an announced cool-down."""

import time
from collections import Counter, deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import ceil
from typing import Any

import orjson

from trawl.replica.answers import ASGIApp, Message, Receive, Scope, Send, content, reply, url_of
from trawl.replica.faults.waits import Clock, utc_now

PATH = "/referee"
"""Where the referee itself answers, outside of the API."""

_EXAMPLES = 5


@dataclass(slots=True)
class Referee:
    """Counts, from arrivals, what a client can be blamed for. Read it from any thread; only the server's writes.

    A request leaves before it arrives, and how long it is under way varies: `jitter` is by how much. What is counted
    as *certain* is true of the departures, too. Requests that arrived within a second less `jitter` left within one
    second, even if the first of them was under way longest; and a request that arrives within `jitter` after a
    cool-down was announced may have left before its client could know.

    Attributes:
        jitter: by how many seconds one request's way may be longer than another's.
        longest: an announced cool-down binds for so long at most, in seconds: nobody waits a century.

    """

    jitter: float = 0.1
    longest: float = 600.0
    clock: Clock = utc_now
    requests: int = 0
    by_status: Counter[int] = field(default_factory=Counter)
    densest: int = 0
    """The most requests that arrived within one second."""

    certain: int = 0
    """The most requests that certainly left within one second."""

    cool_downs: int = 0
    """Announcements of a cool-down; each refused request gets its own."""

    trespasses: int = 0
    """Requests that certainly left inside a cool-down."""

    examples: list[str] = field(default_factory=list)
    """The first trespasses, in words."""

    _within: deque[float] = field(default_factory=deque)
    _certain: deque[float] = field(default_factory=deque)
    _announced: datetime | None = None
    _until: datetime | None = None

    def arrived(self, url: str) -> None:
        """A request arrived."""
        self.requests += 1
        at = time.monotonic()
        self.densest = max(self.densest, _count(self._within, at, 1))
        self.certain = max(self.certain, _count(self._certain, at, 1 - self.jitter))
        if self._announced is None or self._until is None:
            return
        now = self.clock()
        if now >= self._until:
            self._announced = self._until = None
        elif now - self._announced > timedelta(seconds=self.jitter):
            self.trespasses += 1
            if len(self.examples) < _EXAMPLES:
                early, late = (self._until - now).total_seconds(), (now - self._announced).total_seconds()
                self.examples.append(f"{url}: {late:.2f} s after the announcement, {early:.2f} s too early")

    def announced(self, wait: timedelta) -> None:
        """An answer asked to be left alone for so long."""
        now = self.clock()
        until = now + min(wait, timedelta(seconds=self.longest))
        self.cool_downs += 1
        if self._announced is None or self._until is None or now >= self._until:
            self._announced, self._until = now, until
        else:
            self._until = max(self._until, until)

    def exceeded(self, requests_per_second: float) -> bool:
        """Whether more requests than that certainly left within some one second."""
        return self.certain > ceil(requests_per_second)

    def summary(self) -> str:
        """What was counted, for people."""
        answers = ", ".join(f"{number} x {status}" for status, number in sorted(self.by_status.items()))
        lines = [
            f"{self.requests} requests" + (f", answered {answers}" if answers else ""),
            f"at most {self.densest} arrived within one second, {self.certain} of them certainly left within one",
            f"{self.cool_downs} cool-downs announced, {self.trespasses} requests inside one",
            *self.examples,
        ]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """What was counted, as JSON."""
        return {
            "requests": self.requests,
            "by_status": {str(status): number for status, number in sorted(self.by_status.items())},
            "densest_second": self.densest,
            "certain_second": self.certain,
            "jitter": self.jitter,
            "cool_downs": self.cool_downs,
            "trespasses": self.trespasses,
            "examples": self.examples,
        }


@dataclass(frozen=True, slots=True)
class RefereedApp:
    """Lets a referee see every request to an application; `GET /referee` tells what it has counted."""

    app: ASGIApp
    referee: Referee

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count one request and pass it on."""
        if scope["path"] == PATH:
            body = orjson.dumps(self.referee.to_dict(), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
            await reply(send, (200, content(b"application/json", body), body))
            return

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.referee.by_status[message["status"]] += 1
            await send(message)

        self.referee.arrived(url_of(scope))
        await self.app(scope, receive, counted)


def _count(within: deque[float], at: float, seconds: float) -> int:
    """How many of these instants lie less than so many seconds before `at`, itself included; older ones are dropped."""
    within.append(at)
    while at - within[0] >= seconds:
        within.popleft()
    return len(within)
