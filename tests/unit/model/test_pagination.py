"""Pages lead to the next one, or end the list; never round in circles, never to half a list."""

from collections.abc import Callable
from typing import Any

import pytest

from trawl.model.config import ListConfig
from trawl.model.errors import TornListing
from trawl.model.pagination import Page, PageRequest, first_page, next_page, read_page


def listing(pagination: dict[str, Any] | None = None, **more: Any) -> ListConfig:
    return ListConfig.model_validate({"items": "results", **more} | ({"pagination": pagination} if pagination else {}))


def walk(config: ListConfig, answer: Callable[[PageRequest], Any], link: str = "") -> list[Any]:
    """All items, as a crawl gathers them."""
    request, items = first_page("things", config), []
    for _ in range(50):
        page = read_page(answer(request), config, link)
        items += page.items
        following = next_page(config, request, page, len(items))
        if following is None:
            return items
        request = following
    raise AssertionError("the list never ends")


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
    assert len(asked) == (3 if stated else 4)
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
    with pytest.raises(TornListing, match="back to its own page"):
        walk(config, lambda _: {"results": [1], "next": "a"})


@pytest.mark.parametrize("value", [True, [], {}, ["a"]])
def test_what_is_no_cursor_tears_the_listing(value: object) -> None:
    config = listing({"kind": "cursor", "cursor": "next", "param": "after"})
    with pytest.raises(TornListing, match="leads to no page"):
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
    request = first_page("things", config)
    following = next_page(config, request, read_page({"results": [1], "next": link}, config), 1)
    assert following == PageRequest(url)


@pytest.mark.parametrize("body", [{}, {"next": None}, {"next": ""}, {"next": False}])
def test_no_link_in_the_body_is_the_end(body: dict[str, object]) -> None:
    assert walk(listing({"kind": "link", "field": "next"}), lambda _: {"results": [1]} | body) == [1]


@pytest.mark.parametrize("link", ["#", "https://h/x"])
def test_a_link_that_leads_to_its_own_page_tears_the_listing(link: str) -> None:
    config = listing({"kind": "link", "field": "next"})
    with pytest.raises(TornListing, match="leads to itself"):
        walk(config, lambda _: {"results": [1], "next": link})


def test_a_link_that_is_no_address_tears_the_listing() -> None:
    with pytest.raises(TornListing, match="is none"):
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
        ('<>; rel="next"', None),
        ("", None),
        ("next", None),
    ],
)
def test_the_link_header_names_the_next_page(header: str, url: str | None) -> None:
    config = listing({"kind": "link"})
    following = next_page(config, first_page("things", config), Page([1], None, {}, header), 1)
    assert following == (None if url is None else PageRequest(url))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({}, "has no 'results'"),
        ([], "has no 'results'"),
        ({"results": {}}, "is no array"),
        ({"results": None, "count": 1}, "is no array"),
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
