"""What an answer says of further pages, whether or not its source has named it: nothing is to come back short unseen."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any

from .errors import TornListing
from .links import next_link
from .values import parts, path_of

HEADER = "Link"
"""How `list.ignore` names the header; everything else in it is a path."""

_NEXT = frozenset(
    [
        *(
            "next",
            "nextpage",
            "nextpageurl",
            "nexturl",
            "nexturi",
            "nextlink",
            "nexthref",
            "odatanextlink",
            "atnextlink",
        ),
        *(
            "nextcursor",
            "nexttoken",
            "nextpagetoken",
            "nextoffset",
            "nextid",
            "nextmarker",
            "continuationtoken",
            "cursor",
        ),
    ]
)
_FLAGS = frozenset(["hasmore", "hasnext", "hasnextpage", "more", "moreavailable", "istruncated", "truncated"])
_COUNTS = frozenset(
    [
        *("count", "total", "totalcount", "totalresults", "totalitems", "totalrecords", "totalelements", "numfound"),
        *("odatacount", "totalsize", "recordcount", "totalhits"),
    ]
)
_PAGES = frozenset(["totalpages", "pagecount", "numpages", "lastpage"])
_AROUND = frozenset(  # what else stands around the items of a page
    [
        *("prev", "previous", "first", "last", "self", "links", "meta", "paging", "pagination", "page", "pageinfo"),
        *("perpage", "pagesize", "limit", "offset", "size", "object", "kind", "type", "status", "success"),
    ]
)
_DEPTH = 3  # `meta.pagination.links.next` is as deep as any API was seen to go


@dataclass(frozen=True, slots=True)
class Sign:
    """Something in an answer that tells of more: where it stands, what it says, and what a source may write for it."""

    where: str
    says: str
    pagination: str

    @property
    def remedy(self) -> str:
        """What to change in the source."""
        return (
            f"write `{self.pagination}` under `list`; or, if it means something else, `ignore: [{_quoted(self.where)}]`"
        )


def page_told(body: Any, link: str, items: str, ignore: Collection[str] = ()) -> Sign | None:
    """Where an answer names a next page, or a flag says that there is one; None where nothing does.

    `items` is where the items stand, `ignore` names what is known to mean something else.
    """
    if HEADER not in ignore and (sign := _in_header(link)) is not None:
        return sign
    return next(_signs(body, items, ignore, _page_sign), None)


def continued(body: Any, link: str) -> Sign | None:
    """Where a document that should be one answer is a page of several: by its header, or as nothing but a page."""
    if (sign := _in_header(link)) is not None or not isinstance(body, dict):
        return sign
    names = {_plain(name) for name, value in body.items() if not isinstance(value, list)}
    is_page = len(names) == len(body) - 1 and names <= _NEXT | _FLAGS | _COUNTS | _PAGES | _AROUND
    return page_told(body, "", "") if is_page else None


def figure_told(body: Any, items: str, came: int, ignore: Collection[str] = ()) -> Sign | None:
    """Where a body counts more than the items that `came`, or more than one page."""

    def sign(path: tuple[str, ...], name: str, value: Any) -> Sign | None:
        where = path_of(path)
        if not isinstance(value, int) or isinstance(value, bool):
            return None
        if name in _COUNTS and value > came:
            pagination = f"count: {_quoted(where)}` and `pagination: {{kind: offset}}"
            return Sign(where, f"{where} is {value}, and {came} came", pagination)
        if name in _PAGES and value > 1:
            return Sign(where, f"{where} is {value}", "pagination: {kind: page}")
        return None

    return next(_signs(body, items, ignore, sign), None)


def _in_header(link: str) -> Sign | None:
    try:
        target = next_link(link)
    except TornListing as error:
        return Sign(HEADER, error.message, "pagination: {kind: link}") if "next" in link.lower() else None
    return None if target is None else Sign(HEADER, f"the Link header names {target!r}", "pagination: {kind: link}")


def _signs(
    body: Any, items: str, ignore: Collection[str], sign: Callable[[tuple[str, ...], str, Any], Sign | None]
) -> Iterator[Sign]:
    ignored = {parts(path) for path in ignore}
    own = parts(items)
    for path, value in _fields(body, (), own, _DEPTH + len(own)):
        name = _plain(path[-1])
        if (found := sign(path, name, value)) is not None and parts(found.where) not in ignored:
            yield found


def _page_sign(path: tuple[str, ...], name: str, value: Any) -> Sign | None:
    where = path_of(path)
    if name in _FLAGS and value is True:
        return Sign(where, f"{where} is true", f"pagination: {{kind: offset, more: {_quoted(where)}}}")
    if name not in _NEXT or (named := _page_named(value)) is None:
        return None
    inner, target = named
    where = path_of([*path, inner]) if inner else where
    is_address = "/" in target or "?" in target
    kind = f"link, field: {_quoted(where)}" if is_address else f"cursor, cursor: {_quoted(where)}, param: PARAMETER"
    return Sign(where, f"{where} is {target[:100]!r}", f"pagination: {{kind: {kind}}}")


def _fields(
    value: Any, place: tuple[str, ...], items: tuple[str, ...], depth: int
) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The fields of the objects around the items; neither the items nor other lists are gone through."""
    if depth < 0 or not isinstance(value, dict):
        return
    for name, inner in value.items():
        path = (*place, name)
        if path != items:
            yield path, inner
            yield from _fields(inner, path, items, depth - 1)


def _page_named(value: Any) -> tuple[str, str] | None:
    """What a field that names a next page holds: the field within it, if it is an object, and the name of the page."""
    if isinstance(value, str) and value:
        return "", value
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return "", str(value)
    if isinstance(value, dict):
        return next(((n, value[n]) for n in ("href", "url") if isinstance(value.get(n), str) and value[n]), None)
    return None


def _plain(name: str) -> str:
    """A field's name as APIs agree on it: `@odata.nextLink` and `next_link` without their dress."""
    return "".join(filter(str.isalnum, name)).lower()


def _quoted(path: str) -> str:
    """A path as YAML takes it."""
    return path if path.replace(".", "").replace("_", "").isalnum() else f"'{path}'"
