"""What a commit writes, whatever lies in the lake already."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

from bench import machine, source
from bench.folders import added, bytes_of, contents
from bench.measure import Run, crawl, stand_in, step, total
from bench.options import Options
from bench.report import Section

CHANGES = 100
SIZES = (100_000, 10_000_000)
ROWS_PER_FILE = 5_000
ENDPOINTS = (
    "authors",
    "books",
    "loans",
    "members",
)  # those of bench.steps.lakes, which is too heavy to import here


def bench(options: Options) -> Section:
    """A whole run with 100 changes, and the commit alone, over a small lake and over a large one."""
    rounds = options.rounds or 3
    section = Section("commit", "A commit of 100 changes", options.command, machine.describe(), rounds)
    ours = "trawl run SOURCE: 4 lists answer 304, 100 of the records are due and changed"
    wholes: list[list[float]] = []
    for size in map(options.sized, SIZES):
        folder = options.folder / "lake"
        now = datetime.now(UTC).isoformat()
        files = step(
            "lakes:build",
            folder=str(folder),
            records=size,
            now=now,
            rows_per_file=min(ROWS_PER_FILE, size // (2 * len(ENDPOINTS))),
            due=CHANGES,
            rounds=rounds,
        ).result
        runs, written, alone = [], [], []
        with stand_in(records=0, size=300) as url:
            for _ in range(rounds):
                before = contents(folder)
                runs.append(_run(options.folder, folder, url))
                written.append(added(before, contents(folder)))
        alone = [step("commits:changes", lake=str(folder)).result for _ in range(rounds)]
        checkpoint = step("commits:checkpoint", lake=str(folder)).result
        held = f"{size:,} records"
        whole = [sum(parts.values()) / 1e3 for parts in written]
        wholes.append(whole)
        section.add(f"**bytes written by the run** into {held}", whole, "kB", ours)
        for part in sorted({name for parts in written for name in parts}):
            section.add(f"of these, {part}", [parts.get(part, 0) / 1e3 for parts in written], "kB", "")
        section.add(f"the whole run, {held}", [run.seconds for run in runs], "s", ours)
        section.add(f"its peak memory, {held}", [run.peak for run in runs], "MB", ours)
        what = "LogWriter, Log.commit: 100 rows, as one shard"
        section.add(f"the commit alone, {held}", [1e3 * one["commit"] for one in alone], "ms", what)
        section.add(f"opening the log, {held}", [1e3 * one["open"] for one in alone], "ms", "Log.snapshot")
        section.add(
            f"a checkpoint (every 100th commit), {held}",
            checkpoint / 1e3,
            "kB",
            "DeltaTable.create_checkpoint",
        )
        section.notes.append(f"The lake of {held}: {files:,} files, {bytes_of(contents(folder)) / 1e6:,.0f} MB.")
        shutil.rmtree(folder)
    small, large = wholes
    ratios = [big / little for little, big in zip(small, large, strict=True)]
    section.add("**large lake : small lake, bytes**", ratios, "times", "both", "< 2", code=False)
    section.notes.append(
        "Counted are the files that a run left new or changed in the lake's folder: data, the Delta log, manifests, "
        "leases and what stays of plans. A checkpoint of the Delta log grows with the files, not with the records: "
        "`trawl maintain` joins them."
    )
    return section


def _run(temporary: Path, lake: Path, url: str) -> Run:
    path = source.write(temporary, ENDPOINTS)
    run = crawl(path, lake, url, "--max-requests", str(CHANGES + len(ENDPOINTS)))
    if total(run.result, "changed") != CHANGES:
        raise RuntimeError(f"not {CHANGES} records changed: {run.output}")
    return run
