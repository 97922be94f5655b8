"""Planning from many records: how long, and in how much memory."""

import shutil
from datetime import UTC, datetime

from bench import machine
from bench.measure import step
from bench.options import Options
from bench.report import Section

RECORDS, MANY = 1_000_000, 10_000_000
SHARD = 500  # rows in a file as shards leave them
JOINED = 250_000  # and after `trawl maintain`


def bench(options: Options) -> Section:
    """Everything due and nothing due, over a lake as shards left it and over a joined one."""
    rounds = options.rounds or 3
    section = Section("plan", "Planning", options.command, machine.describe(), rounds)
    sizes = [(RECORDS, SHARD), (RECORDS, JOINED), *([(MANY, JOINED)] if options.large else [])]
    for records, rows in [(options.sized(records), rows) for records, rows in sizes]:
        now = datetime.now(UTC).isoformat()
        folder = options.folder / "lake"
        # What a run puts has its shards' size; a later check of all has it too.
        files = step(
            "lakes:build", folder=str(folder), records=records, now=now, rows_per_file=rows, checks=True
        ).result
        held = f"{records:,} records in {files:,} files"
        for due, what in ((True, "everything due"), (False, "nothing due")):
            arguments = {
                "lake": str(folder),
                "now": now,
                "due": due,
                "records": records,
                "rows_per_file": rows,
            }
            runs = [step("planning:plan", **arguments) for _ in range(rounds if records < MANY else 1)]
            bounded = records == RECORDS
            calls = "Planner, decide, cut, shards, write_shards" if due else "Planner, decide"
            times = [run.result["seconds"] for run in runs]
            section.add(f"**{what}**, {held}", times, "s", calls, "≤ 10" if bounded else "")
            section.add(
                "peak memory of the process",
                [run.peak for run in runs],
                "MB",
                calls,
                "≤ 1,000" if bounded else "",
            )
            for stage in runs[0].result["stages"]:
                section.add(f"of these, {stage}", [run.result["stages"][stage] for run in runs], "s", "")
            if due:
                shards = runs[0].result["shards"]
                reads = [1e3 * run.result["read"] for run in runs]
                section.add(f"one of {shards:,} shards read back", reads, "ms", "RunStore.read_shard")
        shutil.rmtree(folder)
    section.notes.append(
        "Each record has a put, a month old, and a check, an hour old. Everything due: the version token has "
        "changed, and every endpoint brings a new list (made before the clock starts, in memory throughout). "
        "Nothing due: the token is as it was, no list was asked for."
    )
    return section
