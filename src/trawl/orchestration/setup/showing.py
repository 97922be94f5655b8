"""What `trawl setup --dry-run` prints: a change by what differs in it, and no secret."""

import json
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from .merging import ABSENT, Step, is_empty, is_same

__all__ = ["differences"]


def differences(step: Step, *, hidden: Collection[str] = ()) -> list[tuple[str, str, str]]:
    """The changed values: path, before, after. Deep ones by what differs in them; secrets are not shown."""
    secret = step.wanted.secret if step.wanted is not None else frozenset()
    lines: list[tuple[str, str, str]] = []
    for part, change in step.changes.items():
        if part in secret:
            lines.append((part, "(hidden)" if not is_empty(change.old) else "nothing", "(hidden)"))
        else:
            lines += _leaves(part, change.old, change.new, hidden)
    return lines


_SHOWN = 100  # characters of a value


def _leaves(path: str, old: Any, new: Any, hidden: Collection[str]) -> Iterable[tuple[str, str, str]]:
    if is_same(old, new):
        return
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for name in dict.fromkeys([*old, *new]):
            yield from _leaves(f"{path}.{name}", old.get(name, ABSENT), new.get(name, ABSENT), hidden)
        return
    last = path.rpartition(".")[2].lower()
    if any(word in last for word in hidden):
        yield path, "(hidden)", "(hidden)"
    else:
        yield path, _shown(old), _shown(new)


def _shown(value: Any) -> str:
    if is_empty(value):
        return "nothing"
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."
