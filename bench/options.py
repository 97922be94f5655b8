"""What a run of the benches is asked to do."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Options:
    """One run's wishes.

    Attributes:
        rounds: how often each thing is measured; None is the bench's own number.
        documents: take so many documents of the snapshot; None is the bench's own number.
        scale: multiplies the sizes of made-up lakes and crawls.
        large: also what takes many minutes.
        archives: the folder of real snapshots.
        base_url: a server of the unpacked snapshot that already runs, instead of nginx.
        peers: whether dlt and Scrapy are measured, too.
        folder: where temporary data goes.
        command: how this run was asked for, to be repeated.
    """

    rounds: int | None
    documents: int | None
    scale: float
    large: bool
    archives: Path | None
    base_url: str | None
    peers: bool
    folder: Path
    command: str

    def sized(self, number: int, least: int = 100) -> int:
        """A size under the scale."""
        return max(least, round(number * self.scale))
