"""The client's errors as httpx's: each is both, so `except httpx.ConnectError` and the engine's judgement hold alike."""

import httpx

from trawl.model.errors import (
    BodyTooLarge,
    BrokenBody,
    BudgetSpent,
    RedirectRefused,
    Retriable,
    TrawlError,
    Unreachable,
)

from .wire import Broken, Fault


class ConnectFailed(Retriable, httpx.ConnectError):
    """No connection."""


class ConnectTimedOut(Retriable, httpx.ConnectTimeout):
    """No connection in time."""


class ReadTimedOut(Retriable, httpx.ReadTimeout):
    """No answer in time, or not all of it."""


class ProtocolBroken(Retriable, httpx.RemoteProtocolError):
    """The connection was cut, or what came is no HTTP that can be read."""


class NeverConnected(Unreachable, httpx.ConnectError):
    """The host did not answer even the first request: no connection."""


class NeverConnectedInTime(Unreachable, httpx.ConnectTimeout):
    """The host did not answer even the first request: no connection in time."""


class NeverAnsweredInTime(Unreachable, httpx.ReadTimeout):
    """The host did not answer even the first request in time."""


class NeverAnswered(Unreachable, httpx.RemoteProtocolError):
    """The host cut the connection of the first request."""


class TooManyRedirects(RedirectRefused, httpx.TooManyRedirects):
    """The redirects do not end."""


class LedAway(RedirectRefused, httpx.RemoteProtocolError):
    """A redirect leads to another host, to no address, or to another question."""


class NotOfTheSource(RedirectRefused, httpx.UnsupportedProtocol):
    """The address that was asked for is another host's, or none."""


class TooLarge(BodyTooLarge, httpx.ReadError):
    """The body went past the source's byte limit."""


class Undecodable(BrokenBody, httpx.DecodingError):
    """The body is encoded in a way that nobody asked for."""


class Spent(BudgetSpent, httpx.TransportError):
    """The budget of requests is spent."""


_PASSING: dict[Fault, type[TrawlError]] = {
    Fault.CONNECT: ConnectFailed,
    Fault.CONNECT_TIMEOUT: ConnectTimedOut,
    Fault.READ_TIMEOUT: ReadTimedOut,
    Fault.PROTOCOL: ProtocolBroken,
}
_FIRST: dict[Fault, type[TrawlError]] = {
    Fault.CONNECT: NeverConnected,
    Fault.CONNECT_TIMEOUT: NeverConnectedInTime,
    Fault.READ_TIMEOUT: NeverAnsweredInTime,
    Fault.PROTOCOL: NeverAnswered,
}


def as_httpx(error: TrawlError) -> TrawlError:
    """The same error, which is one of httpx's as well; itself, where httpx has no word for it."""
    kind = _kind(error)
    if kind is None:
        return error
    both = kind(error.message, remedy=error.remedy)
    both.__dict__.update(error.__dict__)  # what is known of the answer, and the wait
    return both


def _kind(error: TrawlError) -> type[TrawlError] | None:
    match error:
        case Unreachable():
            return _FIRST[_fault(error.__cause__)]
        case Retriable():
            return _PASSING[_fault(error)]
        case RedirectRefused(status=None):
            return NotOfTheSource
        case RedirectRefused(message=message) if message.startswith("more than"):
            return TooManyRedirects
        case RedirectRefused():
            return LedAway
        case BodyTooLarge():
            return TooLarge
        case BrokenBody():
            return Undecodable
        case BudgetSpent():
            return Spent
        case _:
            return None


def _fault(error: BaseException | None) -> Fault:
    return error.fault if isinstance(error, Broken) else Fault.PROTOCOL
