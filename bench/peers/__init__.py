"""What others make for the same job, at their best as their documentation shows it: dlt and Scrapy.

They live in a virtualenv of their own, `.venv-bench`: nothing of Trawl needs them, nor they anything of Trawl.
"""

import json
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

from bench.measure import ROOT, Run, run

LOCK = ROOT / "requirements" / "bench.txt"
PLACE = ROOT / ".venv-bench"
TITLES = {"dlt": "dlt", "scrapy": "Scrapy"}
COMMANDS = {
    "dlt": "bench/peers/with_dlt.py: rest_api source, filesystem destination, Parquet",
    "scrapy": "bench/peers/with_scrapy.py: AsyncCrawlerProcess, JSON lines",
}


def ready(place: Path, lock: Path) -> bool:
    """Whether the virtualenv holds what the lock says."""
    stamp = place / ".ready"
    return stamp.exists() and stamp.read_bytes() == lock.read_bytes()


def prepare() -> None:
    """Make the virtualenv, where it is missing or older than its lock."""
    if ready(PLACE, LOCK):
        return
    print(f"installing dlt and Scrapy into {PLACE.name}", flush=True)
    venv.create(PLACE, clear=True, with_pip=True)
    pip = [_python(), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    try:
        subprocess.run([*pip, "--no-deps", "--require-hashes", "-r", str(LOCK)], check=True)
    except subprocess.CalledProcessError:
        sys.exit("dlt and Scrapy cannot be installed; to measure without them: python -m bench crawl --without-peers")
    (PLACE / ".ready").write_bytes(LOCK.read_bytes())


def crawl(name: str, **arguments: Any) -> Run:
    """Crawl with one of them in a process of its own."""
    return run([_python(), "-m", f"bench.peers.with_{name}", json.dumps(arguments)])


def stored(result: dict[str, Any]) -> int:
    """How many rows or lines lie in what it wrote. The lines are counted here: that is none of the crawl's time."""
    if "feed" not in result:
        rows: int = result["stored"]
        return rows
    with Path(result["feed"]).open("rb") as lines:
        return sum(1 for _ in lines)


def _python() -> str:
    return str(PLACE / "bin" / "python")
