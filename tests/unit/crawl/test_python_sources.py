"""Sources in Python are crawled by the same engine: what they bring is verified, what they break costs only itself."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.crawling import ask, count
from tests.unit.crawl.test_shapes import serving
from trawl.crawl import CrawlOptions, Report, crawl, preview
from trawl.lake import Lake
from trawl.model.errors import ConfigurationError, CredentialsRefused, Fatal, GuardTripped, Retriable, TornListing
from trawl.replica import running
from trawl.sources import Batch, Item, SourceCrawler, Validators, YamlCrawler, with_document

BODIES: dict[str, Any] = {"list": [{"id": 1}, {"id": 2}]} | {f"a/{key}": {"id": key} for key in (1, 2, 3)}


class Things(YamlCrawler):
    description = """
name: things
base_url: https://api.example.com
requests: {attempts: 1}
endpoints:
  a: {detail: {path: "a/{key}"}}
"""


def crawled(lake: Path, url: str, crawler: SourceCrawler, **options: Any) -> Report:
    options.setdefault("rate", "unlimited")
    return asyncio.run(crawl(crawler, Lake(lake), CrawlOptions(base_url=url, **options)))


def present(lake: Path) -> list[str]:
    return [row["key"] for row in ask(lake, "SELECT key FROM things.records WHERE state = 'present' ORDER BY key")]


def lists(*batches: Any, then: BaseException | None = None, ended: list[bool] | None = None) -> Things:
    """A source whose list is these batches, and then perhaps an error."""

    class Lists(Things):
        async def discover_item_ids(
            self, endpoint: str, client: httpx.AsyncClient, known: Validators | None = None
        ) -> AsyncIterator[Batch]:
            try:
                for batch in batches:
                    yield batch
                if then is not None:
                    raise then
            finally:
                if ended is not None:
                    ended.append(True)

    return Lists()


def items(*keys: Any) -> list[Any]:
    return [{"id": key} for key in keys]


# -- lists -------------------------------------------------------------------------------------------------


def test_a_list_from_anywhere_is_planned_and_fetched_like_any_other(tmp_path: Path) -> None:
    with serving(BODIES) as (url, answers):
        assert count(crawled(tmp_path, url, lists(Batch(items(1), 3), Batch(items(2, 3), 3)))) == {"new": 3}
        assert count(crawled(tmp_path, url, lists(Batch(items(1, 2))))) == {"missing": 1}
        found = asyncio.run(preview(lists(Batch(items(1, 2, 3))), Lake(tmp_path), CrawlOptions(base_url=url)))
    assert sorted(answers.asked[:3]) == ["a/1", "a/2", "a/3"], "the list was asked of nobody"
    assert found.endpoints["a"]["fresh"] == 2


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (lists(Batch(items(1)), then=Retriable("the line is dead")), "the line is dead"),
        (lists(Batch(items(1)), then=TornListing("page 2 says otherwise")), "page 2 says otherwise"),
        (lists(Batch(items(1)), then=KeyError("next")), "the source's own code: KeyError: 'next' (test_python_sources.py:"),
        (lists(Batch(items(1)), Batch(items(1))), "the key '1' came twice"),
        (lists(Batch(items(1), 2)), "1 items came, the API counts 2"),
        (lists(Batch(items(1), 1), Batch(items(2), 2)), "the count changed from page to page: [1, 2]"),
        (lists(Batch([{"name": "no id"}])), "an item has no key at 'id'"),
        (lists(Batch([7])), "an item has no key"),
        (lists(Batch([{"id": 1, "set": {1}}])), "own code: TypeError: Type is not JSON serializable: set"),
        (lists(Batch(items(1)), "page"), "discover_item_ids yielded a str, not a Batch"),
        (lists(items(1)), "discover_item_ids yielded a list, not a Batch"),
        (lists(), "no page came at all"),
    ],
)  # fmt: skip
def test_half_a_list_teaches_nothing_and_the_report_says_why(tmp_path: Path, source: Things, reason: str) -> None:
    with serving(BODIES) as (url, _):
        crawled(tmp_path, url, lists(Batch(items(1, 2))))
        report = crawled(tmp_path, url, source, force=True)
    assert count(report) == {}
    assert present(tmp_path) == ["1", "2"]
    assert reason in report.endpoints["a"].notes[0]


@pytest.mark.parametrize("key", [7, "", None, "\ud800", ["1"]])
def test_what_is_no_text_is_no_key(tmp_path: Path, key: Any) -> None:
    class OddKeys(Things):
        def get_item_unique_id_from_summary_data(self, endpoint: str, summary: Any) -> str:
            return key

    with serving(BODIES | {"a/": items(1)}) as (url, _):
        report = crawled(tmp_path, url, OddKeys())
    assert count(report) == {}
    assert f"{key!r} is not a key" in report.endpoints["a"].notes[0]


def test_a_key_of_the_sources_own_making_names_the_record(tmp_path: Path) -> None:
    class Prefixed(Things):
        def get_item_unique_id_from_summary_data(self, endpoint: str, summary: Any) -> str:
            return f"{endpoint}:{summary['id']:04d}"

    bodies = {"a/": items(1, 2), "a/a:0001": {"id": 1}, "a/a:0002": {"id": 2}}
    with serving(bodies) as (url, _):
        assert count(crawled(tmp_path, url, Prefixed())) == {"new": 2}
    assert present(tmp_path) == ["a:0001", "a:0002"]


@pytest.mark.parametrize("error", [ConfigurationError("no such museum"), CredentialsRefused("401"), Fatal("stop")])
def test_a_fatal_error_of_the_source_ends_the_run_and_gives_the_lease_back(tmp_path: Path, error: Fatal) -> None:
    with serving(BODIES) as (url, _):
        with pytest.raises(type(error), match=error.message):
            crawled(tmp_path, url, lists(Batch(items(1)), then=error))
        assert count(crawled(tmp_path, url, lists(Batch(items(1))))) == {"new": 1}


def test_a_list_that_is_left_half_way_is_ended(tmp_path: Path) -> None:
    ended: list[bool] = []
    with serving(BODIES) as (url, _):
        crawled(tmp_path, url, lists(Batch(items(1)), Batch(items(1)), Batch(items(2)), ended=ended))
    assert ended == [True, True], "once for each attempt"


def test_a_list_without_records_behind_it_is_kept_item_by_item(tmp_path: Path) -> None:
    class Whole(Things):
        description = "name: things\nbase_url: https://h\nendpoints:\n  a: {detail: null}"
        discover_item_ids = type(lists(Batch([{"id": 1, "v": 1}]), Batch([{"id": 2, "v": 1}]))).discover_item_ids

    with serving({}) as (url, answers):
        assert count(crawled(tmp_path, url, Whole())) == {"new": 2}
        assert count(crawled(tmp_path, url, Whole())) == {}
    assert answers.asked == []
    rows = ask(tmp_path, "SELECT payload FROM things.records ORDER BY key")
    assert [row["payload"] for row in rows] == ['{"id":1,"v":1}', '{"id":2,"v":1}']


# -- records -----------------------------------------------------------------------------------------------


def fetches(answer: Callable[[Item, httpx.Response], Any]) -> Things:
    """A source that makes something of its own of every answer."""

    class Fetches(Things):
        async def fetch_item_details(self, item: Item, client: httpx.AsyncClient) -> httpx.Response:
            return answer(item, await super().fetch_item_details(item, client))

    return Fetches()


def test_a_fault_in_one_record_costs_that_record_only(tmp_path: Path) -> None:
    def answer(item: Item, response: httpx.Response) -> Any:
        return {"1": lambda: response, "2": lambda: response.missing, "3": lambda: None}[item.key]()

    with serving(BODIES | {"a/": items(1, 2, 3)}) as (url, answers):
        assert count(crawled(tmp_path, url, fetches(answer))) == {"new": 1, "failed": 2}
        assert answers.asked.count("a/2") == 1
        assert count(crawled(tmp_path, url, Things(), force=True)) == {"new": 2}, "mended, both come"
    assert present(tmp_path) == ["1", "2", "3"]


def test_the_reason_of_a_fault_finds_its_line(tmp_path: Path) -> None:
    def answer(item: Item, response: httpx.Response) -> Any:
        return response.json()["name"]

    bodies = {"a/": items(*range(20))} | {f"a/{key}": {"id": key} for key in range(20)}
    reason = r"own code: KeyError: 'name' \(test_python_sources.py:\d+\)"
    with serving(bodies) as (url, _), pytest.raises(GuardTripped, match=reason):
        crawled(tmp_path, url, fetches(answer))


def test_another_format_becomes_a_document_with_its_validators(tmp_path: Path) -> None:
    asked: list[dict[str, str]] = []

    async def api(scope: Any, _receive: Any, send: Any) -> None:
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        asked.append(headers)
        listing = scope["path"].endswith("/a/")
        status = 304 if headers.get("if-none-match") == '"v1"' and not listing else 200
        body = b'[{"id": 1}]' if listing else b"<html><b>one</b></html>" if status == 200 else b""
        kind = b"application/json" if listing else b"text/html"
        start = {
            "type": "http.response.start",
            "status": status,
            "headers": [(b"content-type", kind), (b"etag", b'"v1"')],
        }
        await send(start)
        await send({"type": "http.response.body", "body": body})

    def answer(item: Item, response: httpx.Response) -> httpx.Response:
        if response.status_code != 200:
            return response
        return with_document(response, {"id": 1, "bold": response.text.split("<b>")[1].split("</b>")[0]})

    with running(api) as url:
        assert count(crawled(tmp_path, url, fetches(answer))) == {"new": 1}
        report = crawled(tmp_path, url, fetches(answer), force=True)
        assert (count(report), report.not_modified) == ({}, 1)
        report = crawled(tmp_path, url, Things(), force=True, no_cache=True)
        assert count(report) == {"quarantined": 1}, "what nobody can read is set aside"
    assert ask(tmp_path, "SELECT payload FROM things.records") == [{"payload": '{"id":1,"bold":"one"}'}]


def test_what_the_source_hands_on_is_judged_by_the_engine(tmp_path: Path) -> None:
    with serving(BODIES | {"a/": items(1, 2), "a/2": b"no json"}) as (url, answers):
        assert count(crawled(tmp_path, url, fetches(lambda _, response: response))) == {"new": 1, "quarantined": 1}
        answers.bodies |= {"a/": items(1), "a/2": None}
        crawled(tmp_path, url, fetches(lambda _, response: response), force=True)
    assert ask(tmp_path, "SELECT key FROM things.quarantine") == [{"key": "2"}]


def test_a_spent_budget_leaves_the_rest_due(tmp_path: Path) -> None:
    with serving(BODIES) as (url, answers):
        source = lists(Batch(items(1, 2, 3)))
        report = crawled(tmp_path, url, source, max_requests=2)
        assert report.note == "the request budget is spent: 1 records stay due"
        assert count(crawled(tmp_path, url, source)) == {"new": 1}
    assert len(answers.asked) == 3


# -- validators and keys of the API ------------------------------------------------------------------------


class Headers:
    """A list and its records, and the headers with which they were asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, str]]] = []

    async def __call__(self, scope: Any, _receive: Any, send: Any) -> None:
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        path = scope["path"].removeprefix("/api/v2/")
        self.asked.append((path, headers))
        status = 304 if headers.get("if-none-match") == '"v1"' else 200
        body = b"" if status == 304 else b'[{"id": 1}]' if path == "a/" else b'{"id": 1}'
        await send({"type": "http.response.start", "status": status, "headers": [(b"etag", b'"v1"')]})
        await send({"type": "http.response.body", "body": body})


def test_a_source_is_told_the_validators_of_its_last_whole_list(tmp_path: Path) -> None:
    told: list[Validators | None] = []

    class Told(Things):
        async def discover_item_ids(
            self, endpoint: str, client: httpx.AsyncClient, known: Validators | None = None
        ) -> AsyncIterator[Batch]:
            told.append(known)
            async for batch in super().discover_item_ids(endpoint, client, known):
                yield batch

    with running(Headers()) as url:
        crawled(tmp_path, url, Told())
        assert crawled(tmp_path, url, Told(), force=True).not_modified == 2
        crawled(tmp_path, url, Told(), force=True, no_cache=True)
    assert told == [None, Validators('"v1"', None), None]


def test_a_key_that_the_source_gets_itself_goes_out_as_a_bearer_token(tmp_path: Path) -> None:
    class WithKey(Things):
        def get_api_key(self, load_block: Any = None) -> str | None:
            return "s3cret"

    api = Headers()
    with running(api) as url:
        report = crawled(tmp_path, url, WithKey())
    assert {headers["authorization"] for _, headers in api.asked} == {"Bearer s3cret"}
    assert report.note is None


@pytest.mark.parametrize(
    ("block", "holds", "sent"),
    [
        ("none", None, None),
        ("pokeapi-dummy-key", "whatever", None),
        ("not-there", None, None),
        ("real-name", "dummy", None),
        ("real-name", "s3cret", "Bearer s3cret"),
    ],
)
def test_without_a_real_secret_requests_go_out_without_one_and_the_report_says_so(
    tmp_path: Path, block: str, holds: str | None, sent: str | None
) -> None:
    class Keyed(Things):
        description = Things.description + f"credentials: {{block: {block}}}\n"

    api = Headers()
    with running(api) as url:
        options = CrawlOptions(base_url=url, rate="unlimited")
        load = {"real-name": holds, "pokeapi-dummy-key": holds}.get
        report = asyncio.run(crawl(Keyed(), Lake(tmp_path), options, load_block=load))
    assert report.status == "done"
    assert {headers.get("authorization") for _, headers in api.asked} == {sent}
    assert (report.note is None) == (sent is not None)
    assert sent is not None or "no API key" in str(report.note)
