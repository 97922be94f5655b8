"""What several commands share: the lake option, times, tables."""

import asyncio
import os
from collections.abc import Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, TypeVar

from cyclopts import Parameter
from rich.console import Console, RenderableType
from rich.markup import escape
from rich.table import Table

from trawl.lake import Lake
from trawl.model.errors import ConfigurationError

from .ending import orderly

LakeOption = Annotated[
    str | None,
    Parameter(name="--lake", help="The lake: a folder or s3://bucket/prefix. Default: $TRAWL_LAKE, else ./lake."),
]

_Result = TypeVar("_Result")

out = Console(highlight=False, soft_wrap=True)


def run_async(work: Coroutine[Any, Any, _Result]) -> _Result:
    """Run to the end, on uvloop where there is one; Ctrl-C cancels the work."""
    try:
        from uvloop import new_event_loop
    except ImportError:
        return asyncio.run(orderly(work))
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(orderly(work))


def open_lake(url: str | None) -> Lake:
    """The lake of `--lake`, else TRAWL_LAKE, else `./lake`."""
    return Lake(url or os.environ.get("TRAWL_LAKE") or Path("lake"))


def parse_time(text: str | None, flag: str) -> datetime | None:
    """An ISO 8601 date or instant; without a zone it is UTC. A bare date is its first moment."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigurationError(
            f"{flag} {text!r} is no time", remedy="write for example 2026-08-03 or 2026-08-03T12:00:00+00:00"
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def table(columns: list[str], rows: list[list[Any]], *, title: str | None = None) -> RenderableType:
    """A table for people: numbers to the right. One that is wider than the terminal is shown row by row instead."""
    found = Table(title=title, title_justify="left", header_style="bold", box=None, pad_edge=False)
    for index, column in enumerate(columns):
        numeric = bool(rows) and all(isinstance(row[index], int | float) for row in rows)
        found.add_column(escape(column), justify="right" if numeric else "left", no_wrap=True)
    for row in rows:
        found.add_row(*(escape(_text(value)) for value in row))
    if not out.is_terminal:
        out.width = max(out.width, out.measure(found, options=out.options.update(max_width=100_000)).maximum)
    if out.measure(found, options=out.options.update(max_width=100_000)).maximum <= out.width:
        return found
    blocks = Table(box=None, pad_edge=False, show_header=False)
    blocks.add_column(style="bold", no_wrap=True)
    blocks.add_column(overflow="fold")
    for row in rows:
        for column, value in zip(columns, row, strict=True):
            blocks.add_row(escape(column), escape(_text(value)))
        blocks.add_row("", "")
    return blocks


def shorten(text: str, width: int) -> str:
    """A text of at most so many characters."""
    return text if len(text) <= width else text[: width - 1] + "…"


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
