"""What identifies a record for ever: the key policy of an endpoint, applied to an item of its list."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from hashlib import sha256
from typing import Any
from urllib.parse import quote, unquote

from .errors import TornListing
from .values import dig, is_whole

_FIELD = re.compile(r"\{([^{}]*)\}")
_SURROGATE = re.compile("[\ud800-\udfff]")
_MOST_DIGITS = 100
_DOT = "%2E"


@dataclass(frozen=True, slots=True)
class KeyPolicy:
    """One or more fields of an item, each optionally cut by a pattern whose first group is the key."""

    fields: tuple[str, ...]
    pattern: re.Pattern[str] | None = None

    def key_of(self, item: Any) -> str:
        """The key of an item as text (several parts are joined by `:`).

        Raises TornListing where it has none.
        """
        return self.key_from(lambda field: scalar(item, field), item)

    def key_from(self, find: Callable[[str], str | None], item: Any) -> str:
        """The same, with another way to find a field's text; `item` is what errors show."""
        if len(self.fields) == 1:
            return self._part(find(self.fields[0]), self.fields[0], item)
        parts = (self._part(find(field), field, item) for field in self.fields)
        return ":".join(part.replace("%", "%25").replace(":", "%3A") for part in parts)

    def told_by(self, document: Any) -> str | None:
        """The key that a document tells as the list's item did; None where it tells none."""
        if self.pattern is None and len(self.fields) == 1:
            return scalar(document, self.fields[0])
        try:
            return self.key_from(lambda field: scalar(document, field), "")
        except TornListing:
            return None

    def _part(self, value: str | None, field: str, item: Any) -> str:
        if value is None:
            raise TornListing(f"an item has no key at {field!r}: {str(item)[:120]}")
        if self.pattern is None:
            return value
        match = self.pattern.search(value)
        if match is None or not match[1]:
            raise TornListing(f"{value!r} at {field!r} does not match the key pattern {self.pattern.pattern!r}")
        return match[1]


def mark_of(endpoint: str, key: str) -> str:
    """What is remembered of a forgotten record, so that it does not come back: nobody can read its key in it."""
    return sha256(f"{endpoint}/{key}".encode()).hexdigest()


def check_key(key: object) -> str:
    """What is given as a key, if it can be one: text that is not empty and that a file or URL can hold.

    Raises TornListing.
    """
    if not isinstance(key, str) or not key or not (key.isascii() or not _SURROGATE.search(key)):
        raise TornListing(f"{key!r} is not a key: a key is a text, and not empty")
    return key


def scalar(item: Any, field: str) -> str | None:
    """A field's text: strings and integers as they are (0 and -1 too).

    Everything else is no key and no label; nor is text with a lone surrogate: no file or URL can hold it.
    """
    try:
        value = dig(item, field)
    except KeyError:
        return None
    if isinstance(value, str):
        return value if value and (value.isascii() or not _SURROGATE.search(value)) else None
    if isinstance(value, Decimal):  # beyond 64 bits
        return f"{value:f}" if is_whole(value) and value.adjusted() < _MOST_DIGITS else None
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None


def fields_of(template: str) -> tuple[str, ...]:
    """The names in braces of a path template."""
    return tuple(_FIELD.findall(template))


def fill(template: str, **values: str | None) -> str:
    """Fill a path template. Each value is one quoted segment, unless it is the whole path or address itself.

    What can be none ('', '.' and '..' would lead elsewhere) becomes `%2E`s, which the transport refuses.
    """
    whole = _FIELD.fullmatch(template)
    if whole:
        return values[whole[1]] or _DOT
    return _FIELD.sub(lambda found: _segment(values[found[1]] or ""), template)


def key_at(template: str, endpoint: str, path: str) -> str | None:
    """The key that `fill` made this path with; None where it did not, or where more than the key makes a path."""
    filled = _filled(template, endpoint)
    found = filled and filled.fullmatch(path)
    if not found:
        return None
    return found["key"] if template == "{key}" else unquote(found["key"])


@cache
def _filled(template: str, endpoint: str) -> re.Pattern[str] | None:
    """What the paths of an endpoint's records look like; a slash at their end and a further query say nothing."""
    if not set(fields_of(template)) <= {"endpoint", "key"}:
        return None
    literals = _FIELD.split(template.replace("{endpoint}", _segment(endpoint)).rstrip("/"))[::2]
    key = "(?P<key>.+?)" if template == "{key}" else "(?P<key>[^/?&#]+)"
    first, *others = map(re.escape, literals)
    return re.compile(first + "(?P=key)".join([key + others[0], *others[1:]]) + "/?(?:[?&#].*)?") if others else None


def path_told(parent: Any, template: str, key: str) -> str | None:
    """The path of a child (with its parent's key) that stands in its parent's document; None where it does not."""
    names = [name for name in fields_of(template) if name.startswith("parent.")]
    values = {name: scalar(parent, name.removeprefix("parent.")) for name in names}
    return None if None in values.values() else fill(template, key=key, **values)


def _segment(value: str) -> str:
    return _DOT * (len(value) or 1) if value in {"", ".", ".."} else quote(value, safe="~")
