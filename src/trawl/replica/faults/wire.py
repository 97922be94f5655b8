"""Between a client and the API: what gets lost, delayed, cut, refused or replaced on the way."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

from trawl.replica.answers import (
    Answer,
    ASGIApp,
    Receive,
    Scope,
    Send,
    capture,
    conditional,
    content,
    hang_up,
    reply,
    url_of,
)

from .chance import Chance
from .settings import FORMS, Faults
from .waits import Clock, retry_after

_ERRORS = (500, 502, 503, 504)
_PIECES = 8
_PAGE = b"<!DOCTYPE html>\n<html><body><h1>We will be right back</h1></body></html>\n"


class WireApp:
    """Wraps an application with the faults of the way to it."""

    def __init__(self, app: ASGIApp, faults: Faults, clock: Clock, announce: Callable[[timedelta], None]) -> None:
        self._app, self._faults, self._clock, self._announce = app, faults, clock, announce
        self._chance = Chance(faults.seed, "wire")
        self._calm = 0
        self._refusals_left = 0
        self._storm_ends: datetime | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or not."""
        faults, url = self._faults, url_of(scope)
        nth = self._chance.ask(url)

        def hit(fault: str, share: float) -> bool:
            return share > 0 and self._chance.roll(fault, url, nth) < share

        if faults.latency:
            await asyncio.sleep(faults.latency.total_seconds())
        if self._storming() or hit("refused", faults.refused):
            await reply(send, self._refusal(url, nth))
        elif hit("resets", faults.resets):
            await hang_up(scope, receive, reset=True)
        elif hit("errors", faults.errors):
            status = _ERRORS[int(self._chance.roll("status", url, nth) * len(_ERRORS))]
            await reply(send, (status, content(b"text/html", _PAGE), _PAGE))
        elif hit("html", faults.html):
            await reply(send, (200, content(b"text/html; charset=utf-8", _PAGE), _PAGE))
        elif (cut := hit("cut", faults.cut)) | (slow := hit("slow", faults.slow)):
            status, headers, body = conditional(await capture(self._app, scope, receive), scope)
            if cut and len(body) > 1:
                await reply(send, (status, headers, body[: len(body) // 2]), more=True)
                await hang_up(scope, receive, reset=False)
            elif slow:
                await self._trickle(send, (status, headers, body))
            else:
                await reply(send, (status, headers, body))
        else:
            await self._app(scope, receive, send)

    def _storming(self) -> bool:
        """Whether this request falls into a storm; counts it."""
        faults = self._faults
        if not faults.storm_every:
            return False
        if self._storm_ends is not None:
            if self._clock() < self._storm_ends:
                return True
            self._storm_ends = None
        elif self._refusals_left:
            self._refusals_left -= 1
            return True
        self._calm += 1
        if self._calm <= faults.storm_every:
            return False
        self._calm = 0
        if faults.storm_time:
            self._storm_ends = self._clock() + faults.storm_time
        else:
            self._refusals_left = max(0, faults.storm_requests - 1)
        return True

    def _refusal(self, url: str, nth: int) -> Answer:
        form = self._faults.retry_after
        if form == "any":
            form = FORMS[int(self._chance.roll("form", url, nth) * len(FORMS))]
        value, wait = retry_after(form, self._faults.wait, self._clock())
        if wait is not None:
            self._announce(wait)
        body = b"Too Many Requests"
        headers = content(b"text/plain; charset=utf-8", body)
        return 429, [*headers, *([] if value is None else [(b"retry-after", value.encode())])], body

    async def _trickle(self, send: Send, answer: Answer) -> None:
        status, headers, body = answer
        size = max(1, -(-len(body) // _PIECES))
        await reply(send, (status, headers, body[:0]), more=True)
        for begin in range(0, len(body), size):
            await asyncio.sleep(self._faults.slow_time.total_seconds() / _PIECES)
            await send({"type": "http.response.body", "body": body[begin : begin + size], "more_body": True})
        await send({"type": "http.response.body", "body": b""})
