"""Documents in words, for whoever writes a source: what an object holds, and where the list may stand in it."""

from typing import Any

from .contract import json_type
from .values import dig, path_of

_FIELDS = 20


def fields_text(value: Any) -> str:
    """What an object holds: `id (integer), name (string)`."""
    if not isinstance(value, dict):
        return f"none, it is {json_type(value)}: {str(value)[:60]}"
    shown = [f"{path_of([name])} ({json_type(item)})" for name, item in list(value.items())[:_FIELDS]]
    return ", ".join(shown) + (", ..." if len(value) > _FIELDS else "") or "none"


def list_remedy(value: Any, items: str, count: str | None) -> str:
    """What to write for a body in which items or count are not where the source says."""
    if isinstance(value, list):
        return "the document is the array itself: remove `list.items` and `list.count`"
    arrays = [path for path in _paths(value) if isinstance(dig(value, path), list)]
    hints = (
        [f"set `list.items` to {' or '.join(repr(path) for path in arrays)}"] if arrays and items not in arrays else []
    )
    numbers = [path for path in _paths(value) if json_type(dig(value, path)) == "integer"]
    if count is not None and count not in numbers:
        hints.append(f"set `list.count` to {' or '.join(map(repr, numbers))}" if numbers else "remove `list.count`")
    return "; ".join(hints) or f"the document's fields: {fields_text(value)}"


def _paths(value: Any) -> list[str]:
    """The paths of an object's fields, two levels deep."""
    found: list[str] = []
    for name, inner in value.items() if isinstance(value, dict) else ():
        found.append(path_of([name]))
        found += [path_of([name, below]) for below in inner] if isinstance(inner, dict) else []
    return found
