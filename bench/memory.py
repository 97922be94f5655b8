"""The memory of a crawl whose bodies are large."""

import shutil

from bench import machine, source
from bench.measure import crawl, stand_in, total
from bench.options import Options
from bench.report import Section

BODY = 1_000_000
BODIES = 500
SMALL, SMALLS = 2_000, 10_000


def bench(options: Options) -> Section:
    """A crawl of 1 MB bodies, and one of small ones."""
    rounds = options.rounds or 3
    section = Section("memory", "Large bodies", options.command, machine.describe(), rounds)
    for size, number in ((BODY, BODIES), (SMALL, SMALLS)):
        records = options.sized(number, 2)
        path = source.write(options.folder, ["documents"])
        runs = []
        with stand_in(records=records, size=size) as url:
            for _ in range(rounds):
                lake = options.folder / "lake"
                run = crawl(path, lake, url)
                if total(run.result, "new") != records:
                    raise RuntimeError(run.output)
                shutil.rmtree(lake)
                runs.append(run)
        held = f"{records:,} bodies of {size / 1e3:,.0f} kB"
        command = "trawl run SOURCE --rate unlimited"
        section.add(
            f"**peak memory**, {held}",
            [run.peak for run in runs],
            "MB",
            command,
            "≤ 400" if size == BODY else "",
        )
        section.add("records", [records / run.seconds for run in runs], "records/s", command)
        section.add("bodies", [records * size / 1e6 / run.seconds for run in runs], "MB/s", command)
        section.add("CPU", [1e3 * run.cpu / records for run in runs], "ms/record", command)
    return section
