"""What several commands share: options, times, tables, JSON. The result goes to stdout, the talk to stderr."""

import asyncio
import json
import os
import sys
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Annotated, Any, TypeVar

from cyclopts import Parameter
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.prompt import Confirm
from rich.table import Table

from trawl.lake import Lake, stop_questions
from trawl.model.errors import ConfigurationError, TrawlError
from trawl.model.values import parse_duration

from .interrupts import ending_soon, stop_with
from .text import verbatim

LakeOption = Annotated[
    str | None,
    Parameter(name="--lake", help="The lake: a folder or s3://bucket/prefix. Default: $TRAWL_LAKE, else ./lake."),
]

# An option that is off, or given as often as one likes: its default says nothing.
Flag = Annotated[bool, Parameter(negative=(), show_default=False)]
Names = Annotated[tuple[str, ...], Parameter(negative=(), show_default=False)]
EndpointOption = Annotated[Names, Parameter(help="Only this endpoint; repeatable.")]
JsonOption = Annotated[Flag, Parameter(name="--json", help="Print JSON, for scripts.")]
AsOfOption = Annotated[
    str | None,
    Parameter(name="--as-of", help="As things stood then: 2026-08-03, or with a time (without a zone: UTC)."),
]

_Result = TypeVar("_Result")

# No emoji: what looks like the code of one (`:x:`) is text of somebody's.
out = Console(highlight=False, soft_wrap=True, emoji=False)
talk = Console(stderr=True, highlight=False, soft_wrap=True, emoji=False)


def run_async(work: Coroutine[Any, Any, _Result]) -> _Result:
    """Run to the end, on uvloop where there is one; Ctrl-C cancels the work."""
    from trawl.crawl import new_event_loop

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(ending_soon(work))


def open_lake(url: str | None) -> Lake:
    """The lake of `--lake`, else TRAWL_LAKE, else `./lake`. A question to it ends with Ctrl-C."""
    stop_with(stop_questions)
    return Lake(url if url is not None else os.environ.get("TRAWL_LAKE") or Path("lake"))


def parse_time(text: str | None, flag: str, *, more: str = "") -> datetime | None:
    """An ISO 8601 date or instant; without a zone it is UTC. A bare date is its first moment."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigurationError(
            f"{flag} {text!r} is not a time", remedy=f"write for example 2026-08-03 or 2026-08-03T12:00:00+00:00{more}"
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def duration(text: str, flag: str) -> timedelta:
    """A duration as `90s`, `15m`, `24h` or `7d`."""
    try:
        return parse_duration(text)
    except ValueError as error:
        raise ConfigurationError(f"{flag}: {error}") from None


def confirm(question: str, *, yes: bool) -> bool:
    """Whether to go on. Without a terminal nobody can be asked: then `--yes` must say so."""
    if yes:
        return True
    if not sys.stdin.isatty():
        raise ConfigurationError(
            "this cannot be undone, and there is no terminal for a confirmation", remedy="add --yes"
        )
    return Confirm.ask(question, console=talk, default=False)


def binary_output() -> IO[bytes]:
    """Standard output for bytes. Raises TrawlError where it is closed: then what was asked for would go nowhere."""
    if sys.stdout is None:
        raise TrawlError("the output cannot be written: standard output is closed", remedy="redirect it to a file")
    return sys.stdout.buffer


def print_json(value: Any) -> None:
    """One JSON document on one line."""
    print(json.dumps(value, default=str))


def line_width() -> int:
    """How many characters a line for people may have: the terminal's, or what reads well in a file."""
    return out.width if out.is_terminal else max(out.width, 120)


def table(columns: list[str], rows: list[list[Any]], *, title: str | None = None) -> RenderableType:
    """A table for people: numbers to the right. One that is wider than the terminal is shown row by row instead."""
    found = Table(title=title, title_justify="left", header_style="bold", box=None, pad_edge=False)
    for index, column in enumerate(columns):
        numeric = bool(rows) and all(isinstance(row[index], int | float) for row in rows)
        found.add_column(verbatim(column), justify="right" if numeric else "left", no_wrap=True)
    for row in rows:
        found.add_row(*(verbatim(_text(value)) for value in row))
    if not out.is_terminal:
        out.width = max(out.width, out.measure(found, options=out.options.update(max_width=100_000)).maximum)
    if out.measure(found, options=out.options.update(max_width=100_000)).maximum <= out.width:
        return found
    blocks = Table(box=None, pad_edge=False, show_header=False)
    blocks.add_column(style="bold", no_wrap=True)
    blocks.add_column(overflow="fold")
    for row in rows:
        for column, value in zip(columns, row, strict=True):
            blocks.add_row(verbatim(column), verbatim(_text(value)))
        blocks.add_row("", "")
    return blocks


def print_facts(facts: list[tuple[str, str]]) -> None:
    """Names (each may be empty) and what is to be said of them, in markup; on a terminal wrapped below one another."""
    width = max((len(name) for name, _ in facts), default=0)
    if not out.is_terminal:
        for name, text in facts:
            out.print(f"  {verbatim(name.ljust(width))}  {text}")
        return
    rows = Table.grid(padding=(0, 2, 0, 0))
    rows.add_column(style="dim", no_wrap=True)
    rows.add_column(overflow="fold")
    for name, text in facts:
        rows.add_row(verbatim(name), text)
    out.print(Padding(rows, (0, 0, 0, 2), expand=False), soft_wrap=False)


def print_marked(mark: str, text: str) -> None:
    """A line with a mark before it, both in markup; on a terminal its further lines stand below the first."""
    if not out.is_terminal:
        out.print(f"{mark} {text}")
        return
    row = Table.grid(padding=(0, 1, 0, 0))
    row.add_column(no_wrap=True)
    row.add_column(overflow="fold")
    row.add_row(mark, text)
    out.print(row, soft_wrap=False)


def _text(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case int():
            return f"{value:,}"
        case datetime():
            return f"{value:%Y-%m-%d %H:%M:%S}"
        case bytes():
            return value.hex()
        case _:
            return str(value)
