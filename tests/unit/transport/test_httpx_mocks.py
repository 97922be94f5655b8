"""respx and pytest-httpx find what they patch: no request of a mocked client leaves, and no patience is spent on it."""

from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_httpx
import respx
from loopback import asking, reply, settings

from trawl.transport import Client, http_client

BASE = "https://api.example.com/v1"


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with http_client(settings()) as client:
        yield client


@respx.mock
async def test_respx_by_its_decorator(client: httpx.AsyncClient) -> None:
    route = respx.get(f"{BASE}/a/1", params={"b": "2"}).mock(return_value=httpx.Response(200, json={"id": 1}))
    assert (await client.get("a/1", params={"b": 2})).json() == {"id": 1}
    assert route.calls.last.request.headers["user-agent"].startswith("trawl/")


async def test_respx_by_its_context_and_base_url(client: httpx.AsyncClient) -> None:
    async with respx.mock(base_url=BASE) as router:
        router.post("/search").respond(201, json=[1])
        router.get("/refused").respond(503)
        router.get("/broken").mock(side_effect=httpx.ConnectError("no"))
        assert (await client.post("search", json={})).status_code == 201
        assert (await client.get("refused")).status_code == 503
        assert router.calls.call_count == 2, "nobody tries again: what is mocked is the whole client"
        with pytest.raises(httpx.ConnectError):
            await client.get("broken")


@pytest.mark.respx(base_url=BASE)
async def test_respx_by_its_fixture(client: httpx.AsyncClient, respx_mock: respx.MockRouter) -> None:
    respx_mock.get("/a").side_effect = [httpx.Response(404), httpx.Response(200, text="there")]
    assert [(await client.get("a")).status_code for _ in range(2)] == [404, 200]


@pytest.mark.parametrize("using", ["httpcore", "httpx"])
async def test_respx_at_either_level(client: httpx.AsyncClient, using: str) -> None:
    async with respx.mock(using=using) as router:
        router.get(f"{BASE}/a").respond(json={"by": using})
        assert (await client.get("a")).json() == {"by": using}


async def test_respx_as_a_transport() -> None:
    router = respx.Router()
    router.get(f"{BASE}/a").respond(json=1)
    mocked = httpx.MockTransport(router.async_handler)
    async with httpx.AsyncClient(transport=mocked, base_url=BASE) as client:
        assert (await client.get("a")).json() == 1


async def test_respx_lets_through_what_it_is_told_to() -> None:
    async with asking(reply(body=b'"real"')) as (ours, server), respx.mock() as router:
        router.get(f"{server.url}/v1/a").pass_through()
        assert (await ours.http.get("a")).json() == "real"
        assert server.targets == ["/v1/a"]


async def test_pytest_httpx_by_its_fixture(client: httpx.AsyncClient, httpx_mock: pytest_httpx.HTTPXMock) -> None:
    httpx_mock.add_response(url=f"{BASE}/a?b=2", json={"id": 1}, headers={"etag": '"v1"'})
    httpx_mock.add_response(method="POST", match_json={"q": 1}, status_code=503)
    httpx_mock.add_exception(httpx.ReadTimeout("late"), url=f"{BASE}/late")
    assert (await client.get("a", params={"b": 2})).headers["etag"] == '"v1"'
    assert (await client.post("search", json={"q": 1})).status_code == 503
    with pytest.raises(httpx.ReadTimeout):
        await client.get("late")
    assert [request.method for request in httpx_mock.get_requests()] == ["GET", "POST", "GET"]


@pytest.mark.httpx_mock(should_mock=lambda request: request.url.host != "127.0.0.1")
async def test_pytest_httpx_lets_through_what_it_is_told_to(httpx_mock: pytest_httpx.HTTPXMock) -> None:
    async with asking(reply(body=b'"real"')) as (ours, _):
        assert (await ours.http.get("a")).json() == "real"


async def test_a_mocked_client_asks_nobody_and_waits_for_nothing(httpx_mock: pytest_httpx.HTTPXMock) -> None:
    httpx_mock.add_response(is_reusable=True)
    ours = Client.for_source(settings(), rate=0.01)
    async with ours.http as client:
        for _ in range(5):
            await client.get("a")
    assert ours.traffic.requests == 0
