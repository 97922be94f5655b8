"""The API itself, not at its best: torn lists, repeated pages, lists that lost most, records that come and go."""

from typing import Any

import orjson

from trawl.replica.answers import Answer, ASGIApp, Receive, Scope, Send, capture, conditional, content, reply, url_of
from trawl.replica.app import below_prefix
from trawl.replica.catalogue import weak_etag
from trawl.replica.paging import window

from .chance import Chance
from .settings import Faults

_LACKING = 0.1  # a torn list lacks so many of its entries, and one at least
_NOT_FOUND = b"Not Found"
_FIVE_DAYS = (b"cache-control", b"public, max-age=432000, s-maxage=432000")


class OriginApp:
    """Wraps an application with the faults of what it answers."""

    def __init__(self, app: ASGIApp, faults: Faults, before: ASGIApp | None) -> None:
        self._app, self._faults, self._before = app, faults, before
        self._chance = Chance(faults.seed, "origin")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        below = (below_prefix(scope["path"].lower()) or "").split("/")
        if len(below) > 1:
            await self._record(scope, receive, send)
        elif below[0] not in {"", "meta"}:
            await self._list(below[0], scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _record(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A flapping record answers 404 at first, and every other time from then on; caches may keep that."""
        url = url_of(scope)
        if self._chance.roll("flapping", url) < self._faults.flapping and self._chance.ask(url) % 2:
            headers = [*content(b"text/plain; charset=utf-8", _NOT_FOUND), _FIVE_DAYS]
            await reply(send, (404, headers, _NOT_FOUND))
        else:
            await self._app(scope, receive, send)

    async def _list(self, endpoint: str, scope: Scope, receive: Receive, send: Send) -> None:
        faults, url = self._faults, url_of(scope)
        nth = self._chance.ask(url)
        torn, repeated, mixed = (
            self._chance.roll(fault, url, nth) < share
            for fault, share in (("torn", faults.torn), ("repeated", faults.repeated), ("mixed", faults.mixed))
        )
        lossy = faults.lost > 0 and (not faults.lost_of or endpoint in faults.lost_of)
        app = self._before if mixed and self._before is not None else self._app
        if not (torn or repeated or lossy):
            await app(scope, receive, send)
            return
        answer = await capture(app, scope, receive)
        if answer[0] == 200:
            page = orjson.loads(answer[2])
            at = window(scope["query_string"])
            if repeated and at.offset > 0 and at.limit > 0:
                query = b"offset=%d&limit=%d" % (max(0, at.offset - at.limit), at.limit)
                page["results"] = orjson.loads((await capture(app, scope, receive, query=query))[2])["results"]
            elif repeated and page["results"]:
                page["results"][-1] = page["results"][0]
            if lossy:
                _lose(page, at.offset, at.limit, faults.lost)
            if torn:
                self._tear(page, url, nth)
            answer = _with_body(answer, orjson.dumps(page))
        await reply(send, conditional(answer, scope))

    def _tear(self, page: dict[str, Any], url: str, nth: int) -> None:
        results = page["results"]
        rolls = [self._chance.roll(f"lacks {place}", url, nth) for place in range(len(results))]
        if rolls:
            page["results"] = [entry for entry, roll in zip(results, rolls, strict=True) if roll >= _LACKING]
            if len(page["results"]) == len(results):
                del page["results"][rolls.index(min(rolls))]


def _lose(page: dict[str, Any], offset: int, limit: int, lost: float) -> None:
    """Keep the first entries only, as if there had never been more."""
    kept = round(page["count"] * (1 - lost))
    page["results"] = page["results"][: max(0, kept - offset)]
    page["count"] = kept
    if offset + limit >= kept:
        page["next"] = None


def _with_body(answer: Answer, body: bytes) -> Answer:
    status, headers, _ = answer
    described = {b"etag": weak_etag(body), b"content-length": b"%d" % len(body)}
    return status, [(name, described.get(name, value)) for name, value in headers], body
