"""The client's errors are httpx's and Trawl's in one: each side catches them by its own names."""

import pickle
from typing import Any

import httpx
import pytest
from loopback import Asked, asking, client_of, reply, serving

from trawl.model.errors import BodyTooLarge, BrokenBody, RedirectRefused, Retriable, TrawlError, Unreachable
from trawl.transport import httperrors

ONCE = {"requests": {"attempts": 1}}


def first_well(then: Any) -> Any:
    return lambda asked: reply() if asked.number == 0 else then


async def raised(answer: Any, **more: Any) -> TrawlError:
    """What the second request raises; the first is answered."""
    async with asking(first_well(answer), **ONCE | more) as (ours, _):
        await ours.http.get("a")
        with pytest.raises(httpx.RequestError) as caught:
            await ours.http.get("b")
        assert str(caught.value.request.url) == f"{ours.base_url}/b"
        assert isinstance(caught.value, TrawlError)
        assert ours.http._transport._pool._requests == []
        return caught.value


@pytest.mark.parametrize(
    ("answer", "theirs", "own"),
    [
        (b"", httpx.RemoteProtocolError, Retriable),
        (b"SMTP ready\r\n\r\n", httpx.RemoteProtocolError, Retriable),
        (reply(body=b"{}", content_length="9"), httpx.RemoteProtocolError, Retriable),
        (reply(302, location="http://127.0.0.2/b"), httpx.RemoteProtocolError, RedirectRefused),
        (reply(302), httpx.RemoteProtocolError, RedirectRefused),
        (reply(302, location="/v1/b"), httpx.TooManyRedirects, RedirectRefused),
        (reply(body=b"x" * 20_000), httpx.ReadError, BodyTooLarge),
        (reply(content_encoding="rot13"), httpx.DecodingError, BrokenBody),
    ],
)
async def test_what_broke_has_httpx_s_name_and_the_engine_s(answer: bytes, theirs: Any, own: Any) -> None:
    error = await raised(answer, requests={"attempts": 1, "max_bytes": 10_000})
    assert isinstance(error, theirs)
    assert isinstance(error, own)
    assert not isinstance(error, Unreachable)


async def test_a_host_that_never_answered_is_a_connect_error_and_ends_a_run() -> None:
    async with serving(reply()) as server:
        pass
    async with client_of(server.url, **ONCE) as ours:
        with pytest.raises(httpx.ConnectError, match="cannot reach") as caught:
            await ours.http.get("a")
        assert isinstance(caught.value, Unreachable)
        assert caught.value.remedy


async def test_an_address_of_another_host_is_refused_before_anything_is_sent() -> None:
    async with asking(reply()) as (ours, server):
        with pytest.raises(httpx.UnsupportedProtocol):
            await ours.http.get("https://elsewhere.example.com/")
        assert server.asked == []


@pytest.mark.parametrize(
    "kind",
    [kind for kind in vars(httperrors).values() if isinstance(kind, type) and kind.__module__ == httperrors.__name__],
)
def test_each_can_be_stored_and_read_again(kind: Any) -> None:
    error = kind("what", remedy="do")
    error.request = httpx.Request("GET", "http://h/a")
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), again.message, again.remedy, str(again.request.url)) == (kind, "what", "do", "http://h/a")


async def test_what_an_error_knows_of_its_answer_is_kept() -> None:
    error: Any = await raised(reply(302, b"gone", location="http://127.0.0.2/b"))
    assert (error.status, error.headers["location"], error.body) == (302, "http://127.0.0.2/b", b"gone")


@pytest.mark.parametrize("method", ["POST", "PATCH"])
@pytest.mark.parametrize(
    ("first", "times"),
    [
        (reply(500), 1),
        (reply(503), 1),
        (reply(429), 1),
        (reply(503, retry_after="0"), 1),  # no time at all is no promise
        (b"", 1),
    ],
)
async def test_what_may_have_been_done_is_not_asked_for_twice(method: str, first: bytes, times: int) -> None:
    def answer(asked: Asked) -> bytes:
        return reply() if asked.number == 0 or asked.number > 1 else first

    async with asking(answer) as (ours, server):

        async def at_once(_: Any) -> None:
            """No cool-down."""

        ours.cool_down.start = at_once  # type: ignore[method-assign]
        await ours.http.get("a")
        if first:
            assert (await ours.http.request(method, "a", json={"q": 1})).status_code in {429, 500, 503}
        else:
            with pytest.raises(httpx.RemoteProtocolError):
                await ours.http.request(method, "a", json={"q": 1})
        assert len(server.asked) == 1 + times


@pytest.mark.parametrize(("method", "status"), [("POST", 429), ("POST", 503), ("PUT", 500), ("DELETE", 502)])
async def test_what_was_not_done_or_may_be_done_twice_is_asked_for_again(method: str, status: int) -> None:
    def answer(asked: Asked) -> bytes:
        return reply(status, retry_after="7") if asked.number == 0 else reply()

    async with asking(answer) as (ours, server):

        async def at_once(_: Any) -> None:
            """No cool-down."""

        ours.cool_down.start = at_once  # type: ignore[method-assign]
        assert (await ours.http.request(method, "a", content=b"q=1")).status_code == 200
        assert [(asked.method, asked.body) for asked in server.asked] == [(method, b"q=1")] * 2
        assert "content-type" not in server.asked[0].headers


@pytest.mark.parametrize(
    ("status", "method", "then"),
    [(303, "POST", "GET"), (302, "POST", "GET"), (301, "POST", "GET"), (307, "POST", "POST"), (308, "PUT", "PUT"), (303, "HEAD", "HEAD")],
)  # fmt: skip
async def test_a_redirect_of_a_post_leads_to_its_result(status: int, method: str, then: str) -> None:
    def answer(asked: Asked) -> bytes:
        return reply(status, b"", location="/v1/results/1") if asked.path == "/v1/search" else reply(body=b"")

    async with asking(answer) as (ours, server):
        await ours.http.request(method, "search", json={"q": 1})
        last = server.asked[-1]
        assert (last.path, last.method) == ("/v1/results/1", then)
        assert (last.body == b"") == (then == "GET")
        assert ("content-type" in last.headers) == (then != "GET")
