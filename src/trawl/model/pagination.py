"""Pages as values: a page's request leads to the next one, or to none. No IO here.

The kinds are those of `config.Pagination`. A page that leads back to one already asked raises TornListing: some APIs
never say that they are at the end.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, assert_never

from .config import CursorPages, LinkPages, ListConfig, NoPages, NumberedPages, OffsetPages
from .errors import TornListing
from .keys import fill
from .values import dig

_NEXT_LINK = re.compile(r'<([^<>]*)>[^,]*;\s*rel="?next"?', re.IGNORECASE)


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
    """The request after `page`, or None at the end. `seen`: how many items came so far, this page's included."""
    match config.pagination:
        case NoPages():
            return None
        case OffsetPages() as pages:
            if not page.items or (len(page.items) < pages.limit if page.count is None else seen >= page.count):
                return None
            return PageRequest(request.url, {**request.params, pages.offset_param: seen})
        case NumberedPages() as pages:
            if not page.items or (len(page.items) < pages.size if page.count is None else seen >= page.count):
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
            match = _NEXT_LINK.search(page.link)
            url = (match[1] if match else None) if pages.field is None else _found(page.body, pages.field)
            if url is None:
                return None
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
    return None if value is None or value is False or value == "" else str(value)
