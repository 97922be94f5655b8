"""What changed between two documents, path by path."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .canonical import dumps


@dataclass(frozen=True, slots=True)
class Difference:
    """One value that is not the same: `old` or `new` is None where it was added or removed (see `kind`)."""

    path: str
    kind: str  # added, removed, changed, reordered
    old: Any = None
    new: Any = None


def diff(old: Any, new: Any, path: str = "") -> Iterator[Difference]:
    """The differences in reading order. Lists are compared as what came and went; a mere order is said so."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in old | new:
            here = f"{path}.{key}" if path else str(key)
            if key not in new:
                yield Difference(here, "removed", old=old[key])
            elif key not in old:
                yield Difference(here, "added", new=new[key])
            else:
                yield from diff(old[key], new[key], here)
    elif isinstance(old, list) and isinstance(new, list):
        yield from _lists(old, new, path)
    elif dumps(old) != dumps(new):
        yield Difference(path or "the document", "changed", old, new)


def _lists(old: list[Any], new: list[Any], path: str) -> Iterator[Difference]:
    before, after = [dumps(item) for item in old], [dumps(item) for item in new]
    if before == after:
        return
    if sorted(before) == sorted(after):
        yield Difference(path, "reordered")
        return
    gone, came = _without(before, after), _without(after, before)
    if len(old) == len(new) and gone == came:
        for index in gone:
            yield from diff(old[index], new[index], f"{path}[{index}]")
        return
    for index in gone:
        yield Difference(f"{path}[{index}]", "removed", old=old[index])
    for index in came:
        yield Difference(f"{path}[{index}]", "added", new=new[index])


def _without(items: list[bytes], others: list[bytes]) -> list[int]:
    """The places of the items that `others` does not have (each counted as often as it stands there)."""
    left = Counter(others)
    places = []
    for index, item in enumerate(items):
        if left[item]:
            left[item] -= 1
        else:
            places.append(index)
    return places
