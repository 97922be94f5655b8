"""The one door to the network: paced, bounded, retried GETs of one source.

Nothing else in Trawl speaks HTTP. It is aiohttp that does it here: httpx asks for ten times the CPU per request, and for
three times still when it sits on aiohttp's transport.
"""

import asyncio
import re
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from http import HTTPStatus
from types import TracebackType
from typing import Self
from urllib.parse import SplitResult, parse_qs, urljoin, urlsplit, urlunsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import stamina
from multidict import CIMultiDict, MultiMapping
from yarl import URL

from trawl.model.classify import Action, classify, wait_asked
from trawl.model.config import Credentials, Requests, SourceConfig
from trawl.model.errors import (
    BodyTooLarge,
    BudgetSpent,
    ConfigurationError,
    CredentialsRefused,
    RedirectRefused,
    Retriable,
    Skippable,
    Unreachable,
)

from .auth import Credential, read_secret
from .hosts import Rate, base_url_of, pace_of
from .pacing import Clock, CoolDown, Pacer, utc_now
from .wire import (
    DECODED,
    LONGEST_HEADER,
    Connector,
    Disconnected,
    StaleConnection,
    decoded,
    never_twice,
    received,
    told,
)

_MAX_REDIRECTS = 5
_DOTS = re.compile(r"/(?:%2e|\.)*%2e(?:%2e|\.)*(?=[/?#]|$)", re.IGNORECASE)
_ABSOLUTE = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_ENCODED = re.compile(r"[!#-;=?-\[\]_a-z~]*")  # what may stand in an address as it is
_LONGEST = 65_536  # characters of an address
_READ = ("etag", "last-modified", "content-type", "cache-control", "age", "date", "retry-after")  # to the letter
_BEGINNING = 4_096  # bytes that are kept of a body that is too large
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
    """An answer that is final for this run: neither a redirect nor one to retry. `url` is where redirects have led."""

    status: int
    action: Action
    headers: Mapping[str, str]
    body: bytes
    at: datetime
    url: str = ""


@dataclass(slots=True)
class Client:
    """GETs below one base address. An async context manager: it owns its connections.

    Attributes:
        base_url: what takes the place of the source's own address, already checked.
        requests_per_second: this process' share of the host's rate; None is unlimited.
        connections: how many requests may be in flight.
        budget: how many requests may be made in all; None is any number.
        api_key: gives the secret, or None for none; by default what the source's `credentials` refer to.

    """

    source: SourceConfig
    base_url: str
    clock: Clock
    cool_down: CoolDown
    requests_per_second: float | None
    connections: int
    budget: int | None = None
    api_key: Callable[[], str | None] | None = None
    traffic: Traffic = field(default_factory=Traffic)
    _session: aiohttp.ClientSession = field(init=False)
    _proxy: URL | None = field(init=False)
    _credential: Credential | None = field(init=False)
    _pacer: Pacer = field(init=False)
    _slots: asyncio.Semaphore = field(init=False)
    _answered: bool = field(default=False, init=False)

    @classmethod
    def for_source(
        cls,
        source: SourceConfig,
        *,
        base_url: str | None = None,
        rate: Rate | None = None,
        budget: int | None = None,
        api_key: Callable[[], str | None] | None = None,
        clock: Clock = utc_now,
    ) -> Self:
        """A client outside of a run, at the source's own pace, with connections and a cool-down of its own.

        >>> async with Client.for_source(source) as client:  # doctest: +SKIP
        ...     response = await client.get("pokemon/25/")

        Raises ConfigurationError as a run's options do.
        """
        address = base_url_of(source, base_url)
        return cls(source, address, clock, CoolDown(clock), *pace_of(source, address, rate), budget, api_key)

    async def __aenter__(self) -> Self:
        credentials = self.source.credentials
        key = read_secret(credentials) if self.api_key is None else self.api_key()
        sent_as = credentials or Credentials.model_construct()
        self._credential = None if key is None else Credential(sent_as, key, self.base_url)
        self._proxy = proxy_for(self.base_url)
        self._session = _session(self.source, self.connections, secure=self.base_url.startswith("https:"))
        self._pacer = Pacer(None)
        await self._pacer.change(self.requests_per_second)  # the last request of a run before may have just gone
        self._slots = asyncio.Semaphore(self.connections)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def pace(self, requests_per_second: float | None) -> None:
        """Go on at another rate: this process' share of the host's has changed."""
        self.requests_per_second = requests_per_second
        await self._pacer.change(requests_per_second)

    @property
    def keyless(self) -> bool:
        """Whether the source has `credentials`, and they hold no secret."""
        return self.source.credentials is not None and self._credential is None

    @property
    def spent(self) -> bool:
        """Whether the budget of requests is spent."""
        return self.budget is not None and self.traffic.requests >= self.budget

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
        # A validator that no header can carry is none: the answer is a whole one then.
        if etag is not None and etag.isascii():
            headers["If-None-Match"] = etag
        if last_modified is not None and last_modified.isascii():
            headers["If-Modified-Since"] = last_modified
        target = self.locate(url if self._credential is None else self._credential.unsigned(url))
        try:
            return await self._follow(target, params, headers)
        except Retriable as error:
            return await self._again(target, params, headers, error)

    async def _again(
        self, target: str, params: Mapping[str, str | int] | None, headers: dict[str, str], first: Retriable
    ) -> Response:
        """What stamina does from a first failure on: it costs too much to be asked where all goes well."""
        limits = self.source.requests
        try:
            async for attempt in stamina.retry_context(
                on=_wait_of,
                attempts=limits.attempts,
                timeout=None,
                wait_max=limits.max_backoff.total_seconds(),
            ):
                with attempt:
                    if attempt.num == 1:
                        raise first
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
        """The address to ask for: relative ones below the base, the source's own moved to it.

        Raises RedirectRefused for another host's, and for what is no address.
        """
        try:
            if not url.startswith("/") and not _ABSOLUTE.match(url):
                return _checked(f"{self.base_url}/{url}")
            own, base = urlsplit(self.source.base_url), urlsplit(self.base_url)
            parts = _lifted(_lifted(urlsplit(urljoin(self.source.base_url, url)), own), base)
            if _origin(parts) == _origin(own):
                below = parts.path == own.path or parts.path.startswith(own.path + "/")
                path = base.path + parts.path[len(own.path) :] if below else parts.path
                parts = parts._replace(scheme=base.scheme, netloc=base.netloc, path=path)
            if _origin(parts) == _origin(base) and "@" not in parts.netloc:
                return _checked(urlunsplit(parts))
        except ValueError:
            raise RedirectRefused(f"{url} is no address: refused") from None
        raise RedirectRefused(f"{url} is not on {self.base_url}: refused")

    async def _follow(self, url: str, params: Mapping[str, str | int] | None, headers: dict[str, str]) -> Response:
        asked: str | None = None
        for _ in range(_MAX_REDIRECTS + 1):
            response = await self._once(url, params, headers)
            if response.action is not Action.REDIRECT:
                return response
            here = _address(url, params)
            asked = here.raw_query_string if asked is None else asked
            try:
                url, params = self._target(str(here), response, asked), None
            except RedirectRefused as error:
                raise _of(error, response.status, response.headers, response.body) from None
        endless = RedirectRefused(f"more than {_MAX_REDIRECTS} redirects, last to {url}")
        raise _of(endless, response.status, response.headers, response.body)

    def _target(self, url: str, response: Response, asked: str) -> str:
        """Where a redirect leads. Raises RedirectRefused, without the secret in it."""
        target = response.headers.get("location")
        if not target:
            raise RedirectRefused(self._hidden(f"{url}: {response.status} without a Location: refused"))
        try:
            return _led(asked, url, self.locate(_joined(url, target)))
        except RedirectRefused as error:
            raise RedirectRefused(self._hidden(error.message)) from None

    async def _once(self, url: str, params: Mapping[str, str | int] | None, headers: dict[str, str]) -> Response:
        async with self._slots:
            try:
                answer, body, wait = await self._ask(url, params, headers)
            except StaleConnection:
                # The server had closed a connection that was kept open, just as the request went out: no failure of its.
                answer, body, wait = await self._ask(url, params, headers)
        self.traffic.bytes += len(body)
        return self._judge(url, answer, body, wait)

    async def _ask(
        self, url: str, params: Mapping[str, str | int] | None, headers: dict[str, str]
    ) -> tuple[aiohttp.ClientResponse, bytes, timedelta | None]:
        """One request over the wire, once its turn has come: the answer, its body, and the wait that it asks for."""
        limits = self.source.requests
        await self._turn()
        if self.spent:
            raise BudgetSpent(f"the budget of {self.budget} requests is spent")
        self.traffic.requests += 1
        try:
            address, signed = self._signed(_address(url, params), headers)
            async with self._session.get(address, headers=signed, allow_redirects=False, proxy=self._proxy) as answer:
                self._answered = True
                wait = await self._heed(answer)
                try:
                    return answer, await _read(answer, limits), wait
                except BodyTooLarge as error:
                    raise _of(error, answer.status, self._clean(answer.headers), error.body) from None
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError):
            raise RedirectRefused(f"{url} is no address that can be asked: refused") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            if isinstance(error, TimeoutError) and not isinstance(error, aiohttp.ClientError):
                raise Retriable(f"{url}: no complete answer in {limits.timeout * _SLOWEST}") from None
            # What is no answer that can be read is one all the same: the host is there.
            self._answered = self._answered or isinstance(error, aiohttp.ClientResponseError)
            fault = StaleConnection if isinstance(error, Disconnected) and error.reused else Retriable
            raise fault(self._hidden(f"{url}: {told(error)}")) from None

    def _signed(self, address: URL, headers: dict[str, str]) -> tuple[URL, dict[str, str]]:
        return (address, headers) if self._credential is None else self._credential.sign(address, headers)

    def _hidden(self, text: str) -> str:
        return text if self._credential is None else self._credential.hide(text)

    def _clean(self, headers: MultiMapping[str]) -> Mapping[str, str]:
        """An answer's headers without the secret: they are shown, kept in quarantine, and lead on to other addresses."""
        headers, credential = received(headers), self._credential
        if credential is None:
            return headers
        clean = {"location": credential.unsigned, "link": credential.unsigned} | dict.fromkeys(_READ, str)
        return CIMultiDict((name, clean.get(name.lower(), credential.hide)(value)) for name, value in headers.items())

    async def _turn(self) -> None:
        """Wait for this request's place in the pace; a cool-down that begins meanwhile costs the place."""
        while True:
            await self.cool_down.over()
            await self._pacer.turn()
            if self.cool_down.until is None:
                return

    async def _heed(self, answer: aiohttp.ClientResponse) -> timedelta | None:
        """Begin the cool-down that an answer asks for, before its body has come; how long it is."""
        if classify(answer.status) not in {Action.RETRY, Action.LATER}:
            return None
        wait = wait_asked(answer.headers, answer.status, self.clock(), self.source.requests.max_retry_after)
        if wait is not None or answer.status == HTTPStatus.TOO_MANY_REQUESTS:
            await self.cool_down.start(wait or timedelta(seconds=1))
        return wait

    def _judge(self, url: str, answer: aiohttp.ClientResponse, body: bytes, wait: timedelta | None) -> Response:
        action, now = classify(answer.status), self.clock()
        if action is Action.NOT_MODIFIED:
            self.traffic.not_modified += 1
        elif action is Action.FATAL:
            raise CredentialsRefused(
                f"{url}: {answer.status} {answer.reason}",
                remedy="check what `credentials` of the source refers to",
            )
        elif action is Action.RETRY:
            raise Retriable(f"{url}: {answer.status} {answer.reason}", wait=wait)
        return Response(answer.status, action, self._clean(answer.headers), body, now, url)


def _of(error: Skippable, status: int, headers: Mapping[str, str], body: bytes) -> Skippable:
    """A refusal with what is known of its answer: both are kept in quarantine."""
    error.status, error.headers, error.body = status, headers, body
    return error


@cache
def _tls() -> ssl.SSLContext:
    """The system's certificates, read once: that takes 30 ms."""
    return ssl.create_default_context()


def _session(source: SourceConfig, connections: int, *, secure: bool) -> aiohttp.ClientSession:
    headers = CIMultiDict({"User-Agent": user_agent(source), "Accept": "application/json"})
    headers.update(source.headers)
    limit = source.requests.timeout.total_seconds()
    return aiohttp.ClientSession(
        connector=Connector(limit=connections, ssl=_tls() if secure else True, keepalive_timeout=30),
        headers=headers,
        timeout=aiohttp.ClientTimeout(total=limit * _SLOWEST, sock_connect=limit, sock_read=limit),
        # No cookies: an API that sets them must not be able to tell one run's requests from another's.
        cookie_jar=aiohttp.DummyCookieJar(),
        middlewares=(never_twice,),
        max_line_size=LONGEST_HEADER,
        max_field_size=LONGEST_HEADER,
    )


def user_agent(source: SourceConfig) -> str:
    """Who asks, with an address to complain to, unless the source names itself."""
    from importlib.metadata import version  # noqa: PLC0415

    return source.user_agent or f"trawl/{version('trawl')} (+https://github.com/trawl-crawler/trawl)"


def proxy_for(url: str) -> URL | None:
    """The proxy that the environment (HTTPS_PROXY, NO_PROXY, ...) names for this address.

    Raises ConfigurationError for one that cannot be used.
    """
    parts = urlsplit(url)
    known = getproxies()
    named = next((name for name in (parts.scheme, "all") if known.get(name)), "")
    proxy = known.get(named)
    if not proxy or proxy_bypass(parts.hostname or ""):
        return None
    try:
        found = URL(proxy if "://" in proxy else f"http://{proxy}")
        usable = found.scheme in {"http", "https"} and bool(found.host)
    except ValueError:
        usable = False
    if not usable:
        raise ConfigurationError(
            f"the proxy that {named}_proxy in the environment names is no http(s) address",
            remedy=f"name an http(s) proxy in {named}_proxy, or {parts.hostname} in no_proxy",
        )
    return found


def _origin(parts: SplitResult) -> tuple[str, str | None, int | None]:
    """Scheme, host and port, the scheme's own port said aloud. Raises ValueError for no port at all."""
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _lifted(parts: SplitResult, origin: SplitResult) -> SplitResult:
    """The address by https, where the origin is asked by that and the address differs in nothing but the scheme.

    Many an API behind a proxy writes its links so. Nothing is ever lowered to http.
    """
    ports = (parts.port or 80, origin.port or 443)
    same = parts.hostname == origin.hostname and (ports == (80, 443) or ports[0] == ports[1])
    if (parts.scheme, origin.scheme) != ("http", "https") or not same or "@" in parts.netloc:
        return parts
    return parts._replace(scheme="https", netloc=origin.netloc)


def _joined(url: str, target: str) -> str:
    try:
        return urljoin(url, target)
    except ValueError:
        raise RedirectRefused(f"{target} is no address: refused") from None


def _led(asked: str, url: str, target: str) -> str:
    """Where a redirect leads, with the query that was asked for.

    Frameworks that add a slash at the end of a path forget the query: it is sent again. Raises RedirectRefused where the
    target changes it, or is another path without it: what comes from there is no answer to what was asked.
    """
    before, after = urlsplit(url), urlsplit(target)
    if not asked or _values(asked).items() <= _values(after.query).items():
        return target
    if not after.query and before.path.rstrip("/") == after.path.rstrip("/"):
        return urlunsplit(after._replace(query=asked, fragment=""))
    raise RedirectRefused(f"{url} leads to {target}, which is not what was asked for ({asked}): refused")


def _values(query: str) -> dict[str, list[str]]:
    return parse_qs(query, keep_blank_values=True)


def _checked(url: str) -> str:
    """The address, unless it has a segment that says `.` in code: on its way it would become another one."""
    if _DOTS.search(url):
        raise RedirectRefused(f"{url}: a path cannot hold a record's empty, '.' or '..': refused")
    if len(url) > _LONGEST:
        raise RedirectRefused(f"{url[:200]}... is longer than {_LONGEST} characters: refused")
    return url


def _address(url: str, params: Mapping[str, str | int] | None) -> URL:
    """The address as it goes out: what is encoded well already stays to the letter."""
    address = URL(url, encoded=_ENCODED.fullmatch(url) is not None)
    return address.extend_query(params) if params else address


async def _read(answer: aiohttp.ClientResponse, limits: Requests) -> bytes:
    """The decompressed body, at most `max_bytes` of it."""
    encoding = answer.headers.get("content-encoding", "").strip().lower()
    declared = answer.headers.get("content-length", "")
    chunks: list[bytes] = []
    size = int(declared) if declared.isdigit() else 0
    if size <= limits.max_bytes:
        size = 0
        async for chunk in answer.content.iter_any():
            size += len(chunk)
            chunks.append(chunk)
            if size > limits.max_bytes:
                break
    if size > limits.max_bytes:
        error = BodyTooLarge(f"the body is larger than {limits.max_bytes} bytes (`requests.max_bytes`)")
        error.body = b"".join(chunks[:1])[:_BEGINNING]
        raise error
    body = b"".join(chunks)
    return body if encoding in DECODED else decoded(body, encoding, limits.max_bytes)


def _wait_of(error: Exception) -> bool | float | timedelta:
    """Whether to try again: the API's own wait, where it named one, takes the place of stamina's back-off."""
    if not isinstance(error, Retriable):
        return False
    return True if error.wait is None else error.wait
