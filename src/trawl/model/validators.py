"""What an API gives with an answer, to be asked later whether that has changed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache

_CLEARLY = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Validators:
    """The validators of one answer; None where it gave none that can be relied on."""

    etag: str | None = None
    last_modified: str | None = None


def validators_of(headers: Mapping[str, str], at: datetime) -> Validators:
    """The validators in the headers of an answer that came at `at`.

    A Last-Modified that is not clearly older than the answer itself may be that of two contents of one second, and is
    none (RFC 9110, 8.8.2.2).
    """
    modified = headers.get("last-modified")
    if modified is not None:
        written, sent = _instant(modified), _instant(headers.get("date", "")) or at
        if written is None or sent - written < _CLEARLY:
            modified = None
    return Validators(headers.get("etag"), modified)


@lru_cache(maxsize=256)
def _instant(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
