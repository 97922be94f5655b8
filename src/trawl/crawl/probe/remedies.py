"""What to change in a source where it does not fit what came."""

from typing import Any

from trawl.model.contract import Finding, json_type
from trawl.model.values import dig

NO_JSON = "must lead to a JSON document; open the address to see what it is"


def fields_text(value: Any) -> str:
    """What an object holds, for somebody who writes a source: `id (integer), name (string)`."""
    if not isinstance(value, dict):
        return f"none, it is {json_type(value)}: {str(value)[:60]}"
    shown = [f"{name} ({json_type(item)})" for name, item in list(value.items())[:20]]
    return ", ".join(shown) + (", ..." if len(value) > 20 else "") or "none"


def list_remedy(value: Any, items: str, count: str | None) -> str:
    """What to write for a body in which items or count are not where the source says."""
    if isinstance(value, list):
        return "the document is the array itself: leave `list.items` and `list.count` out"
    arrays = [path for path in _paths(value) if isinstance(dig(value, path), list)]
    hints = (
        [f"set `list.items` to {' or '.join(repr(path) for path in arrays)}"] if arrays and items not in arrays else []
    )
    numbers = [path for path in _paths(value) if json_type(dig(value, path)) == "integer"]
    if count is not None and count not in numbers:
        hints.append(f"set `list.count` to {' or '.join(map(repr, numbers))}" if numbers else "leave `list.count` out")
    return "; ".join(hints) or f"the document's fields: {fields_text(value)}"


def _paths(value: Any) -> list[str]:
    """The paths of an object's fields, two levels deep."""
    found: list[str] = []
    for name, inner in value.items() if isinstance(value, dict) else ():
        found.append(name)
        found += [f"{name}.{below}" for below in inner] if isinstance(inner, dict) else []
    return found


def torn_remedy(message: str, items: Any) -> str:
    """What to write for items that make no listing."""
    if "came twice" in message:
        return f"`key.field` does not tell the items apart. An item's fields: {fields_text(items[0])}"
    return f"correct `detail.path` or `pagination`. An item's fields: {fields_text(items[0]) if items else 'the page is empty'}"


def contract_remedy(finding: Finding | None, value: Any) -> str:
    """What to write for a document that breaks its contract."""
    if finding is None:
        return f"the document's fields: {fields_text(value)}"
    if not finding.path:
        return f"set `contract.type` to {finding.found!r} if that is how the API is"
    if finding.wanted.startswith("the key "):
        return f"`contract.key` names the field that repeats the key; here it is {finding.found!r}. Fields: {fields_text(value)}"
    if finding.found is None:
        return f"take {finding.path!r} out of `contract.fields` if it may be missing. Fields: {fields_text(value)}"
    return f"write `{finding.path}: {finding.wanted}|{finding.found}` in `contract.fields` if both are right"
