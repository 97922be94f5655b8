"""Which of two deploys is the older one."""

from datetime import UTC, datetime


def order_of(text: object) -> int | None:
    """A deploy's place in time, in microseconds: from epoch seconds or an ISO 8601 date. None for anything else."""
    value = str(text).strip() if isinstance(text, str | int) and not isinstance(text, bool) else ""
    if value.isascii() and value.isdigit() and len(value) < 13:
        return int(value) * 1_000_000
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1_000_000)
