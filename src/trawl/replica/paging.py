"""Cutting a list into pages, as the real service's Express function does, oddities included."""

import re
from dataclasses import dataclass
from urllib.parse import parse_qs

from trawl.replica.catalogue import ORIGIN, Listing

DEFAULT_LIMIT = 20
_CHUNK = 4_096
_LEADING_INTEGER = re.compile(r"\s*([+-]?[0-9]{1,15})")


@dataclass(frozen=True, slots=True)
class Window:
    """A slice of a list, in entries. Negative numbers mean what they mean to JavaScript's `slice`."""

    offset: int
    limit: int


def window(query_string: bytes) -> Window:
    """The slice that a query asks for: 20 from the start where it says nothing, zero or nonsense."""
    if not query_string:
        return Window(0, DEFAULT_LIMIT)
    query = parse_qs(query_string.decode("latin-1"))
    return Window(_integer(query.get("offset")) or 0, _integer(query.get("limit")) or DEFAULT_LIMIT)


def page(listing: Listing, at: Window, path: str) -> bytes:
    """The JSON of one page of a list; both links repeat `path`, with its trailing slash or without."""
    start, stop, _ = slice(at.offset, at.offset + at.limit).indices(len(listing.entries))
    following = _link(path, _next(at, listing.count))
    preceding = _link(path, _previous(at))
    body = bytearray(b'{"count":%d,"next":%s,"previous":%s,"results":[' % (listing.count, following, preceding))
    for begin in range(start, stop, _CHUNK):
        if begin > start:
            body += b","
        body += b",".join(listing.entries[begin : min(begin + _CHUNK, stop)])
    body += b"]}"
    return bytes(body)


def _integer(values: list[str] | None) -> int | None:
    """What `parseInt` reads: the integer a text begins with."""
    found = _LEADING_INTEGER.match(values[0]) if values else None
    return int(found[1]) if found else None


def _next(at: Window, count: int) -> Window | None:
    begin, end = at.offset + at.limit, min(at.offset + 2 * at.limit, count)
    return Window(begin, end - begin) if end > begin else None


def _previous(at: Window) -> Window | None:
    begin = max(at.offset - at.limit, 0)
    return Window(begin, at.offset - begin) if begin < at.offset else None


def _link(path: str, to: Window | None) -> bytes:
    return b'"%s%s?offset=%d&limit=%d"' % (ORIGIN.encode(), path.encode(), to.offset, to.limit) if to else b"null"
