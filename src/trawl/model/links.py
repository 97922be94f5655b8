"""The Link header, read as RFC 8288 says: a list of `<target>; name=value; name="quoted"`."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from .errors import TornListing

_TARGET = re.compile(r"\s*<\s*([^<>]*?)\s*>\s*")
_PARAM = re.compile(r'([^\s=;,"<>]+)\s*(?:=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;,"<>]*)))?\s*', re.DOTALL)
_PAIR = re.compile(r"\\(.)", re.DOTALL)
_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Link:
    """One link: its target as it stands, and its parameters by lower-case name; of one that comes twice, the first."""

    target: str
    params: Mapping[str, str]

    @property
    def relations(self) -> list[str]:
        """What the target is to the page: `rel`, in lower case."""
        return self.params.get("rel", "").lower().split()


def parse_links(header: str) -> list[Link]:
    """All links of a header's lines, joined by commas. Raises ValueError for what is no Link header."""
    return list(_links(header))


def next_link(header: str) -> str | None:
    """The target of `rel="next"`, or None where the header names none.

    Raises TornListing for a header that cannot be read, and for a next page without one address: an end that nobody
    has told is none.
    """
    try:
        found = [link for link in parse_links(header) if "next" in link.relations]
    except ValueError as error:
        raise TornListing(f"the Link header cannot be read ({error}): {header[:_SHOWN]}") from None
    targets = {link.target for link in found}
    if not targets:
        return None
    if targets == {""} or len(targets) > 1 or any("anchor" in link.params for link in found):
        raise TornListing(f"the Link header does not name one next page: {header[:_SHOWN]}")
    return targets.pop()


def _links(header: str) -> Iterator[Link]:
    place = 0
    while (place := _skip(header, place, ",")) < len(header):
        target = _TARGET.match(header, place)
        if target is None:
            raise ValueError(f"no <address> at {header[place : place + 20]!r}")
        params: dict[str, str] = {}
        place = target.end()
        while header[place : place + 1] == ";":
            place = _skip(header, place, ";")
            param = _PARAM.match(header, place)
            if param is None:  # `[ link-param ]`: there need not be one
                break
            quoted, plain = param[2], param[3]
            value = _PAIR.sub(r"\1", quoted) if quoted is not None else plain or ""
            params.setdefault(param[1].lower(), value)
            place = param.end()
        if header[place : place + 1] not in {"", ","}:
            raise ValueError(f"unexpected {header[place : place + 20]!r}")
        yield Link(target[1], params)


def _skip(header: str, place: int, separator: str) -> int:
    while place < len(header) and (header[place] == separator or header[place].isspace()):
        place += 1
    return place
