"""A CDN's edge: each address cached apart, errors too, each with an age of its own."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

import zstandard

from trawl.replica.answers import Answer, ASGIApp, Receive, Scope, Send, capture, conditional, reply, url_of

from .chance import Chance
from .settings import Faults
from .waits import Clock

_MAX_AGE = re.compile(rb"s-maxage=(\d+)")
_LEVEL = 1


@dataclass(frozen=True, slots=True)
class _Entry:
    """A cached answer, its body compressed; `stored` and `ends` are instants of the injected clock."""

    status: int
    headers: list[tuple[bytes, bytes]]
    packed: bytes
    stored: datetime
    ends: datetime


class EdgeApp:
    """Caches a share of all addresses, each for at most the `s-maxage` of its answer; many go sooner, by chance.

    With `before` it starts out full: until its entry ends, an address still answers as that application does. What
    was answered is kept in memory.
    """

    def __init__(self, app: ASGIApp, faults: Faults, clock: Clock, before: ASGIApp | None) -> None:
        self._app, self._faults, self._clock, self._before = app, faults, clock, before
        self._chance = Chance(faults.seed, "edge")
        self._entries: dict[str, _Entry] = {}
        self._opened = clock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer from the cache, or ask and remember."""
        url = url_of(scope)
        if scope["method"] != "GET" or self._chance.roll("cached", url) >= self._faults.cache:
            await self._app(scope, receive, send)
            return
        nth = self._chance.ask(url)
        if nth == 1 and self._before is not None:
            self._fill(url, await capture(self._before, scope, receive), warm=True)
        entry, now = self._entries.get(url), self._clock()
        if entry is None or now >= entry.ends:
            answer = await capture(self._app, scope, receive)
            self._fill(url, answer, nth=nth)
        else:
            age = (now - entry.stored) // timedelta(seconds=1)
            body = zstandard.decompress(entry.packed) if entry.packed else b""
            answer = entry.status, [*entry.headers, (b"age", b"%d" % age)], body
        await reply(send, conditional(answer, scope))

    def _fill(self, url: str, answer: Answer, *, nth: int = 0, warm: bool = False) -> None:
        """Keep an answer that allows it. A warm one was stored some time before the edge opened, by chance."""
        status, headers, body = answer
        found = _MAX_AGE.search(dict(headers).get(b"cache-control", b""))
        if found is None:
            return
        lifetime = timedelta(seconds=int(found[1]))
        part = self._chance.roll("age", url, nth)
        stored = self._opened - lifetime * part if warm else self._clock()
        ends = stored + lifetime if warm else stored + lifetime * part
        packed = zstandard.compress(body, _LEVEL) if body else b""
        self._entries[url] = _Entry(status, headers, packed, stored, ends)
