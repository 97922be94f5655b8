"""What several commands share: the lake option, times, tables."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import Console
from rich.table import Table

from trawl.lake import Lake
from trawl.model.errors import ConfigurationError

LakeOption = Annotated[
    str | None,
    Parameter(name="--lake", help="The lake: a folder or s3://bucket/prefix. Default: $TRAWL_LAKE, else ./lake."),
]

out = Console(highlight=False)


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


def table(columns: list[str], rows: list[list[Any]], *, title: str | None = None) -> Table:
    """A table for people: numbers to the right."""
    found = Table(title=title, title_justify="left", header_style="bold", box=None, pad_edge=False)
    for index, column in enumerate(columns):
        numeric = bool(rows) and all(isinstance(row[index], int | float) for row in rows)
        found.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        found.add_row(*("" if value is None else f"{value:,}" if isinstance(value, int) else str(value) for value in row))
    return found
