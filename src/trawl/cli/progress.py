"""Progress for people: a live bar on a terminal, plain lines otherwise. Always on stderr."""

import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from trawl.crawl import Progress as ProgressProtocol
from trawl.crawl import Quiet
from trawl.model.records import Result

from .text import verbatim

_EVERY = 10.0  # seconds between plain lines


@contextmanager
def progress_for(source: str, *, quiet: bool = False) -> Iterator[ProgressProtocol]:
    """The listener that suits where stderr goes."""
    if quiet:
        yield Quiet()
        return
    console = Console(stderr=True, highlight=False, soft_wrap=True, emoji=False)
    if not sys.stderr.isatty():
        yield Plain(console, source)
        return
    columns = (
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn("[dim]{task.fields[counts]}"),
    )
    with Progress(*columns, console=console, refresh_per_second=4) as bar:
        yield Live(console, bar, source)


class _Counting:
    """What both forms share: counts, and the rate of the last records."""

    def __init__(self, console: Console, source: str) -> None:
        self.console, self.source = console, source
        self.counts: Counter[str] = Counter()
        self.done = self.total = 0
        self.started = time.monotonic()

    def say(self, message: str) -> None:
        self.console.print(f"[dim]{self.source}:[/] {verbatim(message)}")

    def warn(self, message: str) -> None:
        self.console.print(f"[dim]{self.source}:[/] [yellow]{verbatim(message)}[/]")

    def begin(self, total: int) -> None:
        self.total, self.done, self.started = total, 0, time.monotonic()

    def rate(self) -> float:
        return self.done / max(time.monotonic() - self.started, 1e-3)

    def summary(self) -> str:
        return ", ".join(f"{number:,} {name}" for name, number in self.counts.most_common())


class Live(_Counting):
    """A bar with rate, time left and counts."""

    def __init__(self, console: Console, bar: Progress, source: str) -> None:
        super().__init__(console, source)
        self._bar = bar
        self._task = bar.add_task(source, total=None, rate="", counts="", visible=False)

    def begin(self, total: int) -> None:
        super().begin(total)
        self._bar.reset(self._task, total=total, visible=bool(total))

    def advance(self, result: Result) -> None:
        self.done += 1
        self.counts[result] += 1
        if self.done % 16 == 0 or self.done == self.total:
            self._bar.update(self._task, completed=self.done, rate=f"{self.rate():.1f}/s", counts=self.summary())


class Plain(_Counting):
    """A line every few seconds."""

    def __init__(self, console: Console, source: str) -> None:
        super().__init__(console, source)
        self._last = time.monotonic()

    def begin(self, total: int) -> None:
        super().begin(total)
        if total:
            self.say(f"{total:,} records are due")

    def advance(self, result: Result) -> None:
        self.done += 1
        self.counts[result] += 1
        now = time.monotonic()
        if now - self._last >= _EVERY or self.done == self.total:
            self._last = now
            left = (self.total - self.done) / max(self.rate(), 1e-3)
            self.say(f"{self.done:,} of {self.total:,} ({self.rate():.1f}/s, {left:,.0f} s left): {self.summary()}")


class Bar:
    """A plain bar over a known number of records; on anything but a terminal it says nothing."""

    def __init__(self, what: str, *, quiet: bool = False) -> None:
        columns = (TextColumn("[bold]{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        console = Console(stderr=True, highlight=False, emoji=False)
        self._bar = Progress(*columns, console=console, transient=True, disable=quiet or not sys.stderr.isatty())
        self._task = self._bar.add_task(what, total=None)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def begin(self, total: int) -> None:
        self._bar.update(self._task, total=total)

    def advance(self, number: int) -> None:
        self._bar.advance(self._task, number)
