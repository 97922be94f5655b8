"""A walk through a list, page by page: what to ask for next, and when all of it is there. No IO here.

An end is believed only where something proves it (docs/architecture.md has the table). What cannot be proved is asked
for once more; what contradicts itself raises TornListing, with what the source may write.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, assert_never
from urllib.parse import urljoin

from .config import CursorPages, LinkPages, ListConfig, NoPages, NumberedPages, OffsetPages
from .describe import fields_text, list_remedy
from .errors import TornListing
from .keys import fill, scalar
from .links import next_link
from .more import Sign, figure_told, page_told
from .values import dig

_NOT_FOUND = 404
_SECOND = 2
_YES_OR_NO: dict[Any, bool] = {True: True, False: False, None: False, "true": True, "false": False}


@dataclass(frozen=True, slots=True)
class PageRequest:
    """One page to ask for: a relative path or a full address, and its parameters."""

    url: str
    params: Mapping[str, str | int] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What no two pages share."""
        return f"{self.url} {sorted(self.params.items())}"


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

    def torn(what: str) -> TornListing:
        return TornListing(
            f"{what}; it has: {fields_text(value)}", remedy=list_remedy(value, config.items, config.count)
        )

    try:
        items = dig(value, config.items)
    except KeyError:
        raise torn(f"the list has no {config.items!r}") from None
    if not isinstance(items, list):
        raise torn(f"{config.items or 'the list'!r} is not an array")
    count = None
    if config.count is not None:
        try:
            count = dig(value, config.count)
        except KeyError:
            raise torn(f"the list has no {config.count!r}") from None
        if not isinstance(count, int) or isinstance(count, bool) or count < 0:
            raise torn(f"{config.count!r} is {count!r}, no count")
    return Page(items, count, value, link)


@dataclass(slots=True)
class Walk:
    """Where a listing stands. Ask for `request`, hand in what came, until `request` is None: then all of it came.

    >>> walk = Walk(first_page("things", config), config)  # doctest: +SKIP
    >>> while walk.request is not None:  # doctest: +SKIP
    ...     page = read_page(ask(walk.request), config)
    ...     if walk.take(page):
    ...         items += page.items

    Attributes:
        key_of: what tells the items apart, so that a page that came before is recognised.
        note: what the page that was taken last has taught, for whoever wrote the source.
        proved: whether the body of that page proves by itself that no other page follows.

    """

    request: PageRequest | None
    config: ListConfig
    key_of: Callable[[Any], Any] = repr
    note: str | None = None
    proved: bool = False
    _asked: set[str] = field(default_factory=set)
    _first: "_Taken | None" = None
    _last: "_Taken | None" = None
    _pages: int = 0
    _seen: int = 0
    _largest: int = 0
    _empty: int = 0
    _named: bool = False
    _doubts: "list[_Doubt]" = field(default_factory=list)

    def take(self, page: Page) -> bool:
        """Go on behind a page that came. False where its items do not count: it repeats, or was asked for as a proof."""
        assert self.request is not None
        self.note = None
        if self._doubts:
            self._settle(page)
            return False
        if self._last is not None and (again := self._repeated(page)):
            self._doubt([_Doubt(taken.request, taken.page) for taken in again])
            return False
        here = _Taken(self.request, page)
        self._asked.add(here.request.name)
        self._limit(page)
        self._seen += len(page.items)
        self.request = self._following(page)
        self._largest = max(self._largest, len(page.items))
        self._first, self._last = self._first or here, here
        if self.request is not None and self.request.name in self._asked:
            raise TornListing(
                f"the page {self.request.url} came up twice: the list runs in a circle",
                remedy="`pagination.more` names a flag that tells the end, `pagination.end` a value that does",
            )
        return True

    def refused(self, status: int) -> bool:
        """Whether a refusal may be the API's way to say that the list has ended; `request` then asks for a proof.

        Only counted pages run past an end, and only with 404. The page behind it must not be there either, and the last
        one must be as it was.
        """
        if self._doubts:
            if status != _NOT_FOUND or self._doubts[0].expected is not None:
                return False
            self._next_doubt()
            return True
        pages, last, request = self.config.pagination, self._last, self.request
        if status != _NOT_FOUND or last is None or request is None:
            return False
        if not isinstance(pages, OffsetPages | NumberedPages) or pages.more is not None:
            return False
        if last.page.count is not None and self._seen < last.page.count:
            return False
        behind = self._step(pages, request, self._seen + self._largest)
        self._doubt([_Doubt(behind, None), _Doubt(last.request, last.page)])
        return True

    # -- proofs ----------------------------------------------------------------------------------------------

    def _repeated(self, page: Page) -> "list[_Taken]":
        """The pages that must be as they were, if this one is to be the API's answer to whoever counts past the end.

        Some APIs repeat the last page there, some the first one. Raises TornListing where that cannot be an end.
        """
        assert self._last is not None
        assert self._first is not None
        pages = self.config.pagination
        if not isinstance(pages, OffsetPages | NumberedPages):
            return []
        again = [taken for taken in (self._last, self._first) if self._same(page, taken.page)]
        if again and self._last is self._first:
            name = pages.offset_param if isinstance(pages, OffsetPages) else pages.page_param
            raise TornListing(
                f"the second page repeats the first one: the API may not know the parameter {name!r}",
                remedy="correct its name; or, if one page is all there is, state what ends the list: `last_page: count` "
                "(with `list.count`) or `last_page: short`",
            )
        if again and page.count is not None and self._seen < page.count:
            raise TornListing(f"a page repeats another one, after {self._seen} of {page.count} items")
        return [self._last, *(taken for taken in again if taken is not self._last)] if again else []

    def _same(self, page: Page, other: Page) -> bool:
        items, others = page.items, other.items
        return (
            0 < len(items) == len(others)
            and self.key_of(items[0]) == self.key_of(others[0])
            and all(self.key_of(one) == self.key_of(two) for one, two in zip(items, others, strict=True))
        )

    def _doubt(self, doubts: "list[_Doubt]") -> None:
        self._doubts, self.request = doubts, doubts[0].request

    def _next_doubt(self) -> None:
        self._doubts = self._doubts[1:]
        self.request = self._doubts[0].request if self._doubts else None

    def _settle(self, page: Page) -> None:
        expected = self._doubts[0].expected
        if expected is None:
            raise TornListing("a page answers 404, and the one behind it does not")
        if not self._same(page, expected):
            raise TornListing("the list changed while it was read: a page is another one when asked for again")
        self._next_doubt()

    # -- the way ---------------------------------------------------------------------------------------------

    def _limit(self, page: Page) -> None:
        """Count the page. Raises TornListing where there are too many, or too many without items."""
        pages, came = self.config.pagination, len(page.items)
        self._pages += 1
        self._empty = 0 if came else self._empty + 1
        if isinstance(pages, NoPages):
            return
        if self._pages > pages.max_pages:
            raise TornListing(f"it has more than {pages.max_pages} pages", remedy="`pagination.max_pages` allows more")
        if self._empty > pages.max_empty_pages:
            raise TornListing(
                f"{self._empty} pages in a row have no items, and each names a next one",
                remedy="`pagination.last_page: empty` takes an empty page for the end, `max_empty_pages` allows more",
            )
        if not isinstance(pages, OffsetPages | NumberedPages) or pages.limit is None:
            return
        if self._pages == _SECOND and came and self._largest < pages.limit:
            setting = "limit" if isinstance(pages, OffsetPages) else "size"
            self.note = (
                f"the API gives {self._largest} items a page, not the {pages.limit} that are asked for: "
                f"`{setting}: {self._largest}` says so"
            )

    def _following(self, page: Page) -> PageRequest | None:
        """The page after this one, or None where it is proved that there is none."""
        assert self.request is not None
        pages, request = self.config.pagination, self.request
        if not isinstance(pages, NoPages) and pages.more is not None:
            if not _flag(page.body, pages.more):
                self.proved = True
                return None
        elif self._ended(page):
            return None
        match pages:
            case NoPages():
                return None
            case OffsetPages() | NumberedPages():
                return self._step(pages, request, self._seen)
            case CursorPages() | LinkPages():
                target = self._target(page)
                if target is None:
                    raise TornListing(f"{pages.more!r} says that there is more, but the page names no next one")
                if isinstance(pages, CursorPages):
                    return PageRequest(request.url, {**self.config.params, pages.param: target})
                return PageRequest(_resolve(request.url, target))
            case _:
                assert_never(pages)

    def _ended(self, page: Page) -> bool:
        """Whether the list ends with this page; raises TornListing where the page itself speaks against that."""
        pages = self.config.pagination
        match pages:
            case NoPages():
                ended = self.proved = True
                told = self._told(page)
            case OffsetPages() | NumberedPages():
                self.proved = page.count is not None or pages.last_page == "short"
                told = None
                # Where a next page is named all the same, it is asked for.
                ended = not page.items or (self._is_last(page, pages) and self._told(page) is None)
            case CursorPages() | LinkPages():
                empty = pages.last_page == "empty" and not page.items
                ended = empty or self._target(page) is None
                self.proved = not (isinstance(pages, LinkPages) and pages.field is None)
                told = None if empty else self._told(page)
            case _:
                assert_never(pages)
        if ended and (sign := told or self._figure(page)) is not None:
            raise TornListing(f"{self._seen} items came, and there seem to be more: {sign.says}", remedy=sign.remedy)
        return ended

    def _told(self, page: Page) -> Sign | None:
        return page_told(page.body, page.link, self.config.items, self.config.ignore)

    def _figure(self, page: Page) -> Sign | None:
        ignore = [*self.config.ignore, *([self.config.count] if self.config.count else [])]
        return figure_told(page.body, self.config.items, self._seen, ignore)

    def _is_last(self, page: Page, pages: OffsetPages | NumberedPages) -> bool:
        """Whether a page with items is the last of those that are counted off."""
        came, size = len(page.items), self._largest or pages.limit
        short = size is not None and came < size
        if page.count is None:
            return pages.last_page == "short" and short
        if self._seen != page.count:  # one that is passed is none: a page's own, or a window's
            return False
        if pages.last_page == "empty":
            return short and came < page.count  # a count that is the page's alone proves nothing
        return short or pages.last_page == "count"

    def _step(self, pages: OffsetPages | NumberedPages, request: PageRequest, seen: int) -> PageRequest:
        if isinstance(pages, OffsetPages):
            return PageRequest(request.url, {**request.params, pages.offset_param: seen})
        return PageRequest(request.url, {**request.params, pages.page_param: int(request.params[pages.page_param]) + 1})

    def _target(self, page: Page) -> str | None:
        """The cursor or address of the next page, or None where the page tells the end."""
        pages = self.config.pagination
        assert isinstance(pages, CursorPages | LinkPages)
        path = pages.cursor if isinstance(pages, CursorPages) else pages.field
        if path is None:
            return next_link(page.link)
        try:
            value = dig(page.body, path)
        except KeyError:
            if self._named or not page.items or pages.absent == "end":
                return None
            raise TornListing(
                f"no page has {path!r}, which would name the next one; a page has: {fields_text(page.body)}",
                remedy="correct it; or, if the API leaves it out where there is one page only, write `absent: end`",
            ) from None
        self._named = True
        return _name_of(value, path, page.body, pages.end)


@dataclass(frozen=True, slots=True)
class _Taken:
    request: PageRequest
    page: Page


@dataclass(frozen=True, slots=True)
class _Doubt:
    """A page to ask for as a proof, and what it must be: as it was, or (None) not there."""

    request: PageRequest
    expected: Page | None


def _name_of(value: Any, path: str, body: Any, end: str | int | None) -> str | None:
    """A cursor or an address: null, false, empty and `end` tell the end; 0 is a cursor like any other."""
    if value is None or value is False or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        raise TornListing(f"{path!r} is {str(value)[:80]}, which does not lead to a page")
    name = scalar(body, path) or str(value)
    return None if end is not None and name == str(end) else name


def _flag(body: Any, path: str) -> bool:
    """Whether a flag says that there are more pages."""
    try:
        value = dig(body, path)
    except KeyError:
        raise TornListing(
            f"the page has no {path!r}, which would say whether there is more; it has: {fields_text(body)}",
            remedy="correct `pagination.more`",
        ) from None
    if isinstance(value, str | int | None) and value in _YES_OR_NO:
        return _YES_OR_NO[value]
    raise TornListing(f"{path!r} is {str(value)[:80]!r}, neither true nor false", remedy="correct `pagination.more`")


def _resolve(page: str, link: str) -> str:
    """Where a page's link leads: most are whole addresses, the others are relative to the page."""
    try:
        return urljoin(page, link)
    except ValueError:
        raise TornListing(f"the next page's address {link!r} is not an address") from None
