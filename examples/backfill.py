"""A backfill by hand: a flow that works on a day, run for every day of a range, each once.

    python examples/backfill.py --since 2026-10-01 --until 2026-10-07

The day is a parameter, and in the run's name. Days that are done are found by their runs and skipped, so the backfill can
be started again after a failure. One failed day does not stop the others; they are named, and the backfill has failed.
"""

import argparse
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Literal

from essentials import query_flow_runs
from prefect import flow, tags
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed


@flow(flow_run_name="report.{day}")
def report(day: date = date(2026, 1, 1), detail: Literal["short", "full"] = "short") -> str:
    """A day's report. In the UI its form has a date picker, a drop-down and these defaults."""
    if day > datetime.now(UTC).date():
        raise ValueError(f"{day} is not over")
    return f"{day:%A} {day}" + (f", week {day:%V}" if detail == "full" else "")


@flow(flow_run_name="backfill.{since}.{until}")
def backfill(since: date, until: date, again: bool = False) -> State[list[str]]:
    """Every day from `since` to `until`, both included; `again` repeats those that are done."""
    done = set() if again else {run.name for run in query_flow_runs("report.", state_names=["Completed"])}
    found: list[str] = []
    failed: list[str] = []
    for day in days(since, until):
        if f"report.{day}" in done:
            continue
        state = report(day, "full", return_state=True)
        if state.is_completed():
            found.append(state.result())
        else:
            failed.append(str(day))
    if failed:
        return Failed(message=f"{len(failed)} days failed: {', '.join(failed)}", data=found)
    return Completed(message=f"{len(found)} days reported", data=found)


def days(since: date, until: date) -> Iterator[date]:
    """All days of a range, its ends included."""
    for number in range((until - since).days + 1):
        yield since + timedelta(days=number)


def main() -> None:
    """From the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--since", type=date.fromisoformat, default=date(2026, 10, 1))
    parser.add_argument("--until", type=date.fromisoformat, default=date(2026, 10, 7))
    parser.add_argument("--again", action="store_true", help="repeat days that are done")
    given = parser.parse_args()
    with tags("backfill"):
        state = backfill(given.since, given.until, given.again, return_state=True)
    print(state.message)


if __name__ == "__main__":
    main()
