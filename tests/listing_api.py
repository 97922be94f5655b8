"""An API with one list of plain records, in every manner that APIs were seen to page one."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode

from trawl.replica import running


@dataclass
class Answer:
    """What a request gets: a body, or bytes as they are; headers may come several times."""

    body: Any
    status: int = 200
    headers: list[tuple[str, str]] = field(default_factory=list)
    content_type: str = "application/json"


@dataclass
class ListApi:
    """Serves `items` at `items`, page by page.

    Attributes:
        style: how a page is asked for, and the next one named: `offset`, `page`, `cursor`, `field` or `header`.
        cap: the most items of a page, whatever is asked for; None for no limit of its own.
        counts: what `count` in the body says: nothing, the list's `total`, the `page`'s own, or at most a `window`.
        past: what is behind the last page: an `empty` one, `404`, the `last` or the `first` page once more.
        before: called before each answer with the number of the request; may change `items`, or give another answer.

    """

    total: int = 250
    style: str = "offset"
    cap: int | None = None
    counts: str | None = None
    window: int = 200
    past: str = "empty"
    before: Callable[["ListApi", int], Answer | None] = lambda _api, _number: None
    shape: Callable[[dict[str, Any], str | None], Answer] | None = None
    items: list[Any] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    url: str = ""

    def __post_init__(self) -> None:
        self.items = self.items or [{"id": number} for number in range(self.total)]

    async def __call__(self, scope: Any, _receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        query = {name: values[0] for name, values in parse_qs(scope["query_string"].decode()).items()}
        self.asked.append(scope["path"] + (f"?{urlencode(query)}" if query else ""))
        answer = self.before(self, len(self.asked)) or self.page(query)
        headers = [("content-type", answer.content_type), *answer.headers]
        raw = [(name.encode(), value.encode("latin-1")) for name, value in headers]
        body = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
        await send({"type": "http.response.start", "status": answer.status, "headers": raw})
        await send({"type": "http.response.body", "body": body})

    def page(self, query: dict[str, str]) -> Answer:
        size = int(query.get("limit", query.get("per_page", 100)))
        size = size if self.cap is None else min(size, self.cap)
        start = (
            (int(query.get("page", 1)) - 1) * size
            if self.style == "page"
            else int(query.get("offset", query.get("after", 0)))
        )
        if start >= len(self.items) and start:
            match self.past:
                case "404":
                    return Answer({"detail": "Invalid page."}, 404)
                case "last":
                    start = (len(self.items) - 1) // size * size
                case "first":
                    start = 0
        found = self.items[start : start + size]
        body: dict[str, Any] = {"items": found}
        match self.counts:
            case "total":
                body["count"] = len(self.items)
            case "page":
                body["count"] = len(found)
            case "window":
                body["count"] = min(self.window, len(self.items))
        following = str(start + len(found)) if start + len(found) < len(self.items) else None
        return self.shape(body, following) if self.shape else self.named(body, following)

    def named(self, body: dict[str, Any], following: str | None) -> Answer:
        """The next page as the style names it."""
        match self.style:
            case "cursor":
                return Answer(body | {"next": following})
            case "field":
                return Answer(body | {"next": following and f"/api/v2/items?offset={following}"})
            case "header" if following:
                return Answer(body, headers=[("link", f'</api/v2/items?offset={following}>; rel="next"')])
            case _:
                return Answer(body)


PAGINATION = {
    "offset": "{kind: offset}",
    "page": "{kind: page}",
    "cursor": "{kind: cursor, cursor: next, param: after}",
    "field": "{kind: link, field: next}",
    "header": "{kind: link}",
}


def described(pagination: str = "{kind: none}", more: str = "", endpoint: str = "") -> str:
    """A list-only source of the API, in YAML: `more` belongs to its list, `endpoint` to its endpoint."""
    return f"""
name: things
base_url: https://api.example.com
endpoints:
  items:
    list: {{path: items, items: items, pagination: {pagination}{more and ", " + more}}}
    detail: null
    {endpoint}
"""


@contextmanager
def serving(api: Any) -> Iterator[str]:
    with running(api) as url:
        api.url = url
        yield url
