"""Documents beside the log as they come back: a power cut, or somebody, may have left something else in their place.

What is read of them has a form here. They stay the mappings that they are: what we do not read, we pass on.
"""

import json
from base64 import b64decode
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from trawl.lake.log.table import LogFile

Read = TypeVar("Read")
CLOSED = ConfigDict(extra="forbid")
"""For what another Trawl may have written with fields whose meaning we do not know."""


def read(form: TypeAdapter[Read], content: bytes | None) -> Read | None:
    """A document of this form, or None where there is none, or less than it, or something else."""
    try:
        return None if content is None else form.validate_python(json.loads(content))
    except (ValueError, RecursionError):
        return None


def is_whole(content: bytes) -> bool:
    """Whether something is JSON: what a power cut leaves is not."""
    try:
        json.loads(content)
    except (ValueError, RecursionError):
        return False
    return True


def _instant(text: str) -> str:
    if datetime.fromisoformat(text).tzinfo is None:
        raise ValueError("it has no time zone")
    return text


def _utf8(text: str) -> str:
    text.encode()  # raises where it holds half a character
    return text


Instant = Annotated[str, AfterValidator(_instant)]
"""ISO 8601 with a time zone, as it was written."""

Whole = Annotated[int, Field(ge=0, lt=2**63)]
Plain = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.=/-]+$")]


class _Form(BaseModel):
    model_config = ConfigDict(strict=True)


class _Counts(_Form):
    """Of an endpoint: its notes, and beside them nothing but numbers and truths."""

    model_config = ConfigDict(strict=True, extra="allow")
    __pydantic_extra__: dict[str, Whole | bool]

    notes: list[str] = []


class _File(_Form):
    model_config = ConfigDict(strict=True, extra="forbid")

    path: Plain
    kind: Plain
    endpoint: Plain
    size: Whole
    rows: Whole


def _check_file(file: LogFile) -> LogFile:
    _File.model_validate(asdict(file))
    return file


Uncommitted = Annotated[LogFile, AfterValidator(_check_file)]


class _Hold(_Form):
    reason: str
    files: list[_File] = []


class _Token(_Form):
    value: str
    order: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None
    first_seen: Instant


class _Unread(_Form):
    runs: Whole
    reason: str = ""


class _Reading(_Form):
    rules: str
    since: Instant | None = None


class _Facts(_Form):
    token: Annotated[_Token, Field(default=None)]  # missing, never null
    keys: dict[str, str] = {}
    rules: dict[str, str] = {}
    parents: dict[str, str] = {}
    forgotten: dict[str, list[str]] = {}
    base_url: str | None = None
    unread: dict[str, _Unread] = {}
    reading: dict[str, _Reading] = {}


def _has_form(model: type[BaseModel]) -> AfterValidator:
    def check(value: dict[str, Any]) -> dict[str, Any]:
        model.model_validate(value)
        return value

    return AfterValidator(check)


Counts = Annotated[dict[str, Any], _has_form(_Counts)]
Hold = Annotated[dict[str, Any], _has_form(_Hold)]
Facts = Annotated[dict[str, Any], _has_form(_Facts)]


class _Manifest(_Form):
    run_id: str
    status: str
    committed: bool
    endpoints: dict[str, Counts]
    holds: dict[str, Hold]
    mode: str | None = None
    started_at: Instant | None = None
    finished_at: Instant | None = None
    duration_s: float | None = None
    requests: Whole | None = None
    not_modified: Whole | None = None
    bytes: Whole | None = None
    retries: Whole | None = None
    source_version: str | None = None
    note: str | None = None


class _Answer(_Form):
    endpoint: str
    key: str
    reason: str
    status: Whole | None
    observed_at: Instant
    headers: dict[str, str]
    body: Annotated[str, AfterValidator(_utf8)] | None = None
    body_base64: Annotated[str, AfterValidator(b64decode)] | None = None

    @model_validator(mode="after")
    def _with_one_body(self) -> Self:
        if (self.body is None) == (self.body_base64 is None):
            raise ValueError("it has no body, or two")
        return self


FACTS = TypeAdapter(Facts)
MANIFEST = TypeAdapter(Annotated[dict[str, Any], _has_form(_Manifest)])
ANSWER = TypeAdapter(Annotated[dict[str, Any], _has_form(_Answer)])
