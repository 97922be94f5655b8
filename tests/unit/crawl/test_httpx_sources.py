"""A source that is written against httpx is crawled as one that YAML describes, record for record."""

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_httpx
import respx

from tests.conftest import World
from tests.crawling import ask, contents, count
from tests.unit.crawl.test_python_sources import Things, crawled, present
from tests.unit.crawl.test_shapes import serving
from trawl.lake import Lake
from trawl.model.errors import CredentialsRefused, Unreachable
from trawl.replica import running
from trawl.sources import Batch, Item, PokeApiCrawler, Validators, YamlCrawler, with_document
from trawl.transport import http_client

ENDPOINTS = ("pokemon", "pokemon-encounters", "machine", "move")


class PlainPokeApi(PokeApiCrawler):
    """PokeAPI as anybody would ask it."""

    async def discover_item_ids(
        self, endpoint: str, client: httpx.AsyncClient, known: Validators | None = None
    ) -> AsyncIterator[Batch]:
        headers = {"If-None-Match": known.etag} if known and known.etag else {}
        url = f"{endpoint}/?limit=100000"
        while url:
            response = await client.get(url, headers=headers)
            response.raise_for_status()
            page = response.json()
            yield Batch(page["results"], page["count"], response)
            url = page["next"]

    async def fetch_item_details(self, item: Item, client: httpx.AsyncClient) -> httpx.Response:
        assert item.path is not None
        headers = {"If-None-Match": item.etag} if item.etag else {}
        response = await client.get(item.path, headers=headers)
        response.raise_for_status()
        return response


def log_of(lake: Path) -> list[dict[str, Any]]:
    rows = "endpoint, key, op, label, payload, etag, last_modified, byte_hash, canonical_hash, semantic_hash, source_version"
    return ask(lake, f"SELECT {rows} FROM _log_pokeapi WHERE op <> 'run' ORDER BY endpoint, key, observed_at")


def test_a_source_in_python_gives_the_lake_of_the_source_in_yaml(world: World, tmp_path: Path) -> None:
    sources = {"python": PlainPokeApi, "yaml": PokeApiCrawler}
    for day in (0, 1):
        world.day(day)
        reports = {
            name: crawled(tmp_path / name, world.url, source(), endpoints=ENDPOINTS, force=True)
            for name, source in sources.items()
        }
        assert count(reports["python"]) == count(reports["yaml"])
        assert reports["python"].not_modified == reports["yaml"].not_modified
        assert reports["python"].requests == reports["yaml"].requests
    assert contents(tmp_path / "python") == contents(tmp_path / "yaml")
    assert log_of(tmp_path / "python") == log_of(tmp_path / "yaml")


def test_a_source_in_yaml_never_loads_httpx(tmp_path: Path) -> None:
    script = f"""
import sys
from trawl.cli.app import invoke
from trawl.replica import GeneratedCatalogue, ReplicaApp, running
with running(ReplicaApp(GeneratedCatalogue(60, seed=7, day=0))) as url:
    words = ["run", "pokeapi", "--lake", {str(tmp_path)!r}, "--base-url", url, "--rate", "unlimited", "--endpoint", "move"]
    assert invoke(words) == 0
assert "aiohttp" in sys.modules
sys.exit("httpx" in sys.modules)
"""
    import subprocess

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def gets(**headers: str) -> Things:
    class Gets(Things):
        async def fetch_item_details(self, item: Item, client: httpx.AsyncClient) -> httpx.Response:
            return (await client.get(item.path or "", headers=headers)).raise_for_status()

    return Gets()


def kept(lake: Path) -> list[Any]:
    """What was set aside, by key."""
    runs = Lake(lake).source("things").runs
    rows = ask(lake, "SELECT run, endpoint, key FROM things.quarantine ORDER BY key, run")
    return [runs.quarantined(row["run"], row["endpoint"], row["key"]) for row in rows]


def test_what_raise_for_status_raises_is_judged_as_the_answer(tmp_path: Path) -> None:
    with serving({"a/": [{"id": 1}, {"id": 2}, {"id": 3}], "a/1": {"id": 1}, "a/2": None, "a/3": b"<html>"}) as (
        url,
        _,
    ):
        assert count(crawled(tmp_path, url, gets())) == {"new": 1, "quarantined": 2}
    refused, page = kept(tmp_path)
    assert (refused.key, refused.status) == ("2", 404)
    assert (page.key, page.status, page.body) == ("3", 200, b"<html>")


def test_a_304_by_raise_for_status_says_that_the_content_holds(tmp_path: Path) -> None:
    class Conditional(Things):
        async def fetch_item_details(self, item: Item, client: httpx.AsyncClient) -> httpx.Response:
            headers = {"If-None-Match": item.etag} if item.etag else {}
            return (await client.get(item.path or "", headers=headers)).raise_for_status()

    async def api(scope: Any, _receive: Any, send: Any) -> None:
        listing = scope["path"].endswith("/a/")
        held = dict(scope["headers"]).get(b"if-none-match") == b'"v1"' and not listing
        await send({"type": "http.response.start", "status": 304 if held else 200, "headers": [(b"etag", b'"v1"')]})
        await send({"type": "http.response.body", "body": b"" if held else b'[{"id": 1}]' if listing else b'{"id": 1}'})

    with running(api) as url:
        assert count(crawled(tmp_path, url, Conditional())) == {"new": 1}
        report = crawled(tmp_path, url, Conditional(), force=True)
    assert (count(report), report.not_modified) == ({}, 1)


def test_a_refusal_of_something_else_is_no_word_about_the_record(tmp_path: Path) -> None:
    class Twofold(Things):
        async def fetch_item_details(self, item: Item, client: httpx.AsyncClient) -> httpx.Response:
            response = await client.get(item.path or "")
            (await client.get(f"extra/{item.key}")).raise_for_status()
            return response

    with serving({"a/": [{"id": 1}], "a/1": {"id": 1}}) as (url, answers):
        crawled(tmp_path, url, Things())
        answers.bodies["a/"] = [{"id": 2}]
        for _ in range(2):
            report = crawled(tmp_path, url, Twofold(), force=True)
    assert report.total("gone") == 0
    found = kept(tmp_path)[0]
    assert (found.key, found.status) == ("1", 404)
    assert "/extra/1 answered 404" in found.reason


@pytest.mark.parametrize("status", [401, 500])
def test_what_speaks_of_the_api_is_no_word_about_the_record(tmp_path: Path, status: int) -> None:
    async def api(scope: Any, _receive: Any, send: Any) -> None:
        listing = scope["path"].endswith("/a/")
        await send({"type": "http.response.start", "status": 200 if listing else status, "headers": []})
        await send({"type": "http.response.body", "body": b'[{"id": 1}]'})

    with running(api) as url:
        if status == 401:
            with pytest.raises(CredentialsRefused, match=r"/a/1: 401 Unauthorized"):
                crawled(tmp_path, url, gets())
        else:
            assert count(crawled(tmp_path, url, gets())) == {"failed": 1}
            reasons = ask(tmp_path, "SELECT reason FROM _log_things WHERE op = 'fail'")
            assert "/a/1: 500 Internal Server Error" in reasons[0]["reason"]


def test_a_host_that_nobody_answers_for_ends_the_run(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="cannot reach"):
        crawled(tmp_path, "http://127.0.0.1:9", Searched())


class Searched(YamlCrawler):
    """A list behind a POST, as of GraphQL and of search engines."""

    description = """
name: things
base_url: https://api.example.com
requests: {attempts: 1}
endpoints:
  a: {detail: {path: "a/{key}"}}
"""

    async def discover_item_ids(
        self, endpoint: str, client: httpx.AsyncClient, known: Validators | None = None
    ) -> AsyncIterator[Batch]:
        after: int | None = 0
        while after is not None:
            response = await client.post("search", json={"first": 2, "after": after})
            found = response.raise_for_status().json()
            yield Batch(found["nodes"], response=response)
            after = found["next"]


def test_a_list_behind_a_post_is_walked_as_any_other(tmp_path: Path) -> None:
    import json

    refused: list[int] = []

    async def api(scope: Any, receive: Any, send: Any) -> None:
        body: Any = {"id": int(scope["path"].rpartition("/")[2])} if "/a/" in scope["path"] else None
        if body is None:
            assert scope["method"] == "POST"
            after = json.loads((await receive())["body"])["after"]
            body = {"nodes": [{"id": after}, {"id": after + 1}], "next": after + 2 if after < 4 else None}
        status = 503 if refused and scope["method"] == "POST" else 200
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": json.dumps(body).encode()})

    with running(api) as url:
        assert count(crawled(tmp_path, url, Searched())) == {"new": 6}
        refused.append(503)
        report = crawled(tmp_path, url, Searched(), force=True)
    assert present(tmp_path) == list("012345")
    assert "503" in report.endpoints["a"].notes[0]
    assert count(report) == {}


@pytest.mark.parametrize("status", [404, 500, 403])
def test_a_list_that_raise_for_status_ended_is_no_shorter_list(tmp_path: Path, status: int) -> None:
    class Raises(Things):
        async def discover_item_ids(
            self, endpoint: str, client: httpx.AsyncClient, known: Validators | None = None
        ) -> AsyncIterator[Batch]:
            response = await client.get("list")
            yield Batch(response.json(), response=response)
            (await client.get("page/2")).raise_for_status()

    async def api(scope: Any, _receive: Any, send: Any) -> None:
        code = status if scope["path"].endswith("/page/2") else 200
        body = b'[{"id": 1}]' if scope["path"].endswith("/list") else b'{"id": 1}'
        await send({"type": "http.response.start", "status": code, "headers": []})
        await send({"type": "http.response.body", "body": body})

    with running(api) as url:
        report = crawled(tmp_path, url, Raises())
    assert report.total("new") == 0
    assert str(status) in report.endpoints["a"].notes[0]


def test_an_answer_of_its_own_making_is_taken_as_it_is(tmp_path: Path) -> None:
    class Own(Things):
        async def fetch_item_details(self, item: Item, client: httpx.AsyncClient) -> httpx.Response:
            match item.key:
                case "1":
                    return httpx.Response(200, json={"id": 1, "made": True})
                case "2":
                    return with_document(httpx.Response(200), {"id": 2})
                case _:
                    async with client.stream("GET", "a/3") as response:
                        await response.aread()
                    return response

    with serving({"a/": [{"id": 1}, {"id": 2}, {"id": 3}], "a/3": {"id": 3}}) as (url, _):
        assert count(crawled(tmp_path, url, Own())) == {"new": 3}


def test_the_client_of_a_run_is_one(tmp_path: Path) -> None:
    seen: set[int] = set()

    class Same(Things):
        async def discover_item_ids(
            self, endpoint: str, client: httpx.AsyncClient, known: Validators | None = None
        ) -> AsyncIterator[Batch]:
            client.headers["X-Session"] = "set in the list"
            seen.add(id(client))
            async for batch in super().discover_item_ids(endpoint, client, known):
                yield batch

        async def fetch_item_details(self, item: Item, client: httpx.AsyncClient) -> httpx.Response:
            assert client.headers["X-Session"] == "set in the list"
            seen.add(id(client))
            return await super().fetch_item_details(item, client)

    with serving({"a/": [{"id": 1}, {"id": 2}], "a/1": {"id": 1}, "a/2": {"id": 2}}) as (url, _):
        assert count(crawled(tmp_path, url, Same())) == {"new": 2}
    assert len(seen) == 1


def test_an_item_s_path_is_asked_for_as_it_is(tmp_path: Path) -> None:
    class ByPath(YamlCrawler):
        description = """
name: things
base_url: https://api.example.com/v1
requests: {attempts: 1}
endpoints:
  a: {list: {path: list}, detail: {path: "{item.href}"}}
"""

        async def fetch_item_details(self, item: Item, client: httpx.AsyncClient) -> httpx.Response:
            ours = await super().fetch_item_details(item, client)
            own = await client.get(item.path or "")
            assert own.content == ours.content
            return own

    hrefs = {1: "/api/v2/a/1", 2: "a/2", 3: "https://api.example.com/v1/a/3", 4: "a:4", 5: "/outside/5?x=a%2Fb"}
    asked: list[str] = []

    async def api(scope: Any, _receive: Any, send: Any) -> None:
        import json

        path = scope["raw_path"].decode()
        items = [{"id": key, "href": href} for key, href in hrefs.items()]
        body: Any = items if path.endswith("/list") else {"id": int(path[-1])}
        asked.append(path + (scope["query_string"] and b"?" + scope["query_string"]).decode())
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": json.dumps(body).encode()})

    with running(api) as url:
        assert count(crawled(tmp_path, url, ByPath())) == {"new": 5}
    assert sorted(asked[1:]) == sorted(
        2 * ["/api/v2/a/1", "/api/v2/a/2", "/api/v2/a/3", "/api/v2/a:4", "/outside/5?x=a%2Fb"]
    )


# -- a source, tested without an API -----------------------------------------------------------------------


@respx.mock
async def test_a_sources_own_code_is_tested_with_respx() -> None:
    respx.get("https://api.example.com/a/1", headers={"If-None-Match": '"v1"'}).respond(304)
    respx.get("https://api.example.com/a/2?deep=1").respond(json={"id": 2})
    crawler = Things()
    async with http_client(crawler.config_block) as client:
        assert (await crawler.fetch_item_details(Item("a", "1", etag='"v1"'), client)).status_code == 304
        found = await crawler.fetch_item_details(Item("a", "2", path="/a/2?deep=1"), client)
        assert found.json() == {"id": 2}


async def test_a_sources_own_code_is_tested_with_pytest_httpx(httpx_mock: pytest_httpx.HTTPXMock) -> None:
    httpx_mock.add_response(url="https://api.example.com/search", json={"nodes": [{"id": 1}], "next": None})
    crawler = Searched()
    async with http_client(crawler.config_block) as client:
        batches = [batch async for batch in crawler.discover_item_ids("a", client)]
    assert [crawler.get_item_unique_id_from_summary_data("a", item) for item in batches[0].items] == ["1"]


def test_a_crawl_of_mocked_answers_needs_no_server(tmp_path: Path) -> None:
    with respx.mock(base_url="https://api.example.com") as router:
        router.post("/search").respond(json={"nodes": [{"id": 1}], "next": None})
        router.get("/a/1").respond(json={"id": 1, "name": "one"})

        class Whole(Searched):
            async def fetch_item_details(self, item: Item, client: httpx.AsyncClient) -> httpx.Response:
                return await client.get(item.path or "")

        report = crawled(tmp_path, "https://api.example.com", Whole(), rate=1000)
    assert count(report) == {"new": 1}
    assert asyncio.run(_first(Whole())) is not None


async def _first(crawler: YamlCrawler) -> Batch | None:
    async with http_client(crawler.config_block) as client, respx.mock as router:
        router.post("https://api.example.com/search").respond(json={"nodes": [], "next": None})
        return await anext(crawler.discover_item_ids("a", client), None)
