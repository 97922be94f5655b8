"""Which of two deploys is the older one."""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def order_of(text: object) -> int | None:
    """A deploy's place in time, in microseconds: from epoch seconds or milliseconds, or an ISO 8601 date.

    None for anything else.
    """
    value = str(text).strip() if isinstance(text, str | int) and not isinstance(text, bool) else ""
    if value.isascii() and value.isdigit():
        return int(value) * (1_000_000 if len(value) < 13 else 1_000) if len(value) < 14 else None
    try:
        moment = datetime.fromisoformat(value)
        return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH) // timedelta(microseconds=1)
    except (ValueError, OverflowError):
        return None
