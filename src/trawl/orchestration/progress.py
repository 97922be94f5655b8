"""What the engine tells, in the log of the flow run: lines about steps and shards, never one per record."""

import logging
from collections.abc import Mapping
from typing import Any

from trawl.model.records import Result


class FlowProgress:
    """A `Progress` that counts records, and leaves it to the shards to say how far the run is."""

    def __init__(self, log: "logging.Logger | logging.LoggerAdapter[Any]") -> None:
        self._log, self.total, self.done = log, 0, 0

    def say(self, message: str) -> None:
        self._log.info(message)

    def warn(self, message: str) -> None:
        self._log.warning(message)

    def begin(self, total: int) -> None:
        self.total, self.done = total, 0
        if total:
            self._log.info("%s records are due", f"{total:,}")

    def advance(self, result: Result) -> None:
        self.done += 1

    @property
    def percent(self) -> float:
        """How much of what is due is done."""
        return round(100 * self.done / self.total, 1) if self.total else 100.0


def counts_of(results: Mapping[str, Mapping[str, int]]) -> str:
    """A shard's results in one line: `12 new, 3 changed, 400 unchanged`."""
    sums: dict[str, int] = {}
    for counts in results.values():
        for result, number in counts.items():
            sums[result] = sums.get(result, 0) + number
    return ", ".join(f"{number:,} {result}" for result, number in sorted(sums.items())) or "nothing"
