"""Three ways to compare two documents: their bytes, their canonical form, their meaning.

The canonical form has sorted keys, no white space, and one spelling per number (1, 1.0 and 1e0 are the same
JSON number). The semantic form also sorts the lists that the source declares unordered. Both are exact:
numbers beyond 64 bits (or beyond a double) and lone surrogates keep their digits and code units, which is why
there is a second, slower path beside orjson's.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal, InvalidOperation
from functools import cache
from hashlib import sha256
from itertools import pairwise
from typing import Any

import orjson

from .errors import BrokenBody
from .values import is_whole

HASH_BYTES = 16
MAX_DEPTH = 254  # where orjson ends, too

_SORTED = orjson.OPT_SORT_KEYS
_EXACT = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN)

# orjson rounds numbers of 17 digits or more, and some with an exponent; and 1.0 is to be 1. A table look-up
# finds what may be one: many digits, a point or an exponent. A pattern would cost more than the slow path.
_SHAPES = bytes(48 if b in b"0123456789+-" else 46 if b in b".eE" else 32 for b in range(256))
_LONG_NUMBER, _FRACTION = b"0" * 17, b"0.0"


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The hashes of one document, 16 bytes each."""

    canonical: bytes
    semantic: bytes


def byte_hash(body: bytes) -> bytes:
    """The first 16 bytes of SHA-256: wide enough never to collide by chance, fast where the CPU helps."""
    return sha256(body).digest()[:HASH_BYTES]


def parse(body: bytes) -> Any:
    """The JSON value of a body, exactly. Raises BrokenBody with the reason."""
    if _plain(body):
        try:
            return _shallow(orjson.loads(body))
        except orjson.JSONDecodeError:
            pass  # a lone surrogate or a byte order mark is still JSON to others
    try:
        text = body.decode("utf-8-sig")
        value = json.loads(text, parse_int=_integer, parse_float=_number, parse_constant=_refuse)
    except RecursionError:
        raise _too_deep() from None
    except ValueError as error:
        raise BrokenBody(f"not JSON: {error}") from None
    return _shallow(value)


def fingerprint(value: Any, unordered: tuple[tuple[str, ...], ...] = ()) -> Fingerprint:
    """Hash a parsed document. Sorts the declared lists of `value` in place."""
    canonical = byte_hash(dumps(value))
    if not sort_unordered(value, unordered):
        return Fingerprint(canonical, canonical)
    return Fingerprint(canonical, byte_hash(dumps(value)))


def sort_unordered(value: Any, unordered: tuple[tuple[str, ...], ...]) -> bool:
    """Sort every list at one of the paths, innermost first; say whether anything moved."""
    return _sort_below(value, _tree(unordered)) if unordered else False


@cache
def _tree(paths: tuple[tuple[str, ...], ...]) -> "_Tree":
    """The paths as one tree, so that a document is walked once: by field, whether its list is unordered, and the rest."""
    fields: dict[str, list[tuple[str, ...]]] = {}
    for path in paths:
        fields.setdefault(path[0], []).append(path[1:])
    return {field: (() in rests, _tree(tuple(rest for rest in rests if rest))) for field, rests in fields.items()}


_Tree = dict[str, tuple[bool, "_Tree"]]


def _sort_below(value: Any, tree: _Tree) -> bool:
    moved = False
    if isinstance(value, list):
        for item in value:
            moved |= _sort_below(item, tree)
    elif isinstance(value, dict):
        for field, (unordered, below) in tree.items():
            found = value.get(field)
            if not found or not isinstance(found, list | dict):
                continue
            if below:
                moved |= _sort_below(found, below)
            if unordered and isinstance(found, list) and len(found) > 1:
                texts = _texts(found)
                # Compared as texts: to Python True equals 1.
                if any(before > after for before, after in pairwise(texts)):
                    order = sorted(range(len(found)), key=texts.__getitem__)
                    value[field] = [found[index] for index in order]
                    moved = True
    return moved


def _texts(items: list[Any]) -> list[bytes]:
    """The canonical JSON of each item."""
    try:
        return [orjson.dumps(item, default=_digits, option=_SORTED) for item in items]
    except TypeError:  # a lone surrogate
        return [dumps(item) for item in items]


def dumps(value: Any) -> bytes:
    """Canonical JSON of a value that `parse` made."""
    try:
        return orjson.dumps(value, default=_digits, option=_SORTED)
    except TypeError:  # a lone surrogate
        return _dumps(value)


def text(value: Any) -> bytes:
    """The JSON of a value that `parse` made, in the order in which it came."""
    try:
        return orjson.dumps(value, default=_digits)
    except TypeError:  # a lone surrogate
        return dumps(value)


def _dumps(value: Any) -> bytes:
    if isinstance(value, dict):
        return b"{%b}" % b",".join(b"%b:%b" % (_dumps(key), _dumps(value[key])) for key in sorted(value))
    if isinstance(value, list):
        return b"[%b]" % b",".join(map(_dumps, value))
    return json.dumps(value).encode() if isinstance(value, str) else orjson.dumps(value, default=_digits)


def _plain(body: bytes) -> bool:
    """Whether orjson reads every number of the body exactly."""
    shapes = body.translate(_SHAPES)
    return _LONG_NUMBER not in shapes and _FRACTION not in shapes


def _shallow(value: Any) -> Any:
    """The value, if it is not nested so deep that writing or walking it would fail later."""
    try:
        orjson.dumps(value, default=_digits)
    except TypeError:  # too deep, or a lone surrogate
        level = [value]
        for _ in range(MAX_DEPTH + 1):
            level = [child for item in level for child in _children(item)]
        if level:
            raise _too_deep() from None
    return value


def _too_deep() -> BrokenBody:
    return BrokenBody(f"not JSON that can be read: nested deeper than {MAX_DEPTH} levels")


def _children(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


def _integer(digits: str) -> int | Decimal:
    return int(digits) if len(digits) < 19 else _whole(Decimal(digits))


def _number(digits: str) -> int | float | Decimal:
    try:
        exact = Decimal(digits)
    except InvalidOperation:
        raise ValueError(f"the number {digits[:40]} is out of range") from None
    if is_whole(exact):
        return _whole(exact.to_integral_value())
    near = float(digits)
    return near if Decimal(repr(near)) == exact else exact


def _whole(number: Decimal) -> int | Decimal:
    """An int where 64 bits hold it: more than that orjson does not write."""
    return int(number) if -(2**63) <= number < 2**64 else number


def _digits(value: Any) -> orjson.Fragment:
    if isinstance(value, Decimal):
        return orjson.Fragment(str(_EXACT.normalize(value)))
    raise TypeError(type(value).__name__)


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON value")
