"""However an API pages its list, whatever it says of the count, and whatever goes wrong: all of the list, or nothing."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.crawling import Clock
from tests.listing_api import PAGINATION, Answer, ListApi, described
from trawl.crawl.listing import Absent, Kept, Listed, Listing, list_endpoint
from trawl.model.config import SourceConfig
from trawl.replica import running
from trawl.sources import as_crawler, parse_source
from trawl.transport import Client

FAULTS = {
    "none": None,
    "404": Answer({}, 404),
    "403": Answer({}, 403),
    "500": Answer({}, 500),
    "no items": Answer({"error": "busy"}),
    "cut off": Answer(b'{"items": [{"id": 0}, {"i'),
    "html": Answer(b"<html>", content_type="text/html"),
}


class Doors:
    """One server for all examples: each puts its own API behind it."""

    api: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await self.api(scope, receive, send)


@pytest.fixture(scope="module")
def doors() -> Iterator[tuple[str, Doors]]:
    app = Doors()
    with running(app) as url:
        yield url, app


async def listed(source: SourceConfig, url: str) -> Listing:
    async with Client.for_source(source, base_url=url, rate="unlimited", clock=Clock()) as client:
        return await list_endpoint(client, as_crawler(source), "items", None, conditional=False, believe_older=False)


def source_of(style: str, asked: int, counted: bool) -> SourceConfig:
    size = {"offset": f"limit: {asked}", "page": f"size: {asked}"}.get(style)
    pagination = PAGINATION[style] if size is None else f"{{kind: {style}, {size}}}"
    more = "" if size is not None else f"params: {{limit: {asked}}}"
    text = described(pagination, ", ".join(filter(None, [more, "count: count" if counted else ""])))
    return parse_source(f"{text}requests: {{attempts: 1}}\n", "things.yaml")


@settings(
    max_examples=200,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_a_listing_is_complete_or_it_is_none(doors: tuple[str, Doors], data: st.DataObject) -> None:
    url, server = doors
    style = data.draw(st.sampled_from(sorted(PAGINATION)), "style")
    counts = data.draw(st.sampled_from([None, "total", "page", "window"]), "counts")
    past = data.draw(st.sampled_from(["empty", "404", "last", "first"]), "past")
    api = ListApi(
        total=data.draw(st.integers(0, 24), "total"),
        style=style,
        counts=counts,
        past=past,
        window=data.draw(st.integers(1, 24), "window"),
    )
    sizes = data.draw(st.lists(st.sampled_from([None, 1, 2, 3, 5, 8]), min_size=1, max_size=6), "caps")
    # Numbered pages that change their size mean other records each time, and so does a repeated page that does: no API
    # can page so. A window's count that a shorter page happens to hit is the one thing that nobody can see through.
    if style == "page" or past in {"last", "first"} or counts == "window":
        sizes = sizes[:1]
    fault = FAULTS[data.draw(st.sampled_from(sorted(FAULTS)), "fault")]
    at = data.draw(st.integers(0, 8), "at page")
    order = data.draw(st.none() | st.permutations(range(api.total)), "order")
    reordered = data.draw(st.integers(2, 8), "reordered before request")
    faulty: set[str] = set()

    def before(api: ListApi, number: int) -> Answer | None:
        api.cap = sizes[min(number, len(sizes)) - 1]
        if order is not None and number == reordered:
            api.items = [api.items[place] for place in order]
        if fault is not None and number == at:
            faulty.add(api.asked[-1])
        return fault if api.asked[-1] in faulty else None

    api.before = before
    server.api = api
    asked = data.draw(st.sampled_from([1, 2, 3, 5, 50]), "asked for")
    found = asyncio.run(listed(source_of(style, asked, counts is not None), url))
    everything = {str(item["id"]) for item in api.items}
    quiet = not faulty and (order is None or len(api.asked) < reordered)
    if isinstance(found, Listed):
        ends_by_404 = past == "404" and style in {"offset", "page"} and counts != "total"
        if fault is FAULTS["404"] and faulty and ends_by_404:
            return  # an API that says its end by 404 alone cannot be told from one whose last page is missing
        assert set(found.table["key"].to_pylist()) == everything
    elif quiet:
        reason = found.reason if isinstance(found, Kept) else str(found)
        assert "second page repeats the first" in reason, reason
    else:
        assert isinstance(found, Kept | Absent)
