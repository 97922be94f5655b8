"""What changed between two documents, path by path."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .canonical import dumps
from .keys import scalar


@dataclass(frozen=True, slots=True)
class Difference:
    """One value that is not the same: `old` or `new` is None where it was added or removed (see `kind`)."""

    path: str
    kind: str  # added, removed, changed, reordered
    old: Any = None
    new: Any = None


def diff(old: Any, new: Any, path: str = "") -> Iterator[Difference]:
    """The differences in reading order. Lists are compared as what came and went; a mere order is said so.

    An item with a name of its own (or an id, or named objects in it) is called by that, else by its place.
    """
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
    names = _names([old[index] for index in gone], [new[index] for index in came])
    if names is None and len(old) == len(new) and gone == came:
        for index in gone:
            yield from diff(old[index], new[index], f"{path}[{index}]")
        return
    before_names, after_names = names or (gone, came)
    newer = dict(zip(after_names, came, strict=True)) if names else {}
    for name, index in zip(before_names, gone, strict=True):
        if name in newer:
            yield from diff(old[index], new[newer.pop(name)], f"{path}[{name}]")
        else:
            yield Difference(f"{path}[{name}]", "removed", old=old[index])
    for name, index in zip(after_names, came, strict=True):
        if not names or name in newer:
            yield Difference(f"{path}[{name}]", "added", new=new[index])


def _names(gone: list[Any], came: list[Any]) -> tuple[list[str], list[str]] | None:
    """What to call the items that went and those that came, so that one which only changed is met again.

    Of the ways to name an item the one that meets most again; None where the items have no names.
    """
    best: tuple[int, list[str], list[str]] | None = None
    for way in (_own_name, _names_inside, _own_id):
        olds, news = [way(item) for item in gone], [way(item) for item in came]
        unique = len(set(olds)) == len(olds) and len(set(news)) == len(news)
        if unique and None not in olds and None not in news:
            met = len(set(olds) & set(news))
            if best is None or met > best[0]:
                best = met, [str(name) for name in olds], [str(name) for name in news]
    return None if best is None else best[1:]


def _own_name(item: Any) -> str | None:
    name = item.get("name") if isinstance(item, dict) else None
    return name if isinstance(name, str) else None


def _own_id(item: Any) -> str | None:
    return scalar(item, "id") if isinstance(item, dict) else None


def _names_inside(item: Any) -> str | None:
    """The names of the objects in an item, for those that only join others: {"language": {"name": "en"}, ...}."""
    inside = [_own_name(value) for value in item.values()] if isinstance(item, dict) else []
    return "/".join(name for name in inside if name) or None


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
