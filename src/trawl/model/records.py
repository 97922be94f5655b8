"""The facts that travel through a run: what is known of a record, what was answered, what that teaches."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

Body = bytes  # Prior and Row have a number of that name

QUARANTINE = "quarantine: "  # how the reason of a row begins whose answer was set aside


class Op(StrEnum):
    """What a row of the log says was learnt about a record in a run."""

    LISTED = "listed"  # it stands in a verified listing, newly or again; nothing was fetched
    PUT = "put"  # its content was received and is stored in this row
    CHECK = "check"  # its content was verified to be the stored one
    MISSING = "missing"  # it no longer stands in the listing, or was refused while missing
    GONE = "gone"  # a tombstone
    REVIVE = "revive"  # it came back into the listing, with the content that it had
    FAIL = "fail"  # it was asked for and no usable answer came
    REHASH = "rehash"  # its stored content was hashed under changed semantic rules; nothing was asked for
    RUN = "run"  # not about a record: the run itself, with the facts that the next one builds on


class Kind(StrEnum):
    """The partitions of the log: payloads and small rows lie apart."""

    PAYLOAD = "payload"
    STATE = "state"
    LISTING = "listing"
    RUN = "run"


class State(StrEnum):
    """Where a record stands."""

    PRESENT = "present"
    MISSING = "missing"
    GONE = "gone"


class Event(StrEnum):
    """What a verified listing says about a record, against what was known of it."""

    NONE = ""
    NEW = "new"
    BACK = "back"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Prior:
    """What the plan knows of one record before it is fetched.

    Attributes:
        event: what this run's listing says of it.
        floor: the latest `valid_from` that stands for it in the log, or the listing's own instant.
        version: how many versions its content has had; 0 if it was never fetched.
        order: the deploy (epoch seconds or microseconds) of the content that is stored.
        body: the document itself, where the list already holds it (a list-only endpoint).
        label: what this run's list calls it, else the lake.
        stored_label: what the lake calls it.

    """

    endpoint: str
    key: str
    label: str | None
    locator: str | None
    event: str
    state: str
    floor: datetime | None
    version: int
    etag: str | None
    last_modified: str | None
    byte_hash: bytes | None
    canonical_hash: bytes | None
    semantic_hash: bytes | None
    source_version: str | None
    source_order: int | None
    bytes: int | None
    first_seen: datetime | None
    changed_at: datetime | None
    payload_run: str | None
    missing_since: datetime | None
    refused_at: datetime | None
    failures: int
    body: Body | None = None
    stored_label: str | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the log. What is None is "as before" in a thin row (a `check`, a `fail`), else unknown.

    `version` is None exactly in thin rows: they leave label, locator, validators, hashes, sizes and dates as
    they were.
    """

    op: str
    endpoint: str
    key: str
    state: str
    valid_from: datetime
    observed_at: datetime
    source_version: str | None = None
    source_order: int | None = None
    missing_since: datetime | None = None
    refused_at: datetime | None = None
    failures: int = 0
    retry_at: datetime | None = None
    reason: str | None = None
    checked_at: datetime | None = None
    label: str | None = None
    locator: str | None = None
    etag: str | None = None
    last_modified: str | None = None
    byte_hash: bytes | None = None
    canonical_hash: bytes | None = None
    semantic_hash: bytes | None = None
    bytes: int | None = None
    version: int | None = None
    first_seen: datetime | None = None
    changed_at: datetime | None = None
    payload_run: str | None = None
    payload: Body | None = None


class Result(StrEnum):
    """What became of a record in a run, as it is counted."""

    NEW = "new"
    CHANGED = "changed"
    REORDERED = "reordered"
    UNCHANGED = "unchanged"
    MISSING = "missing"
    GONE = "gone"
    REVIVED = "revived"
    QUARANTINED = "quarantined"  # what came speaks of the record
    FORBIDDEN = "forbidden"  # 403: counted with the quarantined; but many of them speak of the API
    FAILED = "failed"  # the API, the network or the source's own code
    REGRESSED = "regressed"  # an older deploy answered: counted with the failed, but no sign of a broken API


@dataclass(frozen=True, slots=True)
class Answer:
    """A usable answer: a document (200) or the word that the stored one still holds (304, without `body`).

    An `anonymous` document does not tell whose it is, though it might: the record's key stands nowhere in it.
    """

    at: datetime
    body: bytes | None
    value: Any = None
    label: str | None = None
    locator: str | None = None
    etag: str | None = None
    last_modified: str | None = None
    source_version: str | None = None
    source_order: int | None = None
    stale_until: datetime | None = None
    anonymous: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """404 or 410 for a record that is not listed. `stale_until`: until when a cache may repeat it."""

    at: datetime
    status: int
    stale_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """No usable answer. `result` says whom that speaks of: the API, or the record."""

    at: datetime
    reason: str
    retry_at: datetime | None = None
    result: Result = Result.FAILED


@dataclass(frozen=True, slots=True)
class Settled:
    """What a record's answer comes to: the row to write and how to count it."""

    row: Row
    result: Result
