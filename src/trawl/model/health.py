"""What `trawl check` finds: one fact each, whether it is well, and what to do where it is not."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"  # works, but somebody should know
    WRONG = "wrong"  # a crawl would fail, or has


@dataclass(frozen=True, slots=True)
class Health:
    """One finding: where, about what, how bad, in words, and the remedy."""

    area: str
    subject: str
    level: Level
    message: str
    remedy: str | None = None
