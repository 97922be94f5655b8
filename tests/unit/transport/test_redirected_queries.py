"""A redirect leads on only with the query that was asked for: another answer would be one to another question."""

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from loopback import Asked, asking, reply

from trawl.model.errors import RedirectRefused

KEY = {"credentials": {"kind": "query", "env": "API_TOKEN", "name": "key"}}


def leading(*places: str) -> Callable[[Asked], bytes]:
    """One redirect after the other, then a document."""

    def answer(asked: Asked) -> bytes:
        if asked.number < len(places):
            return reply(301, location=places[asked.number].format(host=asked.headers["host"]))
        return reply(body=b"here")

    return answer


@pytest.mark.parametrize("location", ["items/", "/v1/items/", "http://{host}/v1/items/", "items/?", "items/#all"])
@pytest.mark.parametrize(
    ("url", "params", "query"),
    [
        ("items?limit=100", None, "limit=100"),
        ("items", {"limit": 100, "offset": 0}, "limit=100&offset=0"),
        ("items?q=a%20b%2Fc", {"limit": 100}, "q=a%20b%2Fc&limit=100"),
        ("items?tag=a&tag=b&bare", None, "tag=a&tag=b&bare"),
    ],
)
async def test_a_query_that_a_slash_at_the_end_costs_is_sent_again(
    url: str, params: Any, query: str, location: str
) -> None:
    async with asking(leading(location)) as (client, server):
        assert (await client.get(url, params=params)).body == b"here"
        assert server.targets == [f"/v1/items?{query}", f"/v1/items/?{query}"]


async def test_the_slash_may_go_as_well_as_come() -> None:
    async with asking(leading("/v1/items")) as (client, server):
        await client.get("items/", params={"limit": 100})
        assert server.targets == ["/v1/items/?limit=100", "/v1/items?limit=100"]


@pytest.mark.parametrize(
    "location",
    ["items/?q=a+b&limit=100", "items/?limit=100&q=a%20b", "/v2/all?limit=1%300&q=a%20b&v=2", "?v=2&q=a b&limit=100"],
)
async def test_a_query_that_comes_along_may_be_spelt_and_ordered_otherwise_and_have_more(location: str) -> None:
    async with asking(leading(location)) as (client, server):
        assert (await client.get("items?q=a%20b", params={"limit": 100})).body == b"here"
        led = dict(parse_qsl(urlsplit(server.targets[1]).query))
        assert led | {"limit": "100", "q": "a b"} == led
        assert len(server.targets) == 2


@pytest.mark.parametrize(
    "location",
    [
        "items/?page=2",
        "items/?limit=50",
        "items/?limit=",
        "items/?limit=100&limit=50",
        "items/?Limit=100",
        "all",
        "/v1/",
        "/v1/items/all",
        "/v1/Items",
    ],
)
@pytest.mark.parametrize(("url", "params"), [("items?limit=100", None), ("items", {"limit": 100})])
async def test_a_redirect_that_asks_for_something_else_is_refused_with_both_addresses(
    url: str, params: Any, location: str
) -> None:
    async with asking(leading(location)) as (client, server):
        with pytest.raises(RedirectRefused, match="refused") as caught:
            await client.get(url, params=params)
        assert len(server.asked) == 1
        assert f"{server.url}/v1/items?limit=100 leads to {server.url}/v1/" in caught.value.message
        assert location.rpartition("/v1/")[2] in caught.value.message


async def test_the_query_outlives_one_redirect_after_the_other() -> None:
    places = ["items/", "/v2/items/?v=2&limit=100", "/v2/items", "/v2/items/"]
    async with asking(leading(*places)) as (client, server):
        assert (await client.get("items", params={"limit": 100})).body == b"here"
        assert server.targets[1:] == [
            "/v1/items/?limit=100",
            "/v2/items/?v=2&limit=100",
            "/v2/items?limit=100",
            "/v2/items/?limit=100",
        ]


async def test_a_slash_that_comes_and_goes_for_ever_ends() -> None:
    def answer(asked: Asked) -> bytes:
        return reply(301, location="/v1/items" if asked.path.endswith("/") else "/v1/items/")

    async with asking(answer) as (client, server):
        with pytest.raises(RedirectRefused, match="more than 5 redirects"):
            await client.get("items?limit=100")
        assert {urlsplit(target).query for target in server.targets} == {"limit=100"}


async def test_a_request_without_a_query_may_be_given_one_and_lose_it_again() -> None:
    async with asking(leading("items/?check=1", "/v1/other")) as (client, server):
        assert (await client.get("items")).body == b"here"
        assert server.targets == ["/v1/items", "/v1/items/?check=1", "/v1/other"]


# -- secrets in the query ----------------------------------------------------------------------------------


@pytest.mark.parametrize("location", ["items/", "items/?limit=100&{key}", "items/?{key}"])
async def test_a_secret_is_no_part_of_the_query_and_is_added_once(
    location: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_TOKEN", "s3cr3t/Tok+en==")
    place = location.replace("{key}", "key=s3cr3t/Tok%2Ben%3D%3D")
    async with asking(leading(place), **KEY) as (client, server):
        assert (await client.get("items", params={"limit": 100})).body == b"here"
        query = {"limit": "100", "key": "s3cr3t/Tok+en=="}
        assert [dict(parse_qsl(urlsplit(target).query)) for target in server.targets] == [query, query]
        assert all(target.count("key=") == 1 for target in server.targets)


async def test_a_secret_alone_does_not_hold_a_redirect_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_TOKEN", "s3cret")
    async with asking(leading("/v1/other"), **KEY) as (client, server):
        assert (await client.get("items")).body == b"here"
        assert server.targets == ["/v1/items?key=s3cret", "/v1/other?key=s3cret"]


@pytest.mark.parametrize("location", ["/v1/other?key=s3cret", "/v1/other?from=s3cret", "http://evil.invalid/s3cret"])
async def test_no_refusal_shows_the_secret(location: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_TOKEN", "s3cret")
    async with asking(leading(location), **KEY) as (client, _):
        with pytest.raises(RedirectRefused) as caught:
            await client.get("items?limit=100")
        assert "s3cret" not in f"{caught.value} {caught.value.args}"


# -- http and https ----------------------------------------------------------------------------------------

OWN = "https://api.example.com/v2"


async def test_a_redirect_to_the_sources_own_address_in_http_stays_at_the_base() -> None:
    async with asking(leading("http://api.example.com/v2/new"), own=OWN) as (client, server):
        assert (await client.get("http://api.example.com/v2/old")).body == b"here"
        assert server.targets == ["/v1/old", "/v1/new"]
