"""A body as JSON text in UTF-8: whatever charset it came in, and whatever its content type calls it."""

import codecs
import json
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from .canonical import parse
from .errors import BrokenBody

_CHARSET = re.compile(r"(?:^|;)\s*charset\s*=\s*[\"']?([^\s\"';,]+)", re.IGNORECASE)
_PLAIN = frozenset({"utf-8", "utf-8-sig", "ascii"})
_NONE = frozenset({"idna", "punycode", "raw-unicode-escape", "unicode-escape"})  # transformations of Python's own
_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_TITLE = re.compile(rb"<title[^>]*>(.{0,200}?)</title", re.IGNORECASE | re.DOTALL)
_START = 4096  # bytes in which a page says what it is


@dataclass(frozen=True, slots=True)
class Document:
    """A JSON document: its text as received (in UTF-8), and its value."""

    text: bytes
    value: Any


def read_json(body: bytes, content_type: str = "") -> Document:
    """The document in a body; what the body says counts, not what it is called.

    Raises BrokenBody with the reason: what does not decode, is no JSON, or is an HTML page.
    """
    text = utf8(body, content_type)
    try:
        return Document(text, parse(text))
    except BrokenBody:
        if (page := html_page(body, content_type)) is None:
            raise
        raise BrokenBody(f"not JSON: the answer is {page}") from None


def utf8(body: bytes, content_type: str = "") -> bytes:
    """A body in UTF-8: the same object where it is that already, or says nothing else. Raises BrokenBody."""
    charset = declared(content_type) or _shown(body)
    if charset in _PLAIN:
        return body
    if charset in _NONE:
        raise _unknown(charset)
    try:
        name = codecs.lookup(charset).name
        if name in {"utf-16", "utf-32"}:
            name = json.detect_encoding(body)
        return body.decode(name).removeprefix("\ufeff").encode()
    except LookupError:
        raise _unknown(charset) from None
    except ValueError as error:
        raise BrokenBody(f"it does not decode as {charset}: {error}") from None


def _unknown(charset: str) -> BrokenBody:
    return BrokenBody(f"its charset {charset[:40]!r} is unknown")


def html_page(body: bytes, content_type: str = "") -> str | None:
    """`an HTML page ("Sign in")` where a body that is no JSON is one."""
    start = body[:_START].lstrip().lower()
    if not (
        content_type.lower().startswith(("text/html", "application/xhtml"))
        or start.startswith((b"<!doctype", b"<html"))
    ):
        return None
    title = _TITLE.search(body[:_START])
    shown = "" if title is None else " ".join(title[1].decode(errors="replace").split())[:80]
    return f'an HTML page ("{shown}")' if shown else "an HTML page"


@lru_cache(maxsize=64)
def declared(content_type: str) -> str | None:
    """The charset that a content type names, by Python's name where it is one that Python knows."""
    found = _CHARSET.search(content_type)
    if found is None:
        return None
    try:
        return codecs.lookup(found[1]).name
    except LookupError:
        return found[1]


def _shown(body: bytes) -> str:
    """The charset that the first bytes show: JSON begins with ASCII."""
    return json.detect_encoding(body) if body.startswith(_MARKS) or b"\0" in body[:4] else "utf-8"
