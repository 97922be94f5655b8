"""What a replica was asked, counted as it answers."""

import time
from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Stats:
    """Counters of one application. Read them from any thread; only the server's writes them."""

    requests: int = 0
    """Requests that arrived."""

    by_status: Counter[int] = field(default_factory=Counter)
    """Answers, by HTTP status."""

    starts: list[float] | None = None
    """When each request arrived, in seconds of `time.monotonic`; None until `log_starts`."""

    def log_starts(self) -> None:
        """From now on remember when each request arrives; what was remembered is forgotten."""
        self.starts = []

    def reset(self) -> None:
        """Count from zero again; a log of starts goes on, empty."""
        self.requests = 0
        self.by_status = Counter()
        if self.starts is not None:
            self.starts = []

    def began(self) -> None:
        """A request arrived."""
        self.requests += 1
        if self.starts is not None:
            self.starts.append(time.monotonic())

    def answered(self, status: int) -> None:
        """It was answered."""
        self.by_status[status] += 1
