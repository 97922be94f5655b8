"""`python -m bench`: run the benches, print and keep their figures."""

import argparse
import os
import shlex
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench import commit, crawl, flow, memory, plan
from bench.options import Options
from bench.report import PAGE, Section, save

BENCHES: dict[str, Callable[[Options], Section | None]] = {
    "crawl": crawl.bench,
    "memory": memory.bench,
    "commit": commit.bench,
    "plan": plan.bench,
    "flow": flow.bench,
}


def main(arguments: list[str]) -> int:
    """Run what is named, else all."""
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measure Trawl. Each bench prints its table and renews its section of bench/README.md.",
        epilog="For example: python -m bench crawl --documents 2000 --rounds 1 --print-only",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(BENCHES)}; all without any")
    parser.add_argument("--rounds", type=int, help="how often to measure (3; crawl, flow: 5)")
    parser.add_argument("--documents", type=int, help="crawl: so many documents, spread over the snapshot (7,442)")
    parser.add_argument("--scale", type=float, default=1.0, help="multiplies the sizes of made-up data (1)")
    parser.add_argument(
        "--large", action="store_true", help="plan: also 10,000,000 records (10 minutes, 10 GB of disk)"
    )
    parser.add_argument("--base-url", help="crawl: a server of the same documents that runs already, instead of nginx")
    parser.add_argument("--without-peers", action="store_true", help="crawl: leave out dlt and Scrapy")
    parser.add_argument("--temp", type=Path, help="where temporary data goes (up to 10 GB; removed at the end)")
    parser.add_argument("--print-only", action="store_true", help="leave bench/README.md as it is")
    chosen = parser.parse_args(arguments)
    if unknown := set(chosen.names) - set(BENCHES):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(BENCHES)}")
    archives = os.environ.get("TRAWL_TEST_ARCHIVES")
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed package is compiled once, not at each start
    for name in chosen.names or BENCHES:
        kept = [argument for argument in arguments if argument not in {*BENCHES, "--print-only"}]
        start = time.monotonic()
        with tempfile.TemporaryDirectory(prefix=f"trawl-bench-{name}-", dir=chosen.temp) as folder:
            section = BENCHES[name](
                Options(
                    rounds=chosen.rounds,
                    documents=chosen.documents,
                    scale=chosen.scale,
                    large=chosen.large,
                    archives=Path(archives) if archives else None,
                    base_url=chosen.base_url,
                    peers=not chosen.without_peers,
                    folder=Path(folder),
                    command=shlex.join(["python", "-m", "bench", name, *kept]),
                )
            )
        if section is None:
            print(
                f"{name}: skipped: TRAWL_TEST_ARCHIVES does not name the folder of the real snapshots",
                flush=True,
            )
            continue
        print(f"\n{section.markdown()}\n\n{name}: {time.monotonic() - start:.0f} s in all", flush=True)
        if not chosen.print_only:
            save(section, list(BENCHES), PAGE)
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # servers and temporary data go with the bench
    sys.exit(main(sys.argv[1:]))
