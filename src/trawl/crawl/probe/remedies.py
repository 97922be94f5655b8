"""What to change in a source where it does not fit what came."""

import re
from typing import Any

from trawl.model.contract import Finding, json_type
from trawl.model.describe import fields_text
from trawl.model.errors import TornListing
from trawl.model.keys import scalar

_PLAIN = re.compile("[A-Za-z_][A-Za-z0-9_]*")  # a name that is a path and a YAML key as it stands
_SUGGESTED = 5
NO_JSON = "must lead to a JSON document; open the address to see what it is"


def torn_remedy(error: TornListing, items: Any) -> str:
    """What to write for items that make no listing."""
    shown = f"An item's fields: {fields_text(items[0]) if items else 'the page is empty'}"
    if "came twice" in error.message:
        return f"`key.field` is not unique. {shown}"
    return f"{error.remedy or 'correct `detail.path` or `pagination`'}. {shown}"


def contract_text(value: Any, key: str) -> str:
    """A contract that a document keeps: fields that it has, and the one that repeats its key."""
    if not isinstance(value, dict):
        return f"contract: {{type: {'array' if isinstance(value, list) else 'any'}}}"
    plain = {name: json_type(item) for name, item in value.items() if item is not None and _PLAIN.fullmatch(name)}
    own = next((name for name in plain if scalar(value, name) == key), None)
    names = dict.fromkeys([own, *plain] if own else plain)
    fields = ", ".join(f"{name}: {plain[name]}" for name in list(names)[:_SUGGESTED])
    return f"contract: {{fields: {{{fields}}}" + (f", key: {own}}}" if own else "}")


def contract_remedy(finding: Finding | None, value: Any) -> str:
    """What to write for a document that breaks its contract."""
    if finding is None:
        return f"the document's fields: {fields_text(value)}"
    if not finding.path:
        return f"set `contract.type` to {finding.found!r} if that is what the API sends"
    if finding.wanted.startswith("the key "):
        return f"`contract.key` names the field that repeats the key; here it is {finding.found!r}. Fields: {fields_text(value)}"
    if finding.found is None:
        return f"remove {finding.path!r} from `contract.fields` if it may be missing. Fields: {fields_text(value)}"
    return f"write `{finding.path}: {finding.wanted}|{finding.found}` in `contract.fields` if both are right"
