"""`trawl query`: ask the lake in SQL."""

from typing import Literal

import orjson

from trawl.lake import Result

from .common import AsOfOption, LakeOption, binary_output, open_lake, out, parse_time, table
from .text import shorten

_SHOWN = 200  # rows of a table on a terminal
_WIDTH = 100  # characters of a value in a table


def query(
    sql: str,
    /,
    *,
    lake: LakeOption = None,
    as_of: AsOfOption = None,
    format: Literal["table", "json", "jsonl", "csv", "parquet"] = "table",
) -> None:
    """Query the lake in SQL (DuckDB's). Each source has the views records, versions, changes, runs and quarantine.

    ```
    trawl query "SELECT endpoint, count(*) FROM pokeapi.records GROUP BY 1 ORDER BY 2 DESC"
    trawl query "SELECT label, payload->>'$.height' FROM pokeapi.records WHERE endpoint = 'pokemon'" --format csv
    ```

    Parameters
    ----------
    sql
        One SELECT.
    format
        `json` prints one array, `jsonl` one object per line; `parquet` goes to standard output, so redirect it.
    """
    result = open_lake(lake).query(sql, as_of=parse_time(as_of, "--as-of"))
    match format:
        case "table":
            _print(result)
        case "json":
            _write_rows(result, before=b"[", between=b",\n", after=b"]\n")
        case "jsonl":
            _write_rows(result, end=b"\n")
        case "csv":
            result.write_csv(binary_output())
        case "parquet":
            result.write_parquet(binary_output())


def _write_rows(
    result: Result, *, before: bytes = b"", between: bytes = b"", end: bytes = b"", after: bytes = b""
) -> None:
    """The rows as they come. What fails half-way leaves an array open, so that nobody takes it for all of it."""
    rows, sink = result.rows(), binary_output()
    sink.write(before)
    for number, row in enumerate(rows):
        sink.write((between if number else b"") + orjson.dumps(row, default=_plain) + end)
    sink.write(after)
    sink.flush()


def _print(result: Result) -> None:
    columns, more = result.columns, 0
    rows: list[list[object]] = []
    for row in result.rows():
        if len(rows) < _SHOWN:
            rows.append([shorten(value, _WIDTH) if isinstance(value, str) else value for value in row.values()])
        else:
            more += 1
    out.print(table(columns, rows))
    if more:
        out.print(f"[dim]and {more:,} more rows; --format csv shows all[/]")


def _plain(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)
