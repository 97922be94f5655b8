"""The one door to the network: paced, bounded, retried requests of one source.

Nothing else in Trawl speaks HTTP. It is aiohttp that does it here: httpx asks for ten times the CPU per request, and for
three times still when it sits on aiohttp's transport.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from http import HTTPStatus
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import aiohttp
import stamina
from multidict import CIMultiDict, MultiMapping
from yarl import URL

from trawl.model.classify import Action, classify, wait_asked
from trawl.model.config import Credentials, Requests, SourceConfig
from trawl.model.errors import (
    BodyTooLarge,
    BudgetSpent,
    CredentialsRefused,
    RedirectRefused,
    Retriable,
    Skippable,
    Unreachable,
)

from .addresses import as_sent, joined, led, locate
from .auth import Credential, read_secret
from .hosts import Rate, base_url_of, pace_of
from .pacing import Clock, CoolDown, Pacer, utc_now
from .session import SLOWEST, open_session, proxy_for
from .wire import DECODED, Broken, Disconnected, Fault, StaleConnection, decoded, fault_in, received, told

if TYPE_CHECKING:
    import httpx

KEYLESS = "no API key: what `credentials` refers to is not there or is a placeholder, so requests are sent without one"

_MAX_REDIRECTS = 5
_READ = ("etag", "last-modified", "content-type", "cache-control", "age", "date", "retry-after")  # to the letter
_BEGINNING = 4_096  # bytes that are kept of a body that is too large
_IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})  # RFC 9110, 9.2.2


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


class Refused(Retriable):
    """The API refused for now, and goes on doing so: its last answer is at hand."""

    def __init__(self, answer: Response, reason: str | None, wait: timedelta | None) -> None:
        super().__init__(f"{answer.url}: {answer.status} {reason}", wait=wait)
        self.answer = answer


_OURS = tuple(f"{kind.__name__}(" for kind in (Retriable, Refused, Broken, StaleConnection))


def _of_another(record: logging.LogRecord) -> bool:
    return not vars(record).get("stamina.caused_by", "").startswith(_OURS)


# A crawl has thousands of retries, which it counts; stamina would warn of each, in a pod's output or on a terminal.
logging.getLogger("stamina").addFilter(_of_another)


class KeyRefused(CredentialsRefused):
    """A 401, which is at hand: it may ask for other credentials (RFC 9110, 11.6.1)."""

    def __init__(self, answer: Response, reason: str | None) -> None:
        super().__init__(
            f"{answer.url}: {answer.status} {reason}", remedy="check what `credentials` of the source refers to"
        )
        self.answer = answer


@dataclass(frozen=True, slots=True)
class Call:
    """What is asked, but for the address.

    Attributes:
        timeout: in the place of what the source's `requests.timeout` says.

    """

    headers: dict[str, str]
    method: str = "GET"
    body: bytes | None = None
    timeout: aiohttp.ClientTimeout | None = None

    @property
    def idempotent(self) -> bool:
        """Whether asking twice does the same as asking once."""
        return self.method in _IDEMPOTENT

    def redirected(self, status: int) -> "Call":
        """What is asked at the place where a redirect leads (RFC 9110, 15.4)."""
        see_other = status == HTTPStatus.SEE_OTHER and self.method != "HEAD"
        moved = status in {HTTPStatus.MOVED_PERMANENTLY, HTTPStatus.FOUND} and self.method == "POST"
        if self.method == "GET" or not (see_other or moved):
            return self
        headers = {name: value for name, value in self.headers.items() if not name.lower().startswith("content-")}
        return replace(self, headers=headers, method="GET", body=None)

    def wait_before_another(self, error: Exception) -> bool | float | timedelta:
        """Whether to try again: the API's own wait, where it named one, takes the place of stamina's back-off.

        What is not idempotent may have been done already, unless it never left or was refused with a time to come back.
        """
        if not isinstance(error, Retriable):
            return False
        if not self.idempotent:
            never_left = isinstance(error, Broken) and error.fault in {Fault.CONNECT, Fault.CONNECT_TIMEOUT}
            told_when = isinstance(error, Refused) and error.wait is not None and error.answer.status in {429, 503}
            if not (never_left or told_when):
                return False
        return True if error.wait is None else error.wait


@dataclass(slots=True)
class Client:
    """Requests below one base address. An async context manager: it owns its connections.

    Attributes:
        base_url: what takes the place of the source's own address, already checked.
        requests_per_second: this process' share of the host's rate; None is unlimited.
        connections: how many requests may be in flight.
        budget: the total number of requests allowed; None: no limit.
        api_key: returns the secret, or None for none; by default, the source's `credentials` are used.

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
    _http: "httpx.AsyncClient | None" = field(default=None, init=False)

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
        self._session = open_session(self.source, self.connections, secure=self.base_url.startswith("https:"))
        self._pacer = Pacer(None)
        await self._pacer.change(self.requests_per_second)  # the last request of a run before may have just gone
        self._slots = asyncio.Semaphore(self.connections)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    @property
    def is_open(self) -> bool:
        """Whether somebody has opened it, and not closed it since."""
        return hasattr(self, "_session") and not self._session.closed

    @property
    def http(self) -> "httpx.AsyncClient":
        """The same as an httpx client: always the same one, and nobody has to close it."""
        if self._http is None:
            from .asynctransport import httpx_over  # noqa: PLC0415  httpx takes 0.1 s to load: only where it is used

            self._http = httpx_over(self)
        return self._http

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
        return await self._send(url, params, Call(headers))

    async def request(self, url: str, call: Call) -> Response:
        """Any request, under the same rules; what is not idempotent is only repeated where it cannot have been done.

        Raises as `get` does, of a refusal `Refused` or `KeyRefused`.
        """
        return await self._send(url, None, call)

    async def _send(self, url: str, params: Mapping[str, str | int] | None, call: Call) -> Response:
        target = self.target(url)
        try:
            return await self._follow(target, params, call)
        except Retriable as error:
            return await self._again(target, params, call, error)

    async def _again(
        self, target: str, params: Mapping[str, str | int] | None, call: Call, first: Retriable
    ) -> Response:
        """What stamina does from a first failure on: it costs too much to be asked where all goes well."""
        limits = self.source.requests
        try:
            async for attempt in stamina.retry_context(
                on=call.wait_before_another,
                attempts=limits.attempts,
                timeout=None,
                wait_max=limits.max_backoff.total_seconds(),
            ):
                with attempt:
                    if attempt.num == 1:
                        raise first
                    self.traffic.retries += 1
                    return await self._follow(target, params, call)
        except Retriable as error:
            if not self._answered:
                raise Unreachable(
                    f"cannot reach {self.base_url}: {error.message}",
                    remedy="check the address (--base-url, `base_url` of the source) and the network",
                ) from error
            raise
        raise AssertionError("stamina returns or raises")

    def target(self, url: str) -> str:
        """The address to begin with: a secret in its query is taken out, and added anew where it goes out."""
        return self.locate(url if self._credential is None else self._credential.unsigned(url))

    def locate(self, url: str) -> str:
        """The address to ask for: relative ones below the base, the source's own moved to it.

        Raises RedirectRefused for another host's, and for what is not an address.
        """
        return locate(url, self.source.base_url, self.base_url)

    async def _follow(self, url: str, params: Mapping[str, str | int] | None, call: Call) -> Response:
        asked: str | None = None
        for _ in range(_MAX_REDIRECTS + 1):
            response = await self._once(url, params, call)
            if response.action is not Action.REDIRECT:
                return response
            here, next_call = as_sent(url, params), call.redirected(response.status)
            if next_call is not call:
                asked = ""  # the answer to what was sent lies elsewhere: that is another question
            asked = here.raw_query_string if asked is None else asked
            try:
                url, params, call = self._target(str(here), response, asked), None, next_call
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
            return led(asked, url, self.locate(joined(url, target)))
        except RedirectRefused as error:
            raise RedirectRefused(self._hidden(error.message)) from None

    async def _once(self, url: str, params: Mapping[str, str | int] | None, call: Call) -> Response:
        async with self._slots:
            try:
                answer, body, wait = await self._ask(url, params, call)
            except StaleConnection:
                # The server had closed a connection that was kept open, just as the request went out: no failure of its.
                if not call.idempotent:
                    raise
                answer, body, wait = await self._ask(url, params, call)
        self.traffic.bytes += len(body)
        return self._judge(url, answer, body, wait)

    async def _ask(
        self, url: str, params: Mapping[str, str | int] | None, call: Call
    ) -> tuple[aiohttp.ClientResponse, bytes, timedelta | None]:
        """One request over the wire, once its turn has come: the answer, its body, and the wait that it asks for."""
        limits = self.source.requests
        await self._turn()
        if self.spent:
            raise BudgetSpent(f"the budget of {self.budget} requests is spent")
        self.traffic.requests += 1
        try:
            address, signed = self._signed(as_sent(url, params), call.headers)
            async with self._session.request(
                call.method,
                address,
                headers=signed,
                data=call.body,
                allow_redirects=False,
                proxy=self._proxy,
                **_unless_usual(call),
            ) as answer:
                self._answered = True
                wait = await self._heed(answer)
                try:
                    return answer, await _read(answer, limits), wait
                except BodyTooLarge as error:
                    raise _of(error, answer.status, self._clean(answer.headers), error.body) from None
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError):
            raise RedirectRefused(f"{url} is not an address that can be requested: refused") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            if isinstance(error, TimeoutError) and not isinstance(error, aiohttp.ClientError):
                whole = limits.timeout.total_seconds() * SLOWEST if call.timeout is None else call.timeout.total
                within = "time" if whole is None else f"{whole:g} s"
                raise Broken(f"{url}: no complete answer in {within}", Fault.READ_TIMEOUT) from None
            # What is no answer that can be read is one all the same: the host is there.
            self._answered = self._answered or isinstance(error, aiohttp.ClientResponseError)
            fault = StaleConnection if isinstance(error, Disconnected) and error.reused else Broken
            raise fault(self._hidden(f"{url}: {told(error)}"), fault_in(error)) from None

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
        response = Response(
            answer.status, classify(answer.status), self._clean(answer.headers), body, self.clock(), url
        )
        if response.action is Action.NOT_MODIFIED:
            self.traffic.not_modified += 1
        elif response.action is Action.FATAL:
            raise KeyRefused(response, answer.reason)
        elif response.action is Action.RETRY:
            raise Refused(response, answer.reason, wait)
        return response


def _of(error: Skippable, status: int, headers: Mapping[str, str], body: bytes) -> Skippable:
    """A refusal with what is known of its answer: both are kept in quarantine."""
    error.status, error.headers, error.body = status, headers, body
    return error


async def _read(answer: aiohttp.ClientResponse, limits: Requests) -> bytes:
    """The decompressed body, at most `max_bytes` of it."""
    encoding = answer.headers.get("content-encoding", "").strip().lower()
    declared = answer.headers.get("content-length", "")
    chunks: list[bytes] = []
    size = int(declared) if declared.isdigit() and answer.method != "HEAD" else 0
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


def _unless_usual(call: Call) -> dict[str, Any]:
    """What only some requests say to aiohttp."""
    options: dict[str, Any] = {}
    if call.timeout is not None:
        options["timeout"] = call.timeout
    if call.body is not None:
        options["skip_auto_headers"] = ("Content-Type",)
    return options
