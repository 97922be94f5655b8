"""The client as an httpx transport: what is written against httpx keeps Trawl's manners, and need not know of them.

Of httpx's own transport only the lowest part is replaced: the pool hands each request to the client. So whatever patches
httpx (respx, pytest-httpx) finds what it looks for.
"""

import asyncio
import logging
from collections.abc import AsyncIterable, AsyncIterator, Callable
from http.cookiejar import CookieJar, DefaultCookiePolicy
from types import TracebackType
from typing import Any

import aiohttp
import httpcore
import httpx

from trawl.model.config import SourceConfig
from trawl.model.errors import TrawlError

from .addresses import below
from .answers import Told, told_of
from .client import KEYLESS, Call, Client, KeyRefused, Refused, Response
from .hosts import Rate
from .httperrors import as_httpx
from .session import SLOWEST, own_headers

_logger = logging.getLogger(__name__)

_OF_THE_WIRE = frozenset(
    {b"accept-encoding", b"connection", b"content-length", b"host", b"te", b"transfer-encoding", b"upgrade"}
)
_DONE = frozenset(
    {"content-encoding", "content-length", "transfer-encoding"}
)  # true of the body as it came, not as it is


class AsyncTransport(httpx.AsyncHTTPTransport):
    """Sends httpx's requests through a `Client`: its pace, retries, cool-down, budget, limits and credentials hold.

    >>> httpx.AsyncClient(transport=AsyncTransport(Client.for_source(source)))  # doctest: +SKIP

    A client that is not open is opened with the transport (by `async with`, or by the first request) and closed with it;
    one that is open already belongs to whoever opened it.

    Errors are those of `trawl.model.errors` and of httpx in one (`httpx.ConnectError`, `httpx.ReadTimeout`,
    `httpx.TooManyRedirects`, ...). A refusal is no error, but an answer: 401 at once, 429 and 5xx after all retries.
    """

    def __init__(self, client: Client) -> None:
        self._pool = _Pool(client)  # and not super().__init__(), which makes a pool of its own

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await super().handle_async_request(request)
        told = told_of(response)
        return response if told is None or not told.led_to else _Redirected(response, told.led_to)


def http_client(
    source: SourceConfig,
    *,
    base_url: str | None = None,
    rate: Rate | None = None,
    budget: int | None = None,
    api_key: Callable[[], str | None] | None = None,
) -> httpx.AsyncClient:
    """An ordinary `httpx.AsyncClient` for one source, which keeps to the rate limit and the other rules of its description.

    >>> async with http_client(load_source("pokeapi")) as client:  # doctest: +SKIP
    ...     response = await client.get("pokemon/25/")

    It accepts paths below the base address and the source's full addresses. Close it with `async with` or `aclose()`.

    Args:
        base_url: overrides the source's own address.
        rate: requests per second, None for the source's own, or "unlimited" on private hosts.
        budget: the total number of requests allowed; None: no limit.
        api_key: returns the secret, or None for none; by default, the source's `credentials` are used.

    Raises ConfigurationError as a run's options do.

    """
    return httpx_over(Client.for_source(source, base_url=base_url, rate=rate, budget=budget, api_key=api_key))


def httpx_over(client: Client, transport: AsyncTransport | None = None) -> httpx.AsyncClient:
    """An ordinary httpx client over one of ours."""
    made = httpx.AsyncClient(
        transport=transport or AsyncTransport(client),
        base_url=client.base_url,
        headers=own_headers(client.source),
        timeout=client.source.requests.timeout.total_seconds(),
        cookies=CookieJar(_KeepsNone()),
    )
    del made.headers["accept-encoding"]  # (the client asks for what it can decode)
    return made


class _KeepsNone(DefaultCookiePolicy):
    """No cookies but those that the program itself sets: an API must not be able to tell one run from another."""

    def set_ok(self, cookie: Any, request: Any) -> bool:
        return False


class _Redirected(httpx.Response):
    """An answer whose `url` and `request` are those of the place where redirects have led."""

    def __init__(self, answer: httpx.Response, url: str) -> None:
        self._led_to = url
        super().__init__(answer.status_code, headers=answer.headers, stream=answer.stream, extensions=answer.extensions)

    @property
    def request(self) -> httpx.Request:
        return super().request

    @request.setter
    def request(self, value: httpx.Request) -> None:
        self._request = httpx.Request(
            value.method, self._led_to, headers=value.headers, stream=value.stream, extensions=value.extensions
        )


class _Pool(httpcore.AsyncConnectionPool):
    """A pool of one connection: the client."""

    def __init__(self, client: Client) -> None:
        super().__init__()
        self._client = client
        self._connection = _Connection(client)

    def create_connection(self, origin: httpcore.Origin) -> httpcore.AsyncConnectionInterface:
        return self._connection

    async def __aenter__(self) -> httpcore.AsyncConnectionPool:
        await self._connection.open()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        await super().aclose()
        await self._connection.aclose()


class _Connection(httpcore.AsyncConnectionInterface):
    """The client, as httpcore knows connections: open to any number of requests, which it queues itself."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._is_mine = False
        self._opening = asyncio.Lock()

    async def open(self) -> None:
        async with self._opening:
            if not self._client.is_open:
                await self._client.__aenter__()
                self._is_mine = True
                if self._client.keyless:  # (in a run its report says so)
                    _logger.warning("%s: %s", self._client.source.name, KEYLESS)

    async def aclose(self) -> None:
        if self._is_mine:
            self._is_mine = False
            await self._client.__aexit__(None, None, None)

    async def handle_async_request(self, request: httpcore.Request) -> httpcore.Response:
        if not self._client.is_open:
            await self.open()
        asked = _url(request.url)
        url, call = below(asked, self._client.base_url), await _call(request)
        try:
            answer = await self._client.request(url, call)
        except (Refused, KeyRefused) as error:
            answer = error.answer
        except TrawlError as error:
            raise as_httpx(error) from None
        led_to = "" if answer.url == asked or answer.url == self._client.target(url) else answer.url
        return httpcore.Response(
            answer.status,
            headers=_headers(answer, call),
            content=_Body(answer.body),
            extensions=Told(answer.at, led_to).extension(),
        )

    def can_handle_request(self, origin: httpcore.Origin) -> bool:
        return True

    def is_available(self) -> bool:
        return True

    def has_expired(self) -> bool:
        return False

    def is_idle(self) -> bool:
        return False

    def is_closed(self) -> bool:
        return False

    def info(self) -> str:
        return f"through the client of {self._client.source.name}"


class _Body:
    """A body that has come, as httpcore wants to read it."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._body


def _url(url: httpcore.URL) -> str:
    host = url.host.decode("ascii")
    host = f"[{host}]" if ":" in host else host
    port = "" if url.port is None else f":{url.port}"
    return f"{url.scheme.decode('ascii')}://{host}{port}{url.target.decode('ascii')}"


async def _call(request: httpcore.Request) -> Call:
    headers: dict[str, str] = {}
    for name, value in _asked(request.headers):
        key, text = name.decode("latin-1"), value.decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    assert isinstance(request.stream, AsyncIterable)
    body = b"".join([part async for part in request.stream])
    return Call(headers, request.method.decode("ascii"), body or None, _timeout(request.extensions.get("timeout", {})))


def _asked(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """What the program asks for, and not httpx by itself: that is the client's to say."""
    found = [(name.lower(), value) for name, value in headers]
    own = [(b"accept-encoding", b"identity")]
    if any(name == b"user-agent" and value.startswith(b"python-httpx/") for name, value in found):
        found = [
            (name, value) for name, value in found if name != b"user-agent" and (name, value) != (b"accept", b"*/*")
        ]
    return [(name, value) for name, value in found if name not in _OF_THE_WIRE or (name, value) in own]


def _timeout(asked: dict[str, float | None]) -> aiohttp.ClientTimeout | None:
    """To connect, and between two parts of an answer. Waiting for one's turn is politeness, and has no end of its own."""
    connect, read = asked.get("connect"), asked.get("read")
    if connect is None and read is None:
        return None
    return aiohttp.ClientTimeout(total=None if read is None else read * SLOWEST, sock_connect=connect, sock_read=read)


def _headers(answer: Response, call: Call) -> list[tuple[bytes, bytes]]:
    """An answer's headers without what speaks of its body as it came: it is decoded."""
    done = _DONE - {"content-length"} if call.method == "HEAD" else _DONE
    return [
        (name.encode("utf-8"), value.encode("utf-8"))
        for name, value in answer.headers.items()
        if name.lower() not in done
    ]
