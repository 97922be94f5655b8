"""The contract of an endpoint: what a document must look like to be believed."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict

from .errors import BrokenBody
from .keys import KeyPolicy, scalar
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
        raise ValueError(f"{text!r} is not a JSON type; write one of {', '.join(_TYPES)}, or several with '|'")
    return "|".join(parts)


def _known_key(value: Any) -> Any:
    if value is True or value == "true":  # where text is wanted, YAML gives what is written
        return True
    if value is None or (isinstance(value, str) and value):
        return value
    raise ValueError(
        f"{value!r} names no field; write its path, `true` (the fields that make the list's keys, if present) or `null`"
    )


class Contract(BaseModel):
    """The document's own type, the fields that it must have, and the field that must repeat the key.

    `key: true`, which is the default, asks a document for what the endpoint's keys are made of, where it has that.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, ignored_types=(cached_property,))

    type: Literal["object", "array", "any"] = "object"
    fields: dict[str, Annotated[str, BeforeValidator(_known_types)]] = {}
    key: Annotated[Literal[True] | str | None, BeforeValidator(_known_key)] = True

    @property
    def written(self) -> bool:
        """Whether it asks for anything that tells a document from an error object, or renounces that."""
        return bool(self.fields) or self.key is not True or self.type == "array"

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
        if isinstance(self.key, str) and (own := scalar(value, self.key)) != key:
            raise BrokenBody(f"contract: {_not_the_key(self.key, key, own)}")

    def check_document(self, value: Any, key: str, policy: KeyPolicy | None) -> bool:
        """The same for a document that the list has not brought; and say whether it tells whose it is.

        `policy` is what makes the keys, where a document may repeat them. One that does not is believed all the same,
        unless it looks like nothing but an error.
        """
        self.check(value, key)
        if self.key is not True:
            return True
        own = None if policy is None else policy.told_by(value)
        if own is not None and policy is not None and own != key:
            raise BrokenBody(f"contract: {_not_the_key(', '.join(policy.fields), key, own)}; {RENOUNCE}")
        if own is None and not self.fields and is_error(value):
            raise BrokenBody(f"contract: the document is nothing but an error; {RENOUNCE}")
        return own is not None

    def findings(self, value: Any, key: str, policy: KeyPolicy | None = None) -> Iterator["Finding"]:
        """What the contract asks for and what stands there, in the order in which `check_document` looks."""
        yield Finding("", self.type, json_type(value), self.type in {"any", json_type(value)})
        for path, accepted, wanted in self._checks:
            try:
                found = json_type(dig(value, path))
            except KeyError:
                found = None
            yield Finding(path, wanted, found, found in accepted)
        if isinstance(self.key, str):
            own = scalar(value, self.key)
            yield Finding(self.key, f"the key {key}", own, own == key)
        elif self.key and policy is not None and (own := policy.told_by(value)) is not None:
            yield Finding(", ".join(policy.fields), f"the key {key}", own, own == key)


@dataclass(frozen=True, slots=True)
class Finding:
    """One demand of a contract: the field's path (empty: the document), what is wanted there and what is found."""

    path: str
    wanted: str
    found: str | None
    ok: bool


RENOUNCE = "`contract.key: null` if that is what the API sends"

# Names as `_plain` spells them.
_ERRORS = frozenset({"error", "errors", "err", "fault", "exception"})
_WORDS = frozenset({"message", "messages", "msg", "detail", "details", "reason", "errormessage", "errordescription"})
_CODES = frozenset({"status", "code", "statuscode", "errorcode", "httpstatus"})
_FLAGS = frozenset({"success", "ok"})
_BESIDE = frozenset({"title", "type", "instance", "path", "method", "timestamp", "trace", "description", "help"})
_TRACED = frozenset({"traceid", "requestid", "documentationurl", "erroruri", "moreinfo"})
_OF_AN_ERROR = _ERRORS | _WORDS | _CODES | _FLAGS | _BESIDE | _TRACED
_STATUS = re.compile("[1-5][0-9][0-9]")
_SPOKEN = {"ok": 200, "success": 200, "error": 500, "fail": 500, "failed": 500, "failure": 500}


def is_error(value: Any) -> bool:
    """Whether a document looks like nothing but an error: there is no field in it that an error would not have.

    One that calls itself a success is none; nor is one that has more than words where a document may have its content,
    in `message` for example.
    """
    if not isinstance(value, dict) or len(value) > len(_OF_AN_ERROR):
        return False
    said = {_plain(name): item for name, item in value.items() if item is not None}
    if not said.keys() <= _OF_AN_ERROR:
        return False
    codes = [code for name in _CODES & said.keys() if (code := _status(said[name])) is not None]
    flags = [said[name] for name in _FLAGS & said.keys()]
    words = [said[name] for name in _WORDS & said.keys()]
    if True in flags or any(code < 400 for code in codes):
        return False
    if any(said[name] for name in _ERRORS & said.keys()):
        return True
    return all(isinstance(word, str) for word in words) and bool(words or codes or False in flags)


def _plain(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")


def _status(value: Any) -> int | None:
    """The HTTP status that a value names, in figures or in a word."""
    if isinstance(value, str) and value.lower() in _SPOKEN:
        return _SPOKEN[value.lower()]
    return int(value) if isinstance(value, int | str) and _STATUS.fullmatch(str(value)) else None


def _not_the_key(field: str, key: str, own: str | None) -> str:
    found = "" if own is None else f" but {own!r}"
    return f"the field {field!r} is not the record's key {key!r}{found}"


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
