"""Differences between two documents, a line each."""

import json
from collections.abc import Sequence
from typing import Any

from trawl.model.diff import Difference

from .common import line_width, out
from .text import shorten, verbatim

_MARKS = {"added": "[green]+", "removed": "[red]-", "changed": "[yellow]~", "reordered": "[dim]="}
_LEAST = 24  # characters of a value, however long its path is


def show_differences(differences: Sequence[Difference], *, limit: int, indent: str = "  ") -> None:
    """Print the first differences; values are cut to the line."""
    for item in differences[:limit]:
        room = line_width() - len(indent) - len(item.path) - len("~ : ")
        match item.kind:
            case "added":
                text = _value(item.new, room)
            case "removed":
                text = _value(item.old, room)
            case "changed":
                new = _value(item.new, room // 2)  # what the one leaves is the other's
                old = _value(item.old, room - len(new) - len(" -> "))
                text = f"{old} -> {_value(item.new, room - len(old) - len(' -> '))}"
            case _:
                text = "another order"
        out.print(f"{indent}{_MARKS[item.kind]} {verbatim(item.path)}[/]: {verbatim(text)}")
    if len(differences) > limit:
        out.print(f"{indent}[dim]and {len(differences) - limit:,} more differences[/]")


def _value(value: Any, room: int) -> str:
    return shorten(json.dumps(value, ensure_ascii=False, default=str), max(room, _LEAST))
