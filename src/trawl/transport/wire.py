"""What goes wrong on the wire, and what comes over it: aiohttp's side of the client, in our own words."""

import zlib
from contextvars import ContextVar
from enum import StrEnum
from functools import partial
from typing import Any
from weakref import WeakSet

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.http import HttpProcessingError
from multidict import CIMultiDict, MultiMapping

from trawl.model.errors import BodyTooLarge, BrokenBody, Retriable

LONGEST_HEADER = 65_536
"""Bytes of one header line, name and value: aiohttp's own limit of 8 kB is less than some APIs send."""

DECODED = frozenset({"", "identity", "gzip", "deflate", "br", "zstd"})
"""Content encodings that aiohttp decodes (of the last two it asks for those only that it can)."""

_LISTS = ("link", "cache-control", "ratelimit")  # of which several lines are one list
_reused: ContextVar[bool] = ContextVar("reused", default=False)


class Fault(StrEnum):
    """Where a request broke: only what never left can have done nothing."""

    CONNECT = "connect"
    CONNECT_TIMEOUT = "connect timeout"
    READ_TIMEOUT = "read timeout"
    PROTOCOL = "protocol"  # cut, or no HTTP that can be read


class Broken(Retriable):
    """No answer came, or not all of it."""

    def __init__(self, message: str, fault: Fault) -> None:
        super().__init__(message)
        self.fault = fault


class StaleConnection(Broken):
    """The server had closed a connection that was kept open before the request reached it."""


class Disconnected(aiohttp.ClientPayloadError):
    """The connection was cut before an answer began. `reused`: it had carried a request before."""

    def __init__(self, message: str, *, reused: bool) -> None:
        super().__init__(message)
        self.reused = reused


class _Answers(ResponseHandler):
    """Ends a body as soon as it is no HTTP any longer: aiohttp would wait for the rest until all time is up."""

    def set_exception(self, exc: BaseException, *cause: BaseException) -> None:
        super().set_exception(exc, *cause)
        if isinstance(exc, HttpProcessingError) and self._payload is not None and not self._payload.is_eof():
            self._payload.set_exception(aiohttp.ClientPayloadError(exc.message))


class Connector(aiohttp.TCPConnector):
    """Knows of each request whether its connection carried another one before."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._factory = partial(_Answers, loop=self._loop)  # type: ignore[assignment]
        self._seen: WeakSet[Any] = WeakSet()

    async def connect(self, *arguments: Any, **options: Any) -> Any:
        connection = await super().connect(*arguments, **options)
        _reused.set(connection.protocol in self._seen)
        if connection.protocol is not None:
            self._seen.add(connection.protocol)
        return connection


async def never_twice(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Keep aiohttp from asking again, at once and past pace and budget, where a connection was cut."""
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise  # not asked again
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise Disconnected("the connection was closed without an answer", reused=_reused.get()) from error


def fault_in(error: Exception) -> Fault:
    """Where aiohttp's error says that a request broke."""
    match error:
        case aiohttp.ConnectionTimeoutError():
            return Fault.CONNECT_TIMEOUT
        case aiohttp.ClientConnectorError():
            return Fault.CONNECT
        case TimeoutError():
            return Fault.READ_TIMEOUT
        case _:
            return Fault.PROTOCOL


def told(error: Exception) -> str:
    """What went wrong, in the words of the system where it was that."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError):
        return f"no secure connection: {error}"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return f"the name {error.host} is not known: {error.os_error.strerror or error.os_error}"
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"no connection: {error.os_error.strerror or error.os_error}"
    if isinstance(error, Disconnected):
        return str(error)
    if isinstance(error, aiohttp.ClientResponseError) and "Got more than" in error.message:
        return f"a header of the answer is longer than {LONGEST_HEADER} bytes"
    if isinstance(error, aiohttp.ClientResponseError):
        return f"the answer is no HTTP that can be read: {' '.join(error.message.split())}"
    if isinstance(error, aiohttp.ClientPayloadError):
        return f"the body cannot be read to its end: {' '.join(str(error).split())}"
    return f"{type(error).__name__}: {error}"


def received(headers: MultiMapping[str]) -> MultiMapping[str]:
    """An answer's headers as text that can be kept, with all lines of a list in one: done where they come in, and once."""
    if all(map(str.isascii, headers.values())) and not any(len(headers.getall(name, ())) > 1 for name in _LISTS):
        return headers
    clean = CIMultiDict((name, _text(value)) for name, value in headers.items())
    for name in _LISTS:
        if name in clean:
            clean[name] = ", ".join(clean.getall(name))
    return clean


def decoded(body: bytes, encoding: str, most: int) -> bytes:
    """A body that aiohttp left encoded. Raises BrokenBody for an encoding that nobody asked for."""
    if encoding != "x-gzip":
        raise BrokenBody(f"the body is encoded as {encoding[:40]!r}, which cannot be read")
    unpack = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        found = unpack.decompress(body, most + 1)
    except zlib.error as error:
        raise Retriable(f"the body cannot be read to its end: {error}") from None
    if len(found) > most:
        raise BodyTooLarge(f"the body is larger than {most} bytes (`requests.max_bytes`)")
    if not unpack.eof:
        raise Retriable("the body cannot be read to its end: it is cut off")
    return found


def _text(value: str) -> str:
    """A header that holds bytes beyond ASCII: as UTF-8 if they are that, else as Latin-1."""
    if value.isascii():
        return value
    raw = value.encode("utf-8", "surrogateescape")
    try:
        found = raw.decode()
    except UnicodeDecodeError:
        found = raw.decode("latin-1")
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in found)  # (never another value's text)
