"""Small readable values of configuration: durations, and dotted paths into JSON."""

import re
from collections.abc import Iterable, Iterator
from datetime import timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, PlainSerializer

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])")
_LONGEST = timedelta(days=36_525)  # a century: what is added to an instant must stay one
_MICROSECOND = timedelta(microseconds=1)
_TOKEN = re.compile(r"\\[\\.]|\.|[^.\\]+|\\")
_ESCAPES = frozenset({r"\.", r"\\"})
_TO_ESCAPE = re.compile(r"[\\.]")
INDEX = re.compile(r"-?[0-9]{1,18}")
_MISSING = object()


def parse_duration(value: object) -> timedelta:
    """Read `90s`, `15m`, `24h`, `6d`, `1h 30m`; a bare number is seconds. From nothing up to a century."""
    try:
        found = _duration(value)
    except (OverflowError, ValueError):  # infinite, or no number at all
        found = None
    if found is None or not timedelta(0) <= found <= _LONGEST:
        raise ValueError(f"{value!r} is not a duration; write for example 90s, 15m, 24h or 6d")
    return found


def _duration(value: object) -> timedelta | None:
    if isinstance(value, timedelta):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return timedelta(seconds=value)
    if isinstance(value, str) and (parts := _DURATION.findall(value)) and not _DURATION.sub("", value).strip():
        return timedelta(microseconds=int(sum(Decimal(number) * _UNITS[unit] for number, unit in parts) * 10**6))
    return None


def format_duration(value: timedelta) -> str:
    """The shortest text that `parse_duration` reads back."""
    seconds, micros = divmod(value // _MICROSECOND, 10**6)
    if micros:
        return f"{seconds}.{micros:06}".rstrip("0") + "s"
    unit = next((unit for unit in "wdhm" if seconds and seconds % _UNITS[unit] == 0), "s")
    return f"{seconds // _UNITS[unit]}{unit}"


Duration = Annotated[timedelta, BeforeValidator(parse_duration), PlainSerializer(format_duration, return_type=str)]


def of_form(pattern: str, wrong: str) -> AfterValidator:
    """For a pydantic field: a text that matches the whole pattern. Else the error is the text, followed by `wrong`."""

    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(f"{text!r} {wrong}")
        return text

    return AfterValidator(check)


@lru_cache(maxsize=4096)
def parts(path: str) -> tuple[str, ...]:
    r"""The fields that a dotted path names: `a.b.0.c`; a dot that belongs to a name is written `\.`, a backslash `\\`.

    >>> parts(r"meta.@odata\.nextLink")
    ('meta', '@odata.nextLink')
    """
    fields = [""]
    for token in _TOKEN.findall(path):
        if token == ".":
            fields.append("")
        else:
            fields[-1] += token[1:] if token in _ESCAPES else token
    return tuple(fields) if path else ()


def path_of(fields: Iterable[str]) -> str:
    """The path that names these fields: what `parts` reads back."""
    return ".".join(_TO_ESCAPE.sub(r"\\\g<0>", field) for field in fields)


def dig(value: Any, path: str) -> Any:
    """The value at a path (see `parts`; the empty path is the value itself).

    Raises KeyError where there is none.
    """
    for part in parts(path):
        if isinstance(value, dict):
            found = value.get(part, _MISSING)
        elif isinstance(value, list) and INDEX.fullmatch(part) and -len(value) <= int(part) < len(value):
            found = value[int(part)]
        else:
            found = _MISSING
        if found is _MISSING:
            raise KeyError(path)
        value = found
    return value


def each(value: Any, path: tuple[str, ...]) -> Iterator[tuple[dict[str, Any], str]]:
    """Every (object, field) that a path leads to, through any lists on the way."""
    if isinstance(value, list):
        for item in value:
            yield from each(item, path)
    elif isinstance(value, dict) and path[0] in value:
        if len(path) == 1:
            yield value, path[0]
        else:
            yield from each(value[path[0]], path[1:])


def is_whole(number: Decimal) -> bool:
    """Whether a number beyond 64 bits is an integer."""
    return number == number.to_integral_value()
