"""The one door to the network: paced, bounded, retried GETs of one source.

Nothing else in Trawl imports httpx. Its transport is aiohttp's, which costs a quarter of the CPU per request.
"""

import asyncio
import ssl
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http import HTTPStatus
from types import TracebackType
from typing import Self
from urllib.parse import urljoin, urlsplit

import aiohttp
import httpx
import stamina
from httpx_aiohttp import AiohttpTransport

from trawl.model.classify import Action, classify, retry_after
from trawl.model.config import Requests, SourceConfig
from trawl.model.errors import (
    BodyTooLarge,
    BudgetSpent,
    ConfigurationError,
    CredentialsRefused,
    RedirectRefused,
    Retriable,
    Unreachable,
)

from .auth import Credential, SecretLoader, read_secret
from .pacing import Clock, CoolDown, pacer

_MAX_REDIRECTS = 5
_SLOWEST = 10  # a whole answer may take this many times the timeout of one read


@dataclass(slots=True)
class Traffic:
    """What went over the wire so far; `bytes` are those of bodies, decompressed."""

    requests: int = 0
    not_modified: int = 0
    bytes: int = 0
    retries: int = 0


@dataclass(frozen=True, slots=True)
class Response:
    """An answer that is final for this run: neither a redirect nor one to retry."""

    status: int
    action: Action
    headers: Mapping[str, str]
    body: bytes
    at: datetime


@dataclass(slots=True)
class Client:
    """GETs below one base address. An async context manager: it owns its connections.

    Attributes:
        base_url: what takes the place of the source's own address, already checked.
        requests_per_second: this process' share of the host's rate; None is unlimited.
        connections: how many requests may be in flight.
        budget: how many requests may be made in all; None is any number.
    """

    source: SourceConfig
    base_url: str
    clock: Clock
    cool_down: CoolDown
    requests_per_second: float | None
    connections: int
    budget: int | None = None
    load_block: SecretLoader | None = None
    traffic: Traffic = field(default_factory=Traffic)
    _http: httpx.AsyncClient = field(init=False)
    _pacer: AbstractAsyncContextManager[None] = field(init=False)
    _slots: asyncio.Semaphore = field(init=False)
    _answered: bool = field(default=False, init=False)

    async def __aenter__(self) -> Self:
        limits = self.source.requests
        auth = None
        if self.source.credentials is not None:
            secret = read_secret(self.source.credentials, self.load_block)
            auth = Credential(self.source.credentials, secret, httpx.URL(self.base_url))
        self._http = httpx.AsyncClient(
            transport=AiohttpTransport(client=self._session),
            headers={"User-Agent": user_agent(self.source), "Accept": "application/json", **self.source.headers},
            timeout=limits.timeout.total_seconds(),
            auth=auth,
        )
        self._pacer = pacer(self.requests_per_second)
        self._slots = asyncio.Semaphore(self.connections)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def get(
        self,
        url: str,
        *,
        params: Mapping[str, str | int] | None = None,
        etag: str | None = None,
        last_modified: str | None = None,
    ) -> Response:
        """GET a relative path or a full address of the source, conditionally where a validator is given.

        Raises:
            Retriable: every attempt failed in a way that passes.
            Skippable: the body is too large, the redirect leads away, or the budget is spent.
            Unreachable, CredentialsRefused: the run cannot go on.
        """
        headers = {}
        if etag is not None:
            headers["If-None-Match"] = etag
        if last_modified is not None:
            headers["If-Modified-Since"] = last_modified
        target = self.locate(url)
        limits = self.source.requests
        try:
            async for attempt in stamina.retry_context(
                on=_wait_of,
                attempts=limits.attempts,
                timeout=None,
                wait_max=limits.max_backoff.total_seconds(),
            ):
                with attempt:
                    if attempt.num > 1:
                        self.traffic.retries += 1
                    return await self._follow(target, params, headers)
        except Retriable as error:
            if not self._answered:
                raise Unreachable(
                    f"cannot reach {self.base_url}: {error.message}",
                    remedy="check the address (--base-url, `base_url` of the source) and the network",
                ) from None
            raise
        raise AssertionError("stamina returns or raises")

    def locate(self, url: str) -> str:
        """The address to ask for: relative ones below the base, the source's own moved to it. Refuses other hosts."""
        if "://" not in url and not url.startswith("//"):
            if url.startswith("/"):
                return self._same_host(urljoin(self.base_url, url))
            return f"{self.base_url}/{url}"
        own = self.source.base_url
        if url == own or url.startswith(own + "/"):
            return self.base_url + url[len(own) :]
        return self._same_host(url)

    def _same_host(self, url: str) -> str:
        if urlsplit(url)[:2] != urlsplit(self.base_url)[:2]:
            raise RedirectRefused(f"{url} is not on {self.base_url}: refused")
        return url

    async def _follow(
        self, url: str, params: Mapping[str, str | int] | None, headers: dict[str, str]
    ) -> Response:
        for _ in range(_MAX_REDIRECTS + 1):
            response = await self._once(url, params, headers)
            if response.action is not Action.REDIRECT:
                return response
            target = urljoin(url, response.headers.get("location", ""))
            url, params = self.locate(target), None
        raise RedirectRefused(f"more than {_MAX_REDIRECTS} redirects, last to {url}")

    async def _once(self, url: str, params: Mapping[str, str | int] | None, headers: dict[str, str]) -> Response:
        limits = self.source.requests
        async with self._slots:
            await self._turn()
            if self.budget is not None and self.traffic.requests >= self.budget:
                raise BudgetSpent(f"the budget of {self.budget} requests is spent")
            self.traffic.requests += 1
            try:
                async with asyncio.timeout(limits.timeout.total_seconds() * _SLOWEST):
                    request = self._http.build_request("GET", url, params=params, headers=headers)
                    answer = await self._http.send(request, stream=True)
                    try:
                        body = await _read(answer, limits)
                    finally:
                        await answer.aclose()
            except TimeoutError:
                raise Retriable(f"{url}: no complete answer in {limits.timeout * _SLOWEST}") from None
            except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
                raise ConfigurationError(f"{url} is no address that can be asked: {error}") from None
            except (httpx.HTTPError, aiohttp.ClientError, OSError, ValueError) as error:
                raise Retriable(f"{url}: {type(error).__name__}: {error}") from None
        self._answered = True
        self.traffic.bytes += len(body)
        return await self._judge(url, answer, body)

    async def _turn(self) -> None:
        """Wait for this request's place in the pace; a cool-down that begins meanwhile costs the place."""
        while True:
            await self.cool_down.over()
            async with self._pacer:
                if self.cool_down.until is None:
                    return

    async def _judge(self, url: str, answer: httpx.Response, body: bytes) -> Response:
        action, now = classify(answer.status_code), self.clock()
        if action is Action.NOT_MODIFIED:
            self.traffic.not_modified += 1
        elif action is Action.FATAL:
            raise CredentialsRefused(
                f"{url}: {answer.status_code} {answer.reason_phrase}",
                remedy="check what `credentials` of the source refers to",
            )
        elif action is Action.RETRY:
            wait = retry_after(answer.headers.get("retry-after"), now, self.source.requests.max_retry_after)
            if wait is not None or answer.status_code == HTTPStatus.TOO_MANY_REQUESTS:
                await self.cool_down.start(wait or timedelta(seconds=1))
            raise Retriable(f"{url}: {answer.status_code} {answer.reason_phrase}", wait=wait)
        return Response(answer.status_code, action, answer.headers, body, now)

    def _session(self) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            limit=self.connections, ssl=ssl.create_default_context(), keepalive_timeout=30
        )
        # No cookies: an API that sets them must not be able to tell one run's requests from another's.
        return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trust_env=True)


def user_agent(source: SourceConfig) -> str:
    """Who asks, with an address to complain to, unless the source names itself."""
    from importlib.metadata import version  # noqa: PLC0415

    return source.user_agent or f"trawl/{version('trawl')} (+https://github.com/trawl-crawler/trawl)"


async def _read(answer: httpx.Response, limits: Requests) -> bytes:
    """The decompressed body, at most `max_bytes` of it."""
    declared = answer.headers.get("content-length", "")
    chunks: list[bytes] = []
    size = int(declared) if declared.isdigit() else 0
    if size <= limits.max_bytes:
        size = 0
        async for chunk in answer.aiter_bytes():
            size += len(chunk)
            if size > limits.max_bytes:
                break
            chunks.append(chunk)
    if size > limits.max_bytes:
        raise BodyTooLarge(f"the body is larger than {limits.max_bytes} bytes (`requests.max_bytes`)")
    return b"".join(chunks)


def _wait_of(error: Exception) -> bool | float | timedelta:
    """stamina's question, whether to try again: the API's own wait, where it named one, takes the back-off's place."""
    if not isinstance(error, Retriable):
        return False
    return True if error.wait is None else error.wait
