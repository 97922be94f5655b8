"""Pages lead to the next one, or end the list; never round in circles, never to half a list."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from trawl.model.config import ListConfig
from trawl.model.errors import TornListing
from trawl.model.pagination import Page, PageRequest, Walk, first_page, read_page


def listing(pagination: dict[str, Any] | None = None, **more: Any) -> ListConfig:
    return ListConfig.model_validate({"items": "results", **more} | ({"pagination": pagination} if pagination else {}))


def walk(config: ListConfig, answer: Callable[[PageRequest], Any], link: str = "") -> list[Any]:
    """All items, as a crawl gathers them; an answer may be a status instead of a body."""
    found, items = Walk(first_page("things", config), config), []
    for _ in range(50):
        if found.request is None:
            return items
        body = answer(found.request)
        if isinstance(body, int):
            if not found.refused(body):
                raise TornListing(f"answered {body}")
            continue
        page = read_page(body, config, link)
        if found.take(page):
            items += page.items
    raise AssertionError("the list never ends")


def second_page(config: ListConfig, body: Any = None, link: str = "") -> PageRequest | None:
    """What is asked for behind a first page."""
    found = Walk(first_page("things", config), config)
    found.take(Page([1], None, body or {}, link) if body is None else read_page(body, config, link))
    return found.request


def test_a_list_of_one_page_is_asked_for_once() -> None:
    config = listing(params={"a": 1})
    assert first_page("things", config) == PageRequest("things/", {"a": 1})
    assert walk(config, lambda _: {"results": [1, 2]}) == [1, 2]


@pytest.mark.parametrize("size", [0, 1, 9, 10, 11, 20, 25])
@pytest.mark.parametrize("counted", [True, False])
def test_offsets_walk_the_whole_list(size: int, counted: bool) -> None:
    config = listing({"kind": "offset", "limit": 10}, **({"count": "count"} if counted else {}))

    def answer(request: PageRequest) -> Any:
        offset = request.params["offset"]
        return {"count": size, "results": list(range(size))[offset : offset + request.params["limit"]]}

    assert walk(config, answer) == list(range(size))


def test_offsets_follow_what_came_where_the_api_cuts_pages_shorter() -> None:
    config = listing({"kind": "offset", "limit": 100}, count="count")
    assert walk(config, lambda r: {"count": 25, "results": list(range(25))[r.params["offset"] :][:10]}) == list(
        range(25)
    )


def test_an_empty_page_ends_a_list_that_counts_more() -> None:
    config = listing({"kind": "offset", "limit": 10}, count="count")
    assert walk(config, lambda r: {"count": 25, "results": [1] if r.params["offset"] == 0 else []}) == [1]


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("size", [0, 10, 25, 30])
@pytest.mark.parametrize("counted", [True, False])
def test_numbers_walk_the_whole_list(first: int, size: int, counted: bool) -> None:
    config = listing({"kind": "page", "size": 10, "first": first}, **({"count": "n"} if counted else {}))

    def answer(request: PageRequest) -> Any:
        start = (request.params["page"] - first) * request.params["per_page"]
        return {"n": size, "results": list(range(size))[start : start + 10]}

    assert walk(config, answer) == list(range(size))


@pytest.mark.parametrize("stated", [{}, {"size": 20}])
def test_pages_whose_size_the_api_decides_are_not_taken_for_short(stated: dict[str, int]) -> None:
    config = listing({"kind": "page", "size_param": None} | stated)
    asked: list[PageRequest] = []

    def answer(request: PageRequest) -> Any:
        asked.append(request)
        start = (request.params["page"] - 1) * 20
        return {"results": list(range(45))[start : start + 20]}

    assert walk(config, answer) == list(range(45))
    assert len(asked) == 4, "only an empty page is the end, whatever size is stated"
    assert "per_page" not in asked[0].params


@pytest.mark.parametrize("cursors", [["a", "b"], [0, 1], ["0", 5.5], [2**70, 2**70 + 1]])
@pytest.mark.parametrize("end", [{}, {"next": None}, {"next": ""}, {"next": False}])
def test_cursors_are_followed_to_an_end_and_zero_is_one(cursors: list[object], end: dict[str, object]) -> None:
    config = listing({"kind": "cursor", "cursor": "meta.next", "param": "after"}, params={"x": "y"})
    assert first_page("things", config).params == {"x": "y"}
    steps = [None, *map(str, cursors)]

    def answer(request: PageRequest) -> Any:
        assert request.params["x"] == "y"
        place = steps.index(request.params.get("after"))
        return {"results": [place], "meta": {"next": cursors[place]} if place < len(cursors) else end}

    assert walk(config, answer) == [0, 1, 2]


def test_a_cursor_that_leads_to_its_own_page_tears_the_listing() -> None:
    config = listing({"kind": "cursor", "cursor": "next", "param": "after"})
    with pytest.raises(TornListing, match="runs in a circle"):
        walk(config, lambda _: {"results": [1], "next": "a"})


@pytest.mark.parametrize("kind", ["offset", "page"])
@pytest.mark.parametrize("counted", [True, False])
def test_a_parameter_that_the_api_does_not_know_tears_the_listing(kind: str, counted: bool) -> None:
    config = listing({"kind": kind}, **({"count": "count"} if counted else {}))
    with pytest.raises(TornListing, match="may not know the parameter"):
        walk(config, lambda _: {"results": list(range(30)), "count": 30})


@pytest.mark.parametrize("value", [True, [], {}, ["a"]])
def test_what_is_no_cursor_tears_the_listing(value: object) -> None:
    config = listing({"kind": "cursor", "cursor": "next", "param": "after"})
    with pytest.raises(TornListing, match="does not lead to a page"):
        walk(config, lambda _: {"results": [1], "next": value})


@pytest.mark.parametrize(
    ("link", "url"),
    [
        ("https://h/v1/things?page=2", "https://h/v1/things?page=2"),
        ("/v1/things?page=2", "/v1/things?page=2"),
        ("?page=2", "things/?page=2"),
        ("2", "things/2"),
    ],
)
def test_a_link_in_the_body_is_followed_relative_to_its_page(link: str, url: str) -> None:
    config = listing({"kind": "link", "field": "next"}, params={"limit": 1})
    assert second_page(config, {"results": [1], "next": link}) == PageRequest(url)


@pytest.mark.parametrize("body", [{"next": None}, {"next": ""}, {"next": False}])
def test_no_link_in_the_body_is_the_end(body: dict[str, object]) -> None:
    assert walk(listing({"kind": "link", "field": "next"}), lambda _: {"results": [1]} | body) == [1]


@pytest.mark.parametrize("link", ["#", "https://h/x"])
def test_a_link_that_leads_to_its_own_page_tears_the_listing(link: str) -> None:
    config = listing({"kind": "link", "field": "next"})
    with pytest.raises(TornListing, match="runs in a circle"):
        walk(config, lambda _: {"results": [1], "next": link})


def test_a_link_that_is_no_address_tears_the_listing() -> None:
    with pytest.raises(TornListing, match="is not an address"):
        walk(listing({"kind": "link", "field": "next"}), lambda _: {"results": [1], "next": "http://["})


@pytest.mark.parametrize(
    ("header", "url"),
    [
        ('<https://h/2>; rel="next"', "https://h/2"),
        ("<https://h/2>; rel=next", "https://h/2"),
        ("<https://h/2>;REL=Next", "https://h/2"),
        ('<https://h/1>; rel="prev", <https://h/2>; rel="next"', "https://h/2"),
        ('<https://h/2>; rel="last next"', "https://h/2"),
        ('<https://h/2?a=1,2>; title="one, two; rel=prev"; rel="next"', "https://h/2?a=1,2"),
        ('</x?page=2>; rel="next"', "/x?page=2"),
        ('<https://h/2>; rel="nextpage"', None),
        ('<https://h/2>; rel="next-archive"', None),
        ('<https://h/2>; rel="prev"; title="rel=next"', None),
        ("<https://h/2>", None),
        ('<https://h/1>; rel="prev", , <https://h/2>; title="a, \\"b\\""; rel="next";', "https://h/2"),
        ("< https://h/2 > ; Rel = next ; rel=prev", "https://h/2"),
        ('<https://h/2>; crossorigin; rel="http://example.com/x next"', "https://h/2"),
        ("", None),
        (" , ", None),
    ],
)
def test_the_link_header_names_the_next_page(header: str, url: str | None) -> None:
    config = listing({"kind": "link"})
    assert second_page(config, link=header) == (None if url is None else PageRequest(url))


@pytest.mark.parametrize(
    "header",
    [
        "next",
        "/items?page=2; rel=next",
        '<>; rel="next"',
        '<https://h/2; rel="next"',
        '<https://h/2> rel="next"',
        '<https://h/2>; rel="next',
        '<https://h/2>; rel="next"; title="a',
        "<https://h/2>; rel=next, <https://h/3>; rel=next",
        '<https://h/2>; rel=next; anchor="/elsewhere"',
        '<https://h/1>; rel="prev", https://h/2; rel="next"',
    ],
)
def test_a_link_header_that_does_not_name_one_next_page_tears_the_listing_with_its_text(header: str) -> None:
    with pytest.raises(TornListing, match=re.escape(header)):
        second_page(listing({"kind": "link"}), link=header)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({}, "has no 'results'"),
        ([], "has no 'results'"),
        ({"results": {}}, "is not an array"),
        ({"results": None, "count": 1}, "is not an array"),
        ({"results": []}, "has no 'count'"),
        ({"results": [], "count": "5"}, "no count"),
        ({"results": [], "count": -1}, "no count"),
        ({"results": [], "count": True}, "no count"),
        ({"results": [], "count": None}, "no count"),
    ],
)
def test_a_body_that_is_not_what_the_source_says_tears_the_listing(body: object, reason: str) -> None:
    with pytest.raises(TornListing, match=reason):
        read_page(body, listing(count="count"))


def test_the_body_itself_may_be_the_list() -> None:
    assert read_page([1, 2], ListConfig()).items == [1, 2]


def test_an_endpoints_name_is_quoted_in_its_path() -> None:
    assert first_page("a.b", ListConfig(path="x/{endpoint}?all=1")).url == "x/a.b?all=1"
