"""Pages as values: a page's request leads to the next one, or to none. No IO here.

The kinds are those of `config.Pagination`. A page that leads back to itself raises TornListing: some APIs
never say that they are at the end.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, assert_never
from urllib.parse import urljoin

from .config import CursorPages, LinkPages, ListConfig, NoPages, NumberedPages, OffsetPages
from .errors import TornListing
from .keys import fill, scalar
from .values import dig

_PARAM = r'\s*;\s*([^\s=;,]+)\s*(?:=\s*(?:"([^"]*)"|([^\s";,]*)))?'
_LINK = re.compile(rf"<([^<>]*)>((?:{_PARAM})*)")


@dataclass(frozen=True, slots=True)
class PageRequest:
    """One page to ask for: a relative path or a full address, and its parameters."""

    url: str
    params: Mapping[str, str | int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Page:
    """One page received: its items, the count that it claims (or None), its body and Link header."""

    items: list[Any]
    count: int | None
    body: Any
    link: str = ""


def first_page(endpoint: str, config: ListConfig) -> PageRequest:
    """The request that a listing begins with."""
    url = fill(config.path, endpoint=endpoint)
    match config.pagination:
        case OffsetPages() as pages:
            own: dict[str, str | int] = {pages.limit_param: pages.limit, pages.offset_param: 0}
        case NumberedPages() as pages:
            own = {pages.page_param: pages.first}
            if pages.size_param is not None:
                own[pages.size_param] = pages.size
        case NoPages() | CursorPages() | LinkPages():
            own = {}
        case _:
            assert_never(config.pagination)
    return PageRequest(url, {**config.params, **own})


def read_page(value: Any, config: ListConfig, link: str = "") -> Page:
    """Find items and count in a parsed body. Raises TornListing where they are not what the source says."""
    try:
        items = dig(value, config.items)
    except KeyError:
        raise TornListing(f"the list has no {config.items!r}") from None
    if not isinstance(items, list):
        raise TornListing(f"{config.items or 'the list'!r} is no array")
    count = None
    if config.count is not None:
        try:
            count = dig(value, config.count)
        except KeyError:
            raise TornListing(f"the list has no {config.count!r}") from None
        if not isinstance(count, int) or isinstance(count, bool) or count < 0:
            raise TornListing(f"{config.count!r} is {count!r}, no count")
    return Page(items, count, value, link)


def next_page(config: ListConfig, request: PageRequest, page: Page, seen: int) -> PageRequest | None:
    """The request after `page`, or None at the end. `seen`: how many items came so far, with this page's."""
    match config.pagination:
        case NoPages():
            return None
        case OffsetPages() as pages:
            if not page.items or (len(page.items) < pages.limit if page.count is None else seen >= page.count):
                return None
            return PageRequest(request.url, {**request.params, pages.offset_param: seen})
        case NumberedPages() as pages:
            if not page.items or (len(page.items) < pages.full if page.count is None else seen >= page.count):
                return None
            number = int(request.params[pages.page_param]) + 1
            return PageRequest(request.url, {**request.params, pages.page_param: number})
        case CursorPages() as pages:
            cursor = _found(page.body, pages.cursor)
            if cursor is None:
                return None
            if request.params.get(pages.param) == cursor:
                raise TornListing(f"the cursor {cursor!r} leads back to its own page")
            return PageRequest(request.url, {**config.params, pages.param: cursor})
        case LinkPages() as pages:
            link = _next_link(page.link) if pages.field is None else _found(page.body, pages.field)
            if link is None:
                return None
            url = _resolve(request.url, link)
            if request.url == url:
                raise TornListing(f"the page {url} leads to itself")
            return PageRequest(url)
        case _:
            assert_never(config.pagination)


def _found(body: Any, path: str) -> str | None:
    """A cursor or an address: absent, null, false and empty end the list; 0 is a cursor like any other."""
    try:
        value = dig(body, path)
    except KeyError:
        return None
    if value is None or value is False or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        raise TornListing(f"{path!r} is {str(value)[:80]}, which leads to no page")
    return scalar(body, path) or str(value)


def _next_link(header: str) -> str | None:
    for link in _LINK.finditer(header):
        for name, quoted, plain in re.findall(_PARAM, link[2]):
            if name.lower() == "rel" and "next" in (quoted or plain).lower().split():
                return link[1] or None
    return None


def _resolve(page: str, link: str) -> str:
    """Where a page's link leads: most are whole addresses, the others are relative to the page."""
    try:
        return urljoin(page, link)
    except ValueError:
        raise TornListing(f"the next page's address {link!r} is none") from None
