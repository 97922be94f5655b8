"""Every error that Trawl raises, in one tree that says what to do.

- *Fatal*: stop; somebody has to change something. `ConfigurationError` is found before the first request
  (exit code 2), the others end a run (exit code 1).
- *Retriable*: the same call may succeed later; the transport retries it, then a later run does.
- *Skippable*: one record is set aside in quarantine, with its reason; the run goes on.
"""

from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType

__all__ = [
    "BodyTooLarge",
    "BrokenBody",
    "BudgetSpent",
    "ConfigurationError",
    "CredentialsRefused",
    "Fatal",
    "GuardTripped",
    "LakeError",
    "LeaseHeld",
    "RedirectRefused",
    "Retriable",
    "Skippable",
    "StaleCommit",
    "TornListing",
    "TrawlError",
    "Unreachable",
]


class TrawlError(Exception):
    """What went wrong and, where there is one, the remedy."""

    def __init__(self, message: str, *, remedy: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message}\n  {self.remedy}" if self.remedy else self.message


# -- fatal -------------------------------------------------------------------------------------------------


class Fatal(TrawlError):
    """Nothing that the run could do would help."""


class ConfigurationError(Fatal):
    """A wrong word of the user's: a file, a flag, an address, a SQL query."""


class Unreachable(ConfigurationError):
    """The host did not answer even the first request."""


class CredentialsRefused(Fatal):
    """The API refused the credentials (401)."""


class LakeError(Fatal):
    """The lake cannot be read or written, or holds what it must not."""


class LeaseHeld(LakeError):
    """Another writer holds the source's lease."""


class StaleCommit(LakeError):
    """The log moved on since this run read it: its commit would be wrong, so it was refused."""


class GuardTripped(Fatal):
    """Too much failed or was set aside: nothing is committed, finished shards are kept for the next run."""


# -- retriable ---------------------------------------------------------------------------------------------


class Retriable(TrawlError):
    """The network or the API failed in a way that passes.

    Attributes:
        wait: how long the API asked to be left alone (from Retry-After), or None.

    """

    def __init__(self, message: str, *, wait: timedelta | None = None, remedy: str | None = None) -> None:
        super().__init__(message, remedy=remedy)
        self.wait = wait


# -- skippable ---------------------------------------------------------------------------------------------


class Skippable(TrawlError):
    """One answer is of no use; the run goes on without it.

    Attributes:
        status, headers, body: what is known of the answer, where one came; of its body at most the beginning.

    """

    status: int | None = None
    headers: Mapping[str, str] = MappingProxyType({})
    body: bytes = b""


class BrokenBody(Skippable):
    """Not JSON, or against the endpoint's contract: to quarantine."""


class BodyTooLarge(Skippable):
    """The body went past the source's byte limit and was not read further."""


class RedirectRefused(Skippable):
    """A redirect away from the source's host, or too many of them."""


class TornListing(Skippable):
    """The pages of a list do not make one complete, unique set of keys."""


class BudgetSpent(Skippable):
    """The run's request budget is spent; the rest stays due."""
