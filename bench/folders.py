"""What lies in a folder, and what came to it."""

import os
from pathlib import Path

Contents = dict[str, tuple[int, int]]


def contents(folder: Path) -> Contents:
    """Every file below: its size and when it was written (ns)."""
    found = {}
    for place, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(place, name)  # noqa: PTH118 - there are many
            status = os.stat(path)  # noqa: PTH116
            found[os.path.relpath(path, folder)] = status.st_size, status.st_mtime_ns
    return found


def bytes_of(found: Contents) -> int:
    return sum(size for size, _ in found.values())


def added(before: Contents, after: Contents) -> dict[str, int]:
    """The bytes of files that are new or changed, by what they are."""
    sums: dict[str, int] = {}
    for path, (size, written) in after.items():
        if before.get(path) != (size, written):
            what = _what(path)
            sums[what] = sums.get(what, 0) + size
    return sums


def _what(path: str) -> str:
    parts = path.split("/")
    if "_delta_log" in parts:
        return "Delta log"
    kind = next((part for part in parts if part.startswith("kind=")), None)
    return (
        f"data ({kind.removeprefix('kind=')})"
        if kind
        else {"runs": "manifest", "plans": "plans"}.get(parts[1], "lease")
    )
