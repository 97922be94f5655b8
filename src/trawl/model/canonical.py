"""Three ways to compare two documents: their bytes, their canonical form, their meaning.

The canonical form has sorted keys and no white space. The semantic form also sorts the lists that the source declares
unordered. Both are exact: numbers beyond 64 bits (or beyond a double) and lone surrogates keep their digits and code
units, which is why there is a second, slower path beside orjson's.
"""

import json
from dataclasses import dataclass
from decimal import Decimal
from hashlib import sha256
from typing import Any

import orjson

from .errors import BrokenBody
from .values import each

HASH_BYTES = 16

_SORTED = orjson.OPT_SORT_KEYS

# orjson rounds numbers of more than about 17 digits. A table look-up finds such runs ten times faster than a pattern.
_DIGITS = bytes(48 if byte in b"0123456789." else 32 for byte in range(256))
_LONG_NUMBER = b"0" * 17


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The hashes of one document (16 bytes each) and the document itself, parsed."""

    canonical: bytes
    semantic: bytes


def byte_hash(body: bytes) -> bytes:
    """The first 16 bytes of SHA-256: wide enough never to collide by chance, fast where the CPU helps."""
    return sha256(body).digest()[:HASH_BYTES]


def parse(body: bytes) -> Any:
    """The JSON value of a body, exactly. Raises BrokenBody with the reason."""
    try:
        if _LONG_NUMBER not in body.translate(_DIGITS):
            return orjson.loads(body)
    except orjson.JSONDecodeError:
        pass  # a lone surrogate or a byte order mark is still JSON to others
    try:
        text = body.decode("utf-8-sig")
        return json.loads(text, parse_int=_integer, parse_float=_number, parse_constant=_refuse)
    except RecursionError:
        raise BrokenBody("not JSON that can be read: nested too deep") from None
    except ValueError as error:
        raise BrokenBody(f"not JSON: {error}") from None


def fingerprint(value: Any, unordered: tuple[tuple[str, ...], ...] = ()) -> Fingerprint:
    """Hash a parsed document. Sorts the declared lists of `value` in place."""
    canonical = byte_hash(dumps(value))
    if not sort_unordered(value, unordered):
        return Fingerprint(canonical, canonical)
    return Fingerprint(canonical, byte_hash(dumps(value)))


def sort_unordered(value: Any, unordered: tuple[tuple[str, ...], ...]) -> bool:
    """Sort every list at one of the paths, innermost first; say whether anything moved."""
    moved = False
    for path in unordered:
        for holder, field in each(value, path):
            items = holder[field]
            if isinstance(items, list) and len(items) > 1:
                ordered = sorted(items, key=dumps)
                if ordered != items:
                    holder[field] = ordered
                    moved = True
    return moved


def dumps(value: Any) -> bytes:
    """Canonical JSON of a value that `parse` made."""
    try:
        return orjson.dumps(value, default=_digits, option=_SORTED)
    except (TypeError, RecursionError):
        return json.dumps(value, sort_keys=True, separators=(",", ":"), default=str).encode()


def _integer(digits: str) -> int | Decimal:
    number = int(digits) if len(digits) < 20 else None
    return number if number is not None and -(2**63) <= number < 2**64 else Decimal(digits)


def _number(digits: str) -> float | Decimal:
    exact, near = Decimal(digits), float(digits)
    return near if Decimal(repr(near)) == exact else exact.normalize()


def _digits(value: Any) -> orjson.Fragment:
    if isinstance(value, Decimal):
        return orjson.Fragment(str(value))
    raise TypeError(type(value).__name__)


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON value")
