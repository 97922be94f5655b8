"""Running programs and taking their time, CPU time and peak memory.

Like all that the parent process imports, this needs the standard library only: on Linux a child's peak memory
is never reported below that of its parent at the fork.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
TRAWL = str(Path(sys.executable).parent / "trawl")


@dataclass(frozen=True, slots=True)
class Run:
    """A program that ended well: wall and CPU seconds, its peak memory in MB, and what it printed."""

    seconds: float
    cpu: float
    peak: float
    output: str

    @property
    def result(self) -> Any:
        """The last line that it printed, as JSON."""
        return json.loads(self.output.strip().splitlines()[-1])


def run(command: Sequence[str]) -> Run:
    """Run a program to its end. Raises RuntimeError with what it said where it fails."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=out, stderr=err, cwd=ROOT)
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            process.wait()
            raise
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        if process.returncode:
            raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}\n{err.read()}{out.read()}")
        return Run(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e6, out.read())


def crawl(source: str, lake: Path, url: str, *more: str) -> Run:
    """`trawl run SOURCE --rate unlimited MORE...`, from `url` into `lake`."""
    flags = ("--lake", str(lake), "--base-url", url, "--rate", "unlimited", "--json", *more)
    return run([TRAWL, "run", source, *flags])


def total(report: dict[str, Any], name: str) -> int:
    """One count of a run's report over all endpoints."""
    return sum(counts[name] for counts in report["endpoints"].values())


def step(target: str, **arguments: Any) -> Run:
    """Call a function of this package in a fresh process; see `bench.steps`."""
    return run([sys.executable, "-m", "bench.steps", target, json.dumps(arguments)])


@contextmanager
def served(command: Sequence[str]) -> Iterator[str]:
    """A server in a process of its own, which says `serving URL` once it is ready; the value is the URL."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as server:
        try:
            assert server.stdout is not None
            line = server.stdout.readline()
            if not line.startswith("serving "):
                raise RuntimeError(f"{' '.join(command)} did not start: {line}")
            yield line.split()[1]
        finally:
            server.terminate()


def replica(*arguments: str) -> AbstractContextManager[str]:
    """`trawl replica ARGUMENTS...` in a process of its own."""
    return served([TRAWL, "replica", "--port", "0", *arguments])


def stand_in(**arguments: Any) -> AbstractContextManager[str]:
    """`bench.steps.stand_in.serve` in a process of its own."""
    return served([sys.executable, "-m", "bench.steps", "stand_in:serve", json.dumps(arguments)])
