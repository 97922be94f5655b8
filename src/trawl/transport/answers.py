"""httpx's answers and the engine's: one becomes the other without a word lost."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode, urljoin

import httpx

from trawl.model.classify import Action, classify
from trawl.model.errors import RedirectRefused

from .client import KeyRefused, Refused, Response
from .pacing import utc_now

_TOLD = "trawl"  # the extension of a response that holds its `Told`
_OF_THE_BODY = ("Content-Length", "Content-Encoding")


@dataclass(frozen=True, slots=True)
class Told:
    """What the client knows of an answer beyond httpx: when it came, and where redirects have led (empty: nowhere)."""

    at: datetime
    led_to: str = ""

    def extension(self) -> dict[str, Any]:
        return {_TOLD: self}


def told_of(answer: httpx.Response) -> Told | None:
    """None of an answer that a mock or a program has made."""
    told = answer.extensions.get(_TOLD)
    return told if isinstance(told, Told) else None


async def response_of(answer: object, now: datetime | None = None, *, by: str = "somebody") -> Response:
    """What came, as the engine judges it. Raises `Refused` and `KeyRefused` where its own client would have.

    `now` is when an answer came that does not know it. Raises TypeError for what is no `httpx.Response`, naming who gave it.
    """
    if not isinstance(answer, httpx.Response):
        raise TypeError(f"{by} gave a {type(answer).__name__}, no httpx.Response")
    told = told_of(answer) or Told(now or utc_now())
    body = await answer.aread()  # (of a stream that nobody has read to its end)
    status, action = answer.status_code, classify(answer.status_code)
    if action is Action.FATAL or action is Action.RETRY:
        asked = Response(status, action, answer.headers, body, told.at, url_of(answer))
        if action is Action.FATAL:
            raise KeyRefused(asked, answer.reason_phrase)
        raise Refused(asked, answer.reason_phrase, None)
    return Response(status, action, answer.headers, body, told.at, told.led_to)


def refused_by(error: Exception) -> httpx.Response | None:
    """The answer for which `raise_for_status()` raised this error; None for any other error."""
    return error.response if isinstance(error, httpx.HTTPStatusError) else None


def url_of(answer: httpx.Response) -> str:
    """Where an answer came from, as far as it knows."""
    request = _request_of(answer)
    return "an answer" if request is None else str(request.url)


def is_misread(path: str) -> bool:
    """Whether httpx takes a path for another one: `/a` is below the base address to it, `a:1` has a scheme."""
    first = path.partition("/")[0]
    return not first or (":" in first and "://" not in path.partition("?")[0])


def same_address(one: str, other: str) -> bool:
    """Whether httpx asks for the same thing by both."""
    try:
        return httpx.URL(one) == httpx.URL(other)
    except httpx.InvalidURL:
        return False


def with_body(answer: httpx.Response, kind: str, body: bytes) -> httpx.Response:
    """The answer with another body, of this content type, in place of its own."""
    headers = httpx.Headers(answer.headers)
    for outdated in _OF_THE_BODY:
        headers.pop(outdated, None)
    headers["Content-Type"] = kind
    told = told_of(answer) or Told(utc_now())
    return httpx.Response(
        answer.status_code,
        headers=headers,
        content=body,
        request=_request_of(answer),
        extensions=Told(told.at).extension(),
    )


async def get_by(
    client: httpx.AsyncClient,
    url: str,
    *,
    params: Mapping[str, str | int] | None = None,
    etag: str | None = None,
    last_modified: str | None = None,
) -> httpx.Response:
    """The request that `Client.get` makes, through httpx."""
    validators = {"If-None-Match": etag, "If-Modified-Since": last_modified}
    headers = {name: value for name, value in validators.items() if value is not None and value.isascii()}
    if "://" not in url.partition("?")[0]:
        base = str(client.base_url).rstrip("/")
        url = urljoin(base, url) if url.startswith("/") else f"{base}/{url}"
    if params:  # (httpx would put them in the place of a query that is there already)
        url = f"{url}{'&' if '?' in url else '?'}{urlencode(params)}"
    try:
        return await client.get(url, headers=headers)
    except httpx.InvalidURL:
        raise RedirectRefused(f"{url} is not an address: refused") from None


def _request_of(answer: httpx.Response) -> httpx.Request | None:
    try:
        return answer.request
    except RuntimeError:  # made by hand, without one
        return None
