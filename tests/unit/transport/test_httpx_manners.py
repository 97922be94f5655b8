"""What is written against httpx keeps the client's manners: pace, cool-down, retries, limits, credentials."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from loopback import Asked, asking, client_of, reply, serving, settings

from trawl.model.errors import BudgetSpent, RedirectRefused, Unreachable
from trawl.transport import AsyncTransport, Client, http_client

pytestmark = pytest.mark.xdist_group("waits")


async def test_it_is_an_ordinary_client_that_knows_the_sources_address() -> None:
    async with serving(reply(body=b'{"id": 1}')) as server:
        async with http_client(settings(), base_url=f"{server.url}/v2", rate="unlimited") as client:
            assert type(client) is httpx.AsyncClient
            for url in ("a/1", "/a/1", "https://api.example.com/v1/a/1", f"{server.url}/v2/a/1"):
                assert (await client.get(url)).json() == {"id": 1}
        assert server.targets == ["/v2/a/1"] * 4


async def test_without_a_with_it_opens_at_the_first_request_and_closes_by_aclose() -> None:
    async with serving(reply()) as server:
        ours = Client.for_source(settings(), base_url=server.url, rate="unlimited")
        client = ours.http
        assert not ours.is_open
        await asyncio.gather(*(client.get("a") for _ in range(5)))
        assert ours.is_open
        await client.aclose()
        assert not ours.is_open


async def test_a_client_that_is_open_stays_with_whoever_opened_it() -> None:
    async with asking(reply()) as (ours, server):
        async with httpx.AsyncClient(transport=AsyncTransport(ours), base_url=ours.base_url) as client:
            await client.get("a")
        assert ours.is_open
        await ours.get("b")
        assert server.targets == ["/v1/a", "/v1/b"]


async def test_code_that_knows_httpx_alone_asks_as_the_source_does() -> None:
    async with asking(reply(), headers={"X-Own": "yes"}) as (ours, server):
        for client in (httpx.AsyncClient(transport=AsyncTransport(ours), base_url=ours.base_url), ours.http):
            await client.get("a")
            sent = server.asked[-1].headers
            assert sent["user-agent"].startswith("trawl/")
            assert (sent["accept"], sent["x-own"]) == ("application/json", "yes")
            assert "zstd" not in sent["accept-encoding"], "only what the client can decode"


async def test_what_the_program_says_itself_goes_out() -> None:
    async with asking(reply()) as (ours, server):
        await ours.http.get("a", headers={"User-Agent": "me", "Accept": "text/html", "X-Two": "1"}, cookies={"c": "1"})
        sent = server.asked[-1].headers
        assert (sent["user-agent"], sent["accept"], sent["x-two"], sent["cookie"]) == ("me", "text/html", "1", "c=1")


async def test_cookies_of_the_api_are_shown_but_not_sent_back() -> None:
    async with asking(reply(set_cookie="run=1")) as (ours, server):
        assert (await ours.http.get("a")).cookies["run"] == "1"
        await ours.http.get("a")
        assert "cookie" not in server.asked[-1].headers


async def test_twenty_requests_at_once_go_out_at_the_sources_pace() -> None:
    async with serving(reply()) as server, http_client(settings(), base_url=server.url, rate=100) as client:
        began = asyncio.get_running_loop().time()
        await asyncio.gather(*(client.get("a") for _ in range(20)))
        assert asyncio.get_running_loop().time() - began >= 19 / 100
        assert len(server.asked) == 20


async def test_no_more_requests_are_in_flight_than_the_client_has_connections() -> None:
    open_now, most, full = 0, 0, asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal open_now, most
        await reader.readuntil(b"\r\n\r\n")
        open_now += 1
        most = max(most, open_now)
        if open_now == 4:
            full.set()
        await full.wait()
        writer.write(reply())
        open_now -= 1
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening, client_of(f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}") as ours:
        assert ours.connections == 4
        await asyncio.gather(*(ours.http.get("a") for _ in range(20)))
    assert most == 4


async def test_a_429_cools_all_down_and_is_tried_again() -> None:
    moment, waits, refused = datetime(2026, 8, 3, tzinfo=UTC), [], asyncio.Event()

    def answer(asked: Asked) -> bytes:
        return reply(429, retry_after="7") if asked.number == 0 else reply()

    async with serving(answer) as server:
        ours = Client.for_source(settings(), base_url=server.url, rate="unlimited", clock=lambda: moment)
        start, over = ours.cool_down.start, ours.cool_down.over

        async def noted(wait: timedelta) -> None:
            waits.append(wait)
            await start(wait)
            refused.set()

        async def waited() -> None:
            nonlocal moment
            if ours.cool_down.until is not None:
                assert len(server.asked) == 1, "nobody asks in the cool-down"
                moment = ours.cool_down.until
            await over()

        ours.cool_down.start, ours.cool_down.over = noted, waited  # type: ignore[method-assign]
        async with ours.http as client:
            first = asyncio.create_task(client.get("a"))
            await refused.wait()
            others = await asyncio.gather(*(client.get("b") for _ in range(3)))
            assert [response.status_code for response in (await first, *others)] == [200] * 4
        assert waits == [timedelta(seconds=7)]
        assert ours.traffic.retries == 1


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_what_stays_refused_after_all_retries_is_an_answer(status: int) -> None:
    async with asking(reply(status, b"no", retry_after="0")) as (ours, server):
        response = await ours.http.get("a")
        assert (response.status_code, response.text, len(server.asked)) == (status, "no", 3)
        with pytest.raises(httpx.HTTPStatusError):
            response.raise_for_status()


async def test_the_budget_is_the_clients() -> None:
    async with serving(reply()) as server:
        async with http_client(settings(), base_url=server.url, rate="unlimited", budget=2) as client:
            await client.get("a")
            await client.get("a")
            with pytest.raises(BudgetSpent) as caught:
                await client.get("a")
        assert isinstance(caught.value, httpx.TransportError)
        assert len(server.asked) == 2


async def test_the_secret_goes_to_the_source_alone_and_is_never_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_TOKEN", "s3cret")

    def answer(asked: Asked) -> bytes:
        return reply(302, location="http://127.0.0.1:1/away") if asked.path == "/away" else reply()

    source = settings(credentials={"env": "API_TOKEN"})
    async with serving(answer) as server, http_client(source, base_url=server.url, rate="unlimited") as client:
        response = await client.get("a")
        assert server.asked[-1].headers["authorization"] == "Bearer s3cret"
        assert "authorization" not in response.request.headers
        for url in ("https://elsewhere.example.com/a", "away"):
            with pytest.raises(RedirectRefused) as caught:
                await client.get(url)
            assert isinstance(caught.value, httpx.RequestError)
            assert "s3cret" not in str(caught.value)
        assert len(server.asked) == 2, "the other host was not asked"


async def test_a_request_that_brings_its_own_authorization_keeps_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_TOKEN", "s3cret")
    for kind in ({}, {"kind": "basic"}, {"kind": "header", "name": "Authorization"}):
        async with asking(reply(), credentials={"env": "API_TOKEN"} | kind) as (ours, server):
            await ours.http.get("a", headers={"authorization": "Own 1"})
            assert server.asked[-1].headers["authorization"] == "Own 1"


@pytest.mark.parametrize("block", ["none", "pokeapi-dummy-key"])
async def test_without_a_real_secret_it_asks_without_one_and_says_so(
    block: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(reply()) as server:
        async with http_client(settings(credentials={"block": block}), base_url=server.url, rate="unlimited") as client:
            await client.get("a")
        assert "authorization" not in server.asked[0].headers
    assert [record.message.partition(",")[0] for record in caplog.records if record.name.startswith("trawl")] == [
        "api: no API key: what `credentials` refers to is not there or is a placeholder"
    ]


async def test_a_query_secret_is_added_below_and_taken_out_of_what_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_TOKEN", "s3cret")

    def answer(asked: Asked) -> bytes:
        return reply(301, location=f"/v1/b?{asked.target.partition('?')[2]}") if asked.path == "/v1/a" else reply()

    credentials = {"env": "API_TOKEN", "kind": "query", "name": "key"}
    async with asking(answer, credentials=credentials) as (ours, server):
        response = await ours.http.get("a", params={"page": 2})
        assert dict(response.url.params) == {"page": "2"}
        assert server.targets == ["/v1/a?page=2&key=s3cret", "/v1/b?page=2&key=s3cret"]


async def test_redirects_are_followed_by_the_clients_rules_and_the_url_is_where_they_led() -> None:
    def answer(asked: Asked) -> bytes:
        return reply(308, location="/v1/a/") if asked.path == "/v1/a" else reply()

    async with asking(answer) as (ours, server):
        response = await ours.http.get("a?x=1", headers={"X-Two": "2"})
        assert server.targets == ["/v1/a?x=1", "/v1/a/?x=1"], "the query is kept"
        assert str(response.url) == str(response.request.url) == f"{server.url}/v1/a/?x=1"
        assert (response.request.headers["x-two"], response.history) == ("2", [])


async def test_a_validator_brings_a_304() -> None:
    def answer(asked: Asked) -> bytes:
        return reply(304, b"", etag='"v1"') if asked.headers.get("if-none-match") == '"v1"' else reply(etag='"v1"')

    async with asking(answer) as (ours, _):
        first = await ours.http.get("a")
        again = await ours.http.get("a", headers={"If-None-Match": first.headers["etag"]})
        assert (first.status_code, again.status_code, again.content) == (200, 304, b"")
        assert ours.traffic.not_modified == 1


async def test_the_timeout_of_a_request_is_heeded_and_else_the_sources() -> None:
    async with serving(b"") as server:
        server.keeps = True  # and says nothing
        once = settings(requests={"attempts": 1})
        soon = once.requests.model_copy(update={"timeout": timedelta(milliseconds=10)})
        for more, source in (({"timeout": 0.01}, once), ({}, once.model_copy(update={"requests": soon}))):
            async with http_client(source, base_url=server.url, rate="unlimited") as client:
                with pytest.raises(httpx.ReadTimeout) as caught:
                    await client.get("a", **more)
                assert isinstance(caught.value, Unreachable), "as the engine judges a host that never answered"
        assert len(server.asked) == 2


def gzipped(body: bytes) -> Any:
    import gzip

    return reply(body=gzip.compress(body), content_encoding="gzip", content_type="application/json")


async def test_a_body_is_decoded_once_and_streams_as_read() -> None:
    async with asking(gzipped(b'{"id": 1}')) as (ours, _):
        response = await ours.http.get("a")
        assert response.json() == {"id": 1}
        assert not {"content-encoding", "content-length", "transfer-encoding"} & set(response.headers)
        async with ours.http.stream("GET", "a") as streamed:
            assert b"".join([part async for part in streamed.aiter_bytes()]) == b'{"id": 1}'
        async with ours.http.stream("GET", "a") as streamed:
            assert [line async for line in streamed.aiter_lines()] == ['{"id": 1}']


async def test_a_head_tells_the_length_of_what_it_does_not_bring() -> None:
    head = reply(content_length="999999999").removesuffix(b"{}")
    async with asking(head) as (ours, server):
        response = await ours.http.head("a")
        assert (response.headers["content-length"], response.content, server.asked[0].method) == (
            "999999999",
            b"",
            "HEAD",
        )
