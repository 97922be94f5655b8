"""The job as it was: whatever starts it now, cron say, runs `python examples/leaving/job.py`. None of the steps changes it."""

import json
import sys
from pathlib import Path
from typing import Any

Rows = list[dict[str, Any]]
SOURCE = Path(__file__).parent / "orders.json"


def read(source: Path) -> Rows:
    """The orders."""
    return json.loads(source.read_text())


def rename(rows: Rows) -> Rows:
    """Names that the readers of the result expect."""
    return [{"order": row["id"], "sum": row["total"]} for row in rows]


def write(rows: Rows, to: Path) -> int:
    """All of them in one file."""
    to.write_text(json.dumps(rows))
    return len(rows)


def main(source: Path = SOURCE, to: Path = Path("orders-out.json")) -> int:
    """What cron starts."""
    return write(rename(read(source)), to)


if __name__ == "__main__":
    print(main(*map(Path, sys.argv[1:])), "orders")
