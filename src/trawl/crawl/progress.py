"""What a run tells while it works. The terminal, plain logs and Prefect each listen in their own way."""

from collections.abc import Sequence
from typing import Protocol

from trawl.model.records import Result

_NAMED = 5


class Progress(Protocol):
    """Called from the run's event loop; must not block."""

    def say(self, message: str) -> None:
        """One line about what happens now."""

    def warn(self, message: str) -> None:
        """Something that an operator should know."""

    def begin(self, total: int) -> None:
        """So many records are due; called again on a resume, with what is left."""

    def advance(self, result: Result) -> None:
        """One record is done."""


def count_of(number: int, noun: str) -> str:
    """`1 endpoint`, `2 endpoints`, `1,000 endpoints`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def some_of(names: Sequence[str]) -> str:
    """`a, b, c and 4 more`."""
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


class Quiet:
    """Says nothing."""

    def say(self, message: str) -> None: ...
    def warn(self, message: str) -> None: ...
    def begin(self, total: int) -> None: ...
    def advance(self, result: Result) -> None: ...
