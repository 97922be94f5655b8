"""The items of a list as they were received: each one's own bytes, to the last digit and space."""

import json
import re
from collections.abc import Iterator
from contextlib import suppress

import msgspec

from .values import INDEX

_BOM = b"\xef\xbb\xbf"
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{},:]|[^\s\[\]{},:"]+', re.DOTALL)
_OPENING, _CLOSING = {b"[", b"{"}, {b"]", b"}"}


def item_texts(body: bytes, path: tuple[str, ...]) -> list[bytes]:
    """Each item's own bytes in the array at a path (as `dig` walks it) of a body that `canonical.parse` can read."""
    body = body.removeprefix(_BOM)
    with suppress(msgspec.DecodeError, RecursionError):
        return _sliced(body, path)
    return _scanned(body, path)  # a lone surrogate, say: JSON to others, not to msgspec


def _sliced(body: bytes, path: tuple[str, ...]) -> list[bytes]:
    found = msgspec.Raw(body)
    for part in path:
        if bytes(memoryview(found)[:64]).lstrip()[:1] == b"[":
            found = msgspec.json.decode(found, type=list[msgspec.Raw])[int(part)]
        else:
            found = msgspec.json.decode(found, type=dict[str, msgspec.Raw])[part]
    return [bytes(item) for item in msgspec.json.decode(found, type=list[msgspec.Raw])]


def _scanned(body: bytes, path: tuple[str, ...]) -> list[bytes]:
    text = body
    for part in path:
        members = list(_members(text))
        if text.lstrip()[:1] == b"[":
            assert INDEX.fullmatch(part)
            text = members[int(part)][1]
        else:
            text = next(value for name, value in reversed(members) if name == part)  # of two the last one counts
    return [value for _, value in _members(text)]


def _members(text: bytes) -> Iterator[tuple[str | None, bytes]]:
    """The values of an object (with their names) or of an array, as they stand in the text."""
    depth, name, begin, end = 0, None, -1, -1
    last = b""
    for token in _TOKEN.finditer(text):
        found = token[0]
        if depth == 1 and found in {b",", b"]", b"}"}:
            if begin >= 0:
                yield name, text[begin:end]
            name, begin = None, -1
        elif depth == 1 and found == b":":
            name, begin = _name(last), -1
        elif depth:
            begin = token.start() if begin < 0 else begin
        depth += (found in _OPENING) - (found in _CLOSING)
        last, end = found, token.end()


def _name(text: bytes) -> str:
    return str(json.loads(text))
