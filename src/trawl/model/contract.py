"""The contract of an endpoint: what a document must look like to be believed."""

from decimal import Decimal
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict

from .errors import BrokenBody
from .keys import scalar
from .values import dig

_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int, Decimal),
    "number": (int, float, Decimal),
    "boolean": (bool,),
    "null": (type(None),),
    "any": (object,),
}


def _known_types(text: Any) -> str:
    if not isinstance(text, str) or any(part not in _TYPES for part in text.split("|")):
        raise ValueError(f"{text!r} is no JSON type; write one of {', '.join(_TYPES)}, or several with '|'")
    return text


class Contract(BaseModel):
    """The document's own type, the fields that it must have, and the field that must repeat the record's key."""

    model_config = ConfigDict(extra="forbid", frozen=True, ignored_types=(cached_property,))

    type: Literal["object", "array", "any"] = "object"
    fields: dict[str, Annotated[str, BeforeValidator(_known_types)]] = {}
    key: str | None = None

    @cached_property
    def _checks(self) -> tuple[tuple[str, tuple[type, ...], bool, str], ...]:
        return tuple(
            (path, sum((_TYPES[part] for part in types.split("|")), ()), "boolean" in types or "any" in types, types)
            for path, types in self.fields.items()
        )

    def check(self, value: Any, key: str) -> None:
        """Raise BrokenBody with the first reason, if there is one."""
        if self.type != "any" and not isinstance(value, _TYPES[self.type]):
            raise BrokenBody(f"contract: the document is {json_type(value)}, not {self.type}")
        for path, types, boolean, wanted in self._checks:
            try:
                found = dig(value, path)
            except KeyError:
                raise BrokenBody(f"contract: the field {path!r} is missing") from None
            if not isinstance(found, types) or (isinstance(found, bool) and not boolean):
                raise BrokenBody(f"contract: the field {path!r} is {json_type(found)}, not {wanted}")
        if self.key is not None and scalar(value, self.key) != key:
            raise BrokenBody(f"contract: the field {self.key!r} is not the record's key {key!r}")


def json_type(value: Any) -> str:
    """The JSON name of a value's type."""
    for name in ("null", "boolean", "object", "array", "string", "integer", "number"):
        if isinstance(value, _TYPES[name]):
            return name
    return type(value).__name__
