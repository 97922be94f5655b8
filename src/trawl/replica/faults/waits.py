"""The forms in which servers say Retry-After, and what each of them announces."""

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

Clock = Callable[[], datetime]

_SECOND = timedelta(seconds=1)


def utc_now() -> datetime:
    """The clock that a replica goes by unless another is injected."""
    return datetime.now(UTC)


def retry_after(form: str, wait: timedelta, now: datetime) -> tuple[str | None, timedelta | None]:
    """A header's text, and the cool-down that it announces: None where it announces none that one could keep.

    Whole forms round up, so that nobody may come back before `wait` is over.
    """
    whole = max(1, math.ceil(wait / _SECOND))
    match form:
        case "seconds":
            return str(whole), timedelta(seconds=whole)
        case "date":
            until = (now + wait).replace(microsecond=0) + _SECOND
            return format_datetime(until, usegmt=True), until - now
        case "past":
            return format_datetime(now - timedelta(hours=1), usegmt=True), None
        case "negative":
            return f"-{whole}", None
        case "zero":
            return "0", None
        case "fractional":
            tenths = math.ceil(wait / _SECOND * 10)
            return f"{tenths / 10:.1f}", timedelta(seconds=tenths / 10)
        case "huge":
            return "9" * 40, timedelta.max
        case "garbage":
            return "soon", None
        case _:
            return None, None
