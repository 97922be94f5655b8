"""The stand-in server as a bare ASGI 3 application: PokeAPI's routes, headers and errors over a catalogue.

Anything that misbehaves on purpose wraps it, as ASGI middleware does; the application itself is always right.
"""

import asyncio
import re
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from trawl.replica.answers import Answer, Headers, Receive, Scope, Send, content, matches, reply
from trawl.replica.catalogue import PREFIX, Catalogue, Document, as_document
from trawl.replica.paging import page, window
from trawl.replica.stats import Stats

DEPLOYED_ENDPOINTS = frozenset(
    {
        *("ability", "berry", "berry-firmness", "berry-flavor", "characteristic", "contest-effect"),
        *("contest-type", "egg-group", "encounter-condition", "encounter-condition-value"),
        *("encounter-method", "evolution-chain", "evolution-trigger", "gender", "generation"),
        *("growth-rate", "item", "item-attribute", "item-category", "item-fling-effect", "item-pocket"),
        *("language", "location", "location-area", "machine", "meta", "move", "move-ailment"),
        *("move-battle-style", "move-category", "move-damage-class", "move-learn-method", "move-target"),
        *("nature", "pal-park-area", "pokeathlon-stat", "pokedex", "pokemon", "pokemon-color"),
        *("pokemon-form", "pokemon-habitat", "pokemon-shape", "pokemon-species", "region", "stat"),
        *("super-contest-effect", "type", "version", "version-group"),
    }
)
"""The names hard-coded in the service's function (April 2026, before `currency`).

Below one of these, what the catalogue lacks is 404. Any other name is 400 until the catalogue holds it:
`currency` on 2026-08-03 is 400, on 2026-08-08 it is served.
"""

_WIDE = 20_000
"""Pages of more entries are made in a thread, so that other requests need not wait for them."""

_RESOURCE = re.compile(r"[\w-]+", re.ASCII)
_CORS = [(b"access-control-allow-origin", b"*"), (b"vary", b"Accept-Encoding")]
_RELAYED = (b"cache-control", b"public, max-age=432000, s-maxage=432000")


class ReplicaApp:
    """Serves a catalogue as pokeapi.co would, and counts in `stats` what was asked and answered."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.stats = Stats()
        self.catalogue = catalogue

    @property
    def catalogue(self) -> Catalogue:
        """What is served. Setting it takes effect with the next request: the next day under the same URL."""
        return self._serving[0]

    @catalogue.setter
    def catalogue(self, catalogue: Catalogue) -> None:
        routes = DEPLOYED_ENDPOINTS | catalogue.endpoints
        self._serving = (catalogue, routes, _success_headers(catalogue))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, by the protocol of ASGI 3."""
        if scope["type"] != "http":
            raise NotImplementedError(f"the replica speaks HTTP only, not {scope['type']}")
        self.stats.began()
        method = scope["method"]
        status, headers, body = await self._answer(method, scope)
        self.stats.answered(status)
        await reply(send, (status, headers, b"" if method == "HEAD" else body))

    async def _answer(self, method: str, scope: Scope) -> Answer:
        if method not in {"GET", "HEAD"}:
            return _NOT_ALLOWED
        path = scope["path"].lower()
        below = below_prefix(path)
        if below is None:
            return _NO_SUCH_ROUTE
        catalogue, routes, headers = self._serving
        endpoint, *resource = below.split("/")
        if len(resource) > 2:
            return _NO_SUCH_ROUTE
        if below and (
            endpoint not in routes
            or (resource and not _RESOURCE.fullmatch(resource[0]))
            or resource[1:] not in ([], ["encounters"])
        ):
            return _BAD_REQUEST
        found = catalogue.find(below)
        if found is None:
            return _NOT_FOUND
        if not isinstance(found, Document):
            at = window(scope["query_string"])
            make = asyncio.to_thread if min(at.limit, len(found.entries)) > _WIDE else _at_once
            found = as_document(await make(page, found, at, path))
        return _success(found, headers, scope)


async def _at_once(function: Callable[..., bytes], *args: Any) -> bytes:
    return function(*args)


def below_prefix(path: str) -> str | None:
    """The path below /api/v2 without outer slashes; None if it lies elsewhere or has empty segments."""
    if path in {PREFIX, f"{PREFIX}/"}:
        return ""
    below = path.removeprefix(f"{PREFIX}/")
    if below is path or "//" in path:
        return None
    return below.removesuffix("/")


def _success_headers(catalogue: Catalogue) -> Headers:
    release, cached = catalogue.release, (b"cache-control", b"public, max-age=86400, s-maxage=86400")
    if release is None:
        return [*_CORS, cached]
    return [
        *_CORS,
        (b"access-control-expose-headers", b"X-PokeAPI-Hash,X-PokeAPI-Deploy-Date"),
        cached,
        (b"x-pokeapi-hash", release.hash.encode()),
        (b"x-pokeapi-deploy-date", release.deploy_date.encode()),
    ]


def _success(document: Document, common: Headers, scope: Scope) -> Answer:
    headers = [*common, (b"etag", document.etag)]
    for name, value in scope["headers"]:
        if name == b"if-none-match" and matches(value, document.etag):
            return 304, headers, b""
    headers += content(b"application/json; charset=utf-8", document.body)
    return 200, headers, document.body


def _error(status: HTTPStatus, *headers: tuple[bytes, bytes]) -> Answer:
    document = as_document(status.phrase.encode())
    described = content(b"text/plain; charset=utf-8", document.body)
    return int(status), [*_CORS, *headers, (b"etag", document.etag), *described], document.body


_NOT_FOUND = _error(HTTPStatus.NOT_FOUND, _RELAYED)
_NO_SUCH_ROUTE = _error(HTTPStatus.NOT_FOUND)
_BAD_REQUEST = _error(HTTPStatus.BAD_REQUEST)
_NOT_ALLOWED = _error(HTTPStatus.METHOD_NOT_ALLOWED, (b"allow", b"GET, HEAD"))
