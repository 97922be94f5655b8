"""The machine that a figure belongs to."""

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

_LIBRARIES = (
    "trawl",
    "httpx",
    "aiohttp",
    "orjson",
    "pyarrow",
    "deltalake",
    "duckdb",
    "obstore",
    "uvloop",
)


def describe() -> str:
    """CPU, cores, memory, system, versions, date and how busy it was, in one line."""
    load = os.getloadavg()[0]
    return "; ".join(
        [
            f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
            f"{_field('/proc/cpuinfo', 'model name') or platform.processor()}, {os.cpu_count()} cores",
            f"{_gigabytes()} GB memory",
            f"{platform.system()} {platform.release()}",
            f"Python {platform.python_version()}",
            ", ".join(f"{name} {version(name)}" for name in _LIBRARIES),
            f"load average at the start {load:.1f}",
        ]
    )


def _gigabytes() -> int:
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9)


def _field(path: str, name: str) -> str | None:
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), None)
