"""What a run came to: the object that `trawl run --json` prints, and the manifest that the lake keeps."""

from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

SCHEMA_VERSION = 1
UNREAD_RUNS = 3


@dataclass(slots=True)
class EndpointReport:
    """One endpoint's counts, in records.

    `unread`: in how many runs up to this one its list could not be read; `never_read`: nor in any run before these.
    """

    listed: int = 0
    new: int = 0
    changed: int = 0
    reordered: int = 0
    unchanged: int = 0
    missing: int = 0
    gone: int = 0
    revived: int = 0
    quarantined: int = 0
    failed: int = 0
    held: bool = False
    due: int = 0
    absent: bool = False
    unread: int = 0
    never_read: bool = False
    notes: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Report:
    """One run.

    `status` is `done`, `no change`, `held` (done, but changes of some endpoints wait for a decision), `degraded` (done, but
    the list of some endpoints could not be read, so the previous listing stays in effect), `failed` (with a commit: the lake
    has nothing of an endpoint whose list could not be read), `aborted` or `interrupted`.
    """

    run_id: str
    source: str
    mode: str
    status: str
    started_at: datetime
    finished_at: datetime
    endpoints: dict[str, EndpointReport]
    requests: int = 0
    not_modified: int = 0
    bytes: int = 0
    retries: int = 0
    source_version: str | None = None
    note: str | None = None

    @property
    def duration_s(self) -> float:
        return round((self.finished_at - self.started_at).total_seconds(), 3)

    @property
    def held(self) -> list[str]:
        """The endpoints whose changes wait for `--accept` or `--reject`."""
        return [name for name, counts in self.endpoints.items() if counts.held]

    @property
    def unread(self) -> dict[str, int]:
        """The endpoints whose list could not be read, and for how many runs in a row."""
        return {name: counts.unread for name, counts in self.endpoints.items() if counts.unread}

    @property
    def ok(self) -> bool:
        """Whether the run counts as successful: a degraded run does for the first two times in a row, not for the third."""
        passed = self.status not in {"aborted", "failed", "interrupted"}
        return passed and max(self.unread.values(), default=0) < UNREAD_RUNS

    def total(self, name: str) -> int:
        """The sum of one count over all endpoints."""
        return sum(getattr(counts, name) for counts in self.endpoints.values())

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON."""
        fields = asdict(self)
        return {
            "schema_version": SCHEMA_VERSION,
            **fields,
            "started_at": self.started_at.isoformat(),
            "finished_at": self.finished_at.isoformat(),
            "duration_s": self.duration_s,
            "endpoints": fields["endpoints"],
        }
