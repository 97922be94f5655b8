"""What one try teaches, as plain facts: its requests, the list or the record, and what is in a crawl's way."""

from dataclasses import asdict, dataclass, field
from typing import Any

from trawl.model.contract import Finding
from trawl.model.diff import Difference


@dataclass(frozen=True, slots=True)
class Problem:
    """What stands in a crawl's way, and what to change."""

    message: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Asked:
    """One request and its answer. `status` is None where none came."""

    url: str
    why: str
    status: int | None
    action: str
    meaning: str
    seconds: float
    bytes: int = 0
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class ListFacts:
    """What the (first page of a) list says. `complete`: one answer holds all of it, so it is one snapshot."""

    items: int
    count: int | None
    complete: bool
    verified: bool
    keys: list[tuple[str, str | None]] = field(default_factory=list)
    note: str = ""


@dataclass(slots=True)
class RecordFacts:
    """What the record's document says, and what a crawl would do with it.

    `suggestion`: a contract that the document keeps, where the source has none.
    """

    key: str
    label: str | None
    contract: list[Finding]
    byte_hash: str
    canonical_hash: str
    semantic_hash: str
    unordered: dict[str, int]
    suggestion: str = ""
    verdict: str | None = None
    meaning: str = ""
    state: str | None = None
    version: int | None = None
    differences: list[Difference] = field(default_factory=list)


@dataclass(slots=True)
class Probe:
    """All that one try taught."""

    source: str
    endpoint: str
    wanted: str | None
    requests: list[Asked] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    listing: ListFacts | None = None
    record: RecordFacts | None = None
    problems: list[Problem] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether a crawl could use the answer."""
        return not self.problems

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {"ok": self.ok, **asdict(self)}
