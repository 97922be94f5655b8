"""The contract of an endpoint: what a document must look like to be believed."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict

from .errors import BrokenBody
from .keys import scalar
from .values import dig, is_whole

_NAMES: dict[type, str] = {
    dict: "object",
    list: "array",
    str: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    type(None): "null",
}
_TYPES = (*_NAMES.values(), "any")


def _known_types(text: Any) -> str:
    parts = [part.strip() for part in text.split("|")] if isinstance(text, str) else [""]
    if any(part not in _TYPES for part in parts):
        raise ValueError(f"{text!r} is no JSON type; write one of {', '.join(_TYPES)}, or several with '|'")
    return "|".join(parts)


class Contract(BaseModel):
    """The document's own type, the fields that it must have, and the field that must repeat the key."""

    model_config = ConfigDict(extra="forbid", frozen=True, ignored_types=(cached_property,))

    type: Literal["object", "array", "any"] = "object"
    fields: dict[str, Annotated[str, BeforeValidator(_known_types)]] = {}
    key: str | None = None

    @cached_property
    def _checks(self) -> tuple[tuple[str, frozenset[str], str], ...]:
        return tuple((path, _accepted(types.split("|")), types) for path, types in self.fields.items())

    def check(self, value: Any, key: str) -> None:
        """Raise BrokenBody with the first reason, if there is one."""
        if self.type not in {"any", found := json_type(value)}:
            raise BrokenBody(f"contract: the document is {found}, not {self.type}")
        for path, accepted, wanted in self._checks:
            try:
                found = json_type(dig(value, path))
            except KeyError:
                raise BrokenBody(f"contract: the field {path!r} is missing") from None
            if found not in accepted:
                raise BrokenBody(f"contract: the field {path!r} is {found}, not {wanted}")
        if self.key is not None and scalar(value, self.key) != key:
            raise BrokenBody(f"contract: the field {self.key!r} is not the record's key {key!r}")

    def findings(self, value: Any, key: str) -> Iterator["Finding"]:
        """What the contract asks for and what stands there, in the order in which `check` looks."""
        yield Finding("", self.type, json_type(value), self.type in {"any", json_type(value)})
        for path, accepted, wanted in self._checks:
            try:
                found = json_type(dig(value, path))
            except KeyError:
                found = None
            yield Finding(path, wanted, found, found in accepted)
        if self.key is not None:
            own = scalar(value, self.key)
            yield Finding(self.key, f"the key {key}", own, own == key)


@dataclass(frozen=True, slots=True)
class Finding:
    """One demand of a contract: the field's path (empty: the document), what is wanted there and what is found."""

    path: str
    wanted: str
    found: str | None
    ok: bool


def json_type(value: Any) -> str:
    """The JSON name of a parsed value's type; a number without a fraction is an integer."""
    if isinstance(value, Decimal):
        return "integer" if is_whole(value) else "number"
    return _NAMES[type(value)]


def _accepted(types: Iterable[str]) -> frozenset[str]:
    names = frozenset(types)
    if "any" in names:
        return frozenset(_TYPES)
    return names | {"integer"} if "number" in names else names
