"""What of a run came to nothing, and the guards that end it where that is too much.

A record counts once: what failed in the run before, committed or aborted, does not stop the next one.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping

from trawl.lake import Outcome
from trawl.model.config import SourceConfig
from trawl.model.errors import GuardTripped
from trawl.model.records import Result, Settled

_GUARDS = {Result.FAILED: "failed", Result.FORBIDDEN: "failed", Result.QUARANTINED: "quarantined"}
_VERBS = {"failed": "failed", "quarantined": "were set aside"}
_REMEDIES = {
    "failed": "check the API; a run within a day continues with the finished shards",
    "quarantined": "check the API, and `contract` and `detail` of the source (trawl try {source} {endpoint} {key})",
}
_ONCE = "repeated failures of a record do not count"
_ELSEWHERE = "its shard was fetched by another process, see its log"


def loss_of(settled: Settled) -> str | None:
    """The guard that a record counts for, if it came to nothing for the first time in a row."""
    guard = _GUARDS.get(settled.result)
    return None if guard is None or settled.row.failures > 1 else guard


class Losses:
    """The guards `failed` and `quarantined` of one run, over all its endpoints.

    `due` are the numbers of due records, `known` what came to nothing in runs that were aborted since the last commit.
    """

    def __init__(self, source: SourceConfig, due: Mapping[str, int], known: Mapping[str, Collection[str]]) -> None:
        self._source, self._due, self._known = source, due, known
        self._first: dict[tuple[str, str], dict[str, str | None]] = defaultdict(dict)
        self._again: Counter[str] = Counter()

    def take(self, outcome: Outcome) -> None:
        """Count a shard that an earlier attempt of the run has finished."""
        for guard, losses in outcome.losses.items():
            for endpoint, keys in losses.items():
                for key in keys:
                    self._count(guard, endpoint, key, _ELSEWHERE)

    def add(self, settled: Settled) -> None:
        """Count a record. Raises GuardTripped as soon as it is certain that too much came to nothing."""
        if settled.result not in _GUARDS:
            return
        row, guard = settled.row, loss_of(settled)
        if guard is None:
            self._again[row.endpoint] += 1
        else:
            self._count(guard, row.endpoint, row.key, row.reason)
        for each in _VERBS:  # a repeated failure leaves fewer that count, of either kind
            self._check(each, row.endpoint)

    def check(self) -> None:
        """Raise GuardTripped if too much came to nothing in the shards that were taken."""
        for guard, endpoint in self._first:
            self._check(guard, endpoint)

    def noted(self) -> dict[str, list[str]]:
        """What the next run must not count again, by endpoint."""
        found: dict[str, list[str]] = {endpoint: list(keys) for endpoint, keys in self._known.items()}
        for (_, endpoint), keys in self._first.items():
            found.setdefault(endpoint, []).extend(keys)
        return found

    def _count(self, guard: str, endpoint: str, key: str, reason: str | None) -> None:
        if key in self._known.get(endpoint, ()):
            self._again[endpoint] += 1
        else:
            self._first[guard, endpoint][key] = reason

    def _check(self, guard: str, endpoint: str) -> None:
        lost, due = self._first.get((guard, endpoint), {}), self._due[endpoint] - self._again[endpoint]
        if lost and getattr(self._source.endpoints[endpoint].guards, guard).exceeded(len(lost), due):
            key, reason = next(reversed(lost.items()))
            remedy = _REMEDIES[guard].format(source=self._source.name, endpoint=endpoint, key=key)
            raise GuardTripped(
                f"{endpoint}: {len(lost)} of {due} due records {_VERBS[guard]}, so nothing is committed; the last: "
                f"{key}: {reason}",
                remedy=f"{remedy}; {_ONCE}",
            )
