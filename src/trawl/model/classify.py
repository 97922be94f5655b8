"""One table that says what an answer means, and how long to wait where it asks for that."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from functools import lru_cache
from http import HTTPStatus

_RESETS = ("ratelimit-reset", "x-ratelimit-reset", "x-rate-limit-reset", "x-ratelimit-reset-after")
_RESET = re.compile(r"\b(?:t|reset)\s*=\s*(\d+)")
_EPOCH = 10**9  # what is more counts from 1970, what is less from now


class Action(StrEnum):
    """What to do with an answer."""

    OK = "ok"
    NOT_MODIFIED = "not modified"
    REDIRECT = "redirect"
    RETRY = "retry"  # now, after a pause
    LATER = "later"  # refused: a later run asks again, for error pages are cached, too
    GONE = "gone"
    QUARANTINE = "quarantine"
    FATAL = "fatal"


_TABLE: dict[int, Action] = {
    304: Action.NOT_MODIFIED,
    301: Action.REDIRECT,
    302: Action.REDIRECT,
    303: Action.REDIRECT,
    307: Action.REDIRECT,
    308: Action.REDIRECT,
    401: Action.FATAL,
    404: Action.GONE,
    410: Action.GONE,
    408: Action.RETRY,
    425: Action.RETRY,
    429: Action.RETRY,
    500: Action.RETRY,
    502: Action.RETRY,
    503: Action.RETRY,
    504: Action.RETRY,
}
_RANGES: tuple[tuple[range, Action], ...] = (
    (range(200, 201), Action.OK),
    (range(201, 300), Action.QUARANTINE),  # 204, 206: a success that holds no document
    (range(300, 400), Action.LATER),
    (range(400, 500), Action.LATER),
    (range(520, 531), Action.RETRY),  # a CDN that cannot reach its origin
    (range(500, 600), Action.LATER),
)


def classify(status: int) -> Action:
    """The action for an HTTP status; what is no known status goes to quarantine."""
    if (action := _TABLE.get(status)) is not None:
        return action
    return next((action for statuses, action in _RANGES if status in statuses), Action.QUARANTINE)


_OF_THE_API = frozenset({401, 403, 407, 408, 425, 429})


def speaks_of_the_record(status: int) -> bool:
    """Whether what is no document says something of this one record, and nothing of the API as a whole.

    A 403 may be either: one is the record's, a storm of them the API's.
    """
    return status not in _OF_THE_API and not 500 <= status < 600


def retry_after(value: str | None, now: datetime, limit: timedelta) -> timedelta | None:
    """The wait that a Retry-After header asks for, at most `limit`.

    A part of a second, which no standard knows, counts. None for no, negative, past or unreadable ones.
    """
    if not value:
        return None
    text = value.strip()
    whole, point, part = text.partition(".")
    if (seconds := _seconds(whole)) is not None and (not point or _seconds(part) is not None):
        wait = timedelta(seconds=seconds, microseconds=int(f"{part:0<6.6}"))
    else:
        try:
            until = parsedate_to_datetime(text)
            wait = (until if until.tzinfo else until.replace(tzinfo=UTC)) - now
        except (ValueError, TypeError, OverflowError, IndexError):
            return None
    return min(wait, limit) if wait > timedelta(0) else None


def wait_asked(headers: Mapping[str, str], status: int, now: datetime, limit: timedelta) -> timedelta | None:
    """How long an answer that refuses asks for a pause, at most `limit`; None where it does not say.

    Retry-After says it for every refusal. Where a 429 has none, the end of the rate limit's window does: `RateLimit` and
    `RateLimit-Reset` (IETF drafts, seconds), `X-RateLimit-Reset` and its like (seconds, or an instant as epoch seconds).
    """
    if (
        wait := retry_after(headers.get("retry-after"), now, limit)
    ) is not None or status != HTTPStatus.TOO_MANY_REQUESTS:
        return wait
    found = [_window(match[1], now) for match in _RESET.finditer(headers.get("ratelimit", ""))]
    found += [_window(headers[name].strip(), now) for name in _RESETS if name in headers]
    waits = [wait for wait in found if wait is not None and wait > timedelta(0)]
    return min(max(waits), limit) if waits else None


def _window(text: str, now: datetime) -> timedelta | None:
    """The time until an instant in epoch seconds or milliseconds, or so many seconds: no window lasts for years."""
    seconds = _seconds(text.partition(".")[0], most=10**13)
    if seconds is None:
        return None
    if seconds >= _EPOCH * 1000:
        seconds //= 1000
    return timedelta(seconds=seconds) if seconds < _EPOCH else datetime.fromtimestamp(seconds, UTC) - now


def remaining_age(headers: Mapping[str, str]) -> timedelta | None:
    """How long caches may go on giving this same answer: its max-age (shared caches first) less its Age."""
    lifetime = _lifetime(headers.get("cache-control", ""))
    if lifetime is None:
        return None
    return timedelta(seconds=max(0, lifetime - (_seconds(headers.get("age", "").strip()) or 0)))


@lru_cache(maxsize=256)  # all answers of an API say the same
def _lifetime(cache_control: str) -> int | None:
    ages = {}
    for directive in cache_control.lower().split(","):
        name, _, text = directive.strip().partition("=")
        if (seconds := _seconds(text.strip(' "'))) is not None:
            ages[name.strip()] = seconds
    return ages.get("s-maxage", ages.get("max-age"))


def _seconds(text: str, most: int = 10**9) -> int | None:
    """Whole seconds, at most 31 years: what is added to an instant must stay one."""
    if not (text.isascii() and text.isdigit()):
        return None
    digits = text.lstrip("0")
    return min(int(digits[: len(str(most)) + 1] or "0"), most)
