"""The one door to the network, against real servers on the loopback address."""

import asyncio
import gzip
import socket
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import unquote

import pytest
import stamina
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from loopback import Asked, asking, client_of, now, reply, serving

from trawl.model.classify import Action
from trawl.model.errors import (
    BodyTooLarge,
    BudgetSpent,
    ConfigurationError,
    CredentialsRefused,
    RedirectRefused,
    Retriable,
    Unreachable,
)
from trawl.model.keys import fill
from trawl.transport.session import proxy_for

pytestmark = pytest.mark.xdist_group("waits")

# -- answers -----------------------------------------------------------------------------------------------


async def test_a_document_comes_as_it_was_sent() -> None:
    async with asking(reply(body=b'{"a": 1}', etag='W/"x"')) as (client, server):
        response = await client.get("things/1/", params={"b": "c d", "e": 0})
        assert (response.status, response.action, response.body) == (200, Action.OK, b'{"a": 1}')
        assert response.headers["ETag"] == 'W/"x"'
        assert server.targets == ["/v1/things/1/?b=c+d&e=0"]
        assert (client.traffic.requests, client.traffic.bytes, client.traffic.retries) == (1, 8, 0)


async def test_parameters_are_added_to_those_of_the_path() -> None:
    async with asking(reply()) as (client, server):
        await client.get("things?active=1", params={"page": 2})
        await client.get("things?active=1", params={})
        assert server.targets == ["/v1/things?active=1&page=2", "/v1/things?active=1"]


async def test_who_asks_says_so_and_the_source_has_the_last_word() -> None:
    async with asking(reply()) as (client, server):
        await client.get("x")
        assert server.asked[0].headers["user-agent"].startswith("trawl/")
        assert server.asked[0].headers["accept"] == "application/json"
    more = {"user_agent": "mine", "headers": {"accept": "text/x", "X-A": "b"}}
    async with asking(reply(), **more) as (client, server):
        await client.get("x")
        sent = server.asked[0].headers
        assert (sent["user-agent"], sent["accept"], sent["x-a"]) == ("mine", "text/x", "b")


async def test_validators_are_sent_and_a_304_is_counted() -> None:
    async with asking(lambda asked: reply(304 if "if-none-match" in asked.headers else 200, b"")) as (
        client,
        server,
    ):
        response = await client.get("x", etag='W/"a"', last_modified="Mon, 03 Aug 2026 12:00:00 GMT")
        assert (response.action, client.traffic.not_modified) == (Action.NOT_MODIFIED, 1)
        assert server.asked[0].headers["if-none-match"] == 'W/"a"'
        assert server.asked[0].headers["if-modified-since"] == "Mon, 03 Aug 2026 12:00:00 GMT"


async def test_a_validator_that_cannot_be_sent_is_left_out() -> None:
    async with asking(reply()) as (client, server):
        assert (await client.get("x", etag='"é"', last_modified="é")).status == 200
        assert not {"if-none-match", "if-modified-since"} & set(server.asked[0].headers)


async def test_cookies_are_not_kept() -> None:
    async with asking(reply(set_cookie="id=1")) as (client, server):
        # An address of digits is one that aiohttp's own jar keeps no cookies for.
        client.base_url = server.url.replace("127.0.0.1", "localhost")
        for _ in range(2):
            assert (await client.get("x")).headers["set-cookie"] == "id=1"
        assert "cookie" not in server.asked[1].headers


@pytest.mark.parametrize(
    ("status", "action"),
    [(404, Action.GONE), (403, Action.LATER), (204, Action.QUARANTINE), (501, Action.LATER)],
)
async def test_an_answer_that_is_no_failure_is_returned_at_once(status: int, action: Action) -> None:
    async with asking(reply(status, b"")) as (client, server):
        assert (await client.get("x")).action is action
        assert len(server.asked) == 1


async def test_a_gzipped_body_is_unpacked() -> None:
    body = b'{"a": "' + b"x" * 5_000 + b'"}'
    async with asking(reply(body=gzip.compress(body), content_encoding="gzip")) as (client, _):
        assert (await client.get("x")).body == body
        assert client.traffic.bytes == len(body)


# -- retries -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 520])
async def test_a_failure_that_passes_is_retried(status: int) -> None:
    more = {"requests": {"max_retry_after": "0.01s"}}
    async with asking(lambda a: reply(status if a.number < 2 else 200, retry_after="5"), **more) as (
        client,
        server,
    ):
        assert (await client.get("x")).status == 200
        assert (len(server.asked), client.traffic.requests, client.traffic.retries) == (3, 3, 2)


async def test_a_retry_is_counted_and_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    async with asking(lambda a: reply(503 if a.number == 0 else 200)) as (client, _):
        await client.get("x")
        assert client.traffic.retries == 1
    assert [record for record in caplog.records if record.name == "stamina"] == []


async def test_retries_of_somebody_elses_stamina_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    async for attempt in stamina.retry_context(on=OSError, attempts=2, wait_initial=0):
        with attempt:
            if attempt.num == 1:
                raise OSError
    assert [record.name for record in caplog.records] == ["stamina"]


async def test_retries_end_and_say_what_happened() -> None:
    async with asking(reply(503)) as (client, server):
        with pytest.raises(Retriable, match="/v1/x: 503 Service Unavailable"):
            await client.get("x")
        assert len(server.asked) == 3


async def test_the_sources_own_number_of_attempts_holds() -> None:
    async with asking(reply(503), requests={"attempts": 2}) as (client, server):
        with pytest.raises(Retriable):
            await client.get("x")
        assert len(server.asked) == 2


BROKEN = {
    "cut": reply(body=b'{"a":').replace(b"content-length: 5", b"content-length: 500"),
    "cut in a chunk": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n10\r\nabc",
    "no gzip": reply(body=b"no gzip", content_encoding="gzip"),
    "nothing": b"",
    "no http": b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
    "cut in the head": b"HTTP/1.1 200 OK\r\ncontent-le",
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
async def test_a_broken_answer_is_retried(broken: bytes) -> None:
    def answer(asked: Asked) -> bytes:
        return broken if asked.number == 1 else reply(body=b'{"a": 1}')

    async with asking(answer) as (client, server):
        assert [(await client.get("x")).body for _ in range(2)] == [b'{"a": 1}'] * 2
        assert (len(server.asked), client.traffic.retries) == (3, 1)


CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
SIZED = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n"


@asynccontextmanager
async def saying(*parts: bytes, pause: float = 0.01, **limits: Any):
    """A client of a server that answers in parts, and then says nothing more and keeps the connection."""

    ended = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):  # a client that leaves before it has asked
                await reader.readuntil(b"\r\n\r\n")
                for part in parts:
                    writer.write(part)
                    await writer.drain()
                    await asyncio.sleep(pause)
                await reader.read()
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()
        finally:
            ended.set()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as listening:
        url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        async with client_of(url, requests={"attempts": 1} | limits) as client:
            yield client
        await ended.wait()


STALLED = {
    "in the head": [SIZED[:20]],
    "before the body": [SIZED],
    "in the body": [SIZED, b"{"],
    "in a body without an end": [b"HTTP/1.1 200 OK\r\n\r\n", b"{"],
    "before the first chunk": [CHUNKED],
    "in the size of a chunk": [CHUNKED, b"5"],
    "in a chunk": [CHUNKED, b"5\r\nab"],
    "between two chunks": [CHUNKED, b"5\r\nabcde\r\n"],
    "after the last chunk": [CHUNKED, b"5\r\nabcde\r\n0\r\n"],
    "in a packed body": [SIZED.replace(b"\r\n\r\n", b"\r\ncontent-encoding: gzip\r\n\r\n"), gzip.compress(b"{}")[:12]],
}


async def test_an_answer_that_stalls_is_given_up_after_the_timeout_of_a_read() -> None:
    async def ask(name: str) -> tuple[str, str]:
        async with saying(*STALLED[name], timeout="1s") as client:
            with pytest.raises((Retriable, Unreachable)) as caught:
                await client.get("x")
            return name, str(caught.value)

    said = dict(await asyncio.gather(*map(ask, STALLED)))
    assert {name: text for name, text in said.items() if "Timeout on reading" not in text} == {}


TORN = {
    "no size": [b"zz\r\n"],
    "no size after a good chunk": [b"5\r\nabcde\r\n", b"zz\r\n"],
    "more than its size": [b"5\r\nabcde", b"fgh\r\n0\r\n\r\n"],
}


@pytest.mark.parametrize("parts", TORN.values(), ids=TORN)
async def test_a_body_whose_chunks_turn_bad_after_the_head_is_given_up_at_once(parts: list[bytes]) -> None:
    async with asyncio.timeout(30), saying(CHUNKED, *parts, timeout="10m") as client:
        with pytest.raises(Retriable, match="the body cannot be read to its end"):
            await client.get("x")


DRIPPING = [
    [SIZED[:17], b"x: ", *[b"y"] * 500],
    [SIZED, *[b"x"] * 99],
    [CHUNKED, *[b"1\r\nx\r\n"] * 500],
    [b"HTTP/1.1 103 Early Hints\r\n\r\n"] * 500,
]


async def test_an_answer_that_goes_on_and_on_is_given_up_after_ten_times_the_timeout() -> None:
    async def ask(parts: list[bytes]) -> None:
        async with saying(*parts, pause=0.03, timeout="0.2s") as client:
            with pytest.raises((Retriable, Unreachable), match="no complete answer in 2 s"):
                await client.get("x")

    await asyncio.gather(*map(ask, DRIPPING))


async def test_retry_after_is_waited_for_by_everybody() -> None:
    def answer(asked: Asked) -> bytes:
        return reply(429, retry_after="3600") if asked.number == 0 else reply()

    async with asking(answer, requests={"max_retry_after": "0.3s"}) as (client, server):
        first = asyncio.create_task(client.get("a"))
        async with asyncio.timeout(5):
            while client.cool_down.until is None:
                await asyncio.sleep(0.005)
        await asyncio.gather(first, client.get("b"), client.get("c"))
        assert min(server.at[1:]) - server.at[0] >= 0.28


@pytest.mark.parametrize("value", ["-5", "0", "soon", "Thu, 01 Jan 1970 00:00:00 GMT"])
async def test_a_retry_after_that_is_no_wait_does_not_stop_the_others(value: str) -> None:
    async with asking(lambda a: reply(503 if a.number == 0 else 200, retry_after=value)) as (client, _):
        assert (await client.get("x")).status == 200
        assert client.cool_down.until is None


async def test_a_retry_after_as_a_date_begins_a_cool_down() -> None:
    date = format_datetime(now() + timedelta(hours=1), usegmt=True)
    async with asking(reply(503, retry_after=date), requests={"attempts": 1}) as (client, _):
        with pytest.raises(Retriable) as caught:
            await client.get("x")
        assert caught.value.wait == timedelta(minutes=10)
        assert client.cool_down.until is not None
        assert timedelta(minutes=9) < client.cool_down.until - now() <= timedelta(minutes=10)


async def test_a_retry_after_beside_a_refusal_begins_a_cool_down_too() -> None:
    async with asking(reply(403, retry_after="60")) as (client, _):
        assert (await client.get("x")).action is Action.LATER
        assert client.cool_down.until is not None


async def test_a_429_alone_begins_a_cool_down_of_a_second() -> None:
    async with asking(reply(429), requests={"attempts": 1}) as (client, _):
        with pytest.raises(Retriable):
            await client.get("x")
        assert client.cool_down.until is not None
        assert client.cool_down.until > now()


async def test_a_cool_down_begins_with_the_head_of_its_answer_though_the_body_never_comes() -> None:
    refusal = reply(429, b"x" * 100, retry_after="60")[:-100]
    async with asking(refusal, requests={"attempts": 1, "timeout": "5s"}) as (client, server):
        server.keeps = True
        task = asyncio.create_task(client.get("x"))
        while client.cool_down.until is None:
            assert not task.done()
            await asyncio.sleep(0.005)
        task.cancel()
        assert client.cool_down.until > now() + timedelta(seconds=50)


async def test_no_request_starts_inside_a_cool_down_even_when_it_has_its_turn_already() -> None:
    async with asking(reply(), rate=10) as (client, server):
        waiting = [asyncio.create_task(client.get("x")) for _ in range(3)]
        while not server.asked:
            await asyncio.sleep(0.005)
        client.cool_down.learn(now() + timedelta(seconds=0.3))
        begun = asyncio.get_running_loop().time()
        await asyncio.gather(*waiting)
        assert len(server.at) == 3
        assert min(server.at[1:]) - begun >= 0.29


async def test_requests_and_retries_keep_the_pace() -> None:
    async with asking(lambda a: (reply(), reply(503), b"")[a.number % 3], rate=50) as (client, server):
        await client.get("x")
        await asyncio.gather(*(client.get("x") for _ in range(5)), return_exceptions=True)
        assert client.traffic.requests == len(server.at) > 8
        assert client.traffic.retries > 3
        assert server.at[-1] - server.at[1] > 0.02 * (len(server.at) - 3)


async def test_no_more_requests_are_in_flight_than_connections() -> None:
    flying = most = 0

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal flying, most
        await reader.readuntil(b"\r\n\r\n")
        flying += 1
        most = max(most, flying)
        await asyncio.sleep(0.01)
        flying -= 1
        writer.write(reply())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(slow, "127.0.0.1", 0)
    async with client_of(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}") as client:
        await asyncio.gather(*(client.get("x") for _ in range(20)))
    server.close()
    await server.wait_closed()
    assert most == 4


# -- what ends a run ---------------------------------------------------------------------------------------


async def test_a_host_that_never_answered_is_unreachable() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but nobody listens
        async with client_of(f"http://127.0.0.1:{taken.getsockname()[1]}") as client:
            with pytest.raises(Unreachable, match="cannot reach http://127") as caught:
                await client.get("x")
            assert caught.value.remedy


async def test_a_host_without_an_address_is_unreachable() -> None:
    async with client_of("http://nowhere.invalid") as client:
        with pytest.raises(Unreachable, match=r"nowhere\.invalid"):
            await client.get("x")


@pytest.mark.parametrize("first", [reply(), reply(404), reply(503), reply(302), reply(body=b"x" * 2_000)])
async def test_a_host_that_answered_once_is_only_retriable(first: bytes) -> None:
    async with asking(lambda a: first if a.number == 0 else b"", requests={"attempts": 1, "max_bytes": 1024}) as (
        client,
        _,
    ):
        for _ in range(2):
            try:
                await client.get("x")
            except (Retriable, BodyTooLarge, RedirectRefused) as error:
                caught = error
        assert isinstance(caught, Retriable)


async def test_refused_credentials_end_the_run_at_once() -> None:
    async with asking(reply(401)) as (client, server):
        with pytest.raises(CredentialsRefused, match="401 Unauthorized") as caught:
            await client.get("x")
        assert caught.value.remedy
        assert len(server.asked) == 1


async def test_the_budget_is_never_overdrawn() -> None:
    async with asking(reply(503), budget=2) as (client, server):
        with pytest.raises(BudgetSpent, match="budget of 2 requests"):
            await client.get("x")
        with pytest.raises(BudgetSpent):
            await client.get("y")
        assert len(server.asked) == client.traffic.requests == 2


# -- limits ------------------------------------------------------------------------------------------------

LIMIT = {"requests": {"max_bytes": 2048}}


@pytest.mark.parametrize("size", [2048, 2049])
@pytest.mark.parametrize("declared", [True, False])
async def test_a_body_may_be_as_large_as_the_limit(size: int, declared: bool) -> None:
    answer = reply(body=b"x" * size)
    if not declared:
        answer = answer.replace(b"content-length: %d\r\n" % size, b"")
    async with asking(answer, **LIMIT) as (client, server):
        if size <= 2048:
            assert len((await client.get("x")).body) == size
        else:
            with pytest.raises(BodyTooLarge, match="larger than 2048 bytes"):
                await client.get("x")
        assert len(server.asked) == 1


@pytest.mark.parametrize(("head", "sent"), [(b"content-length: 1000000000\r\n", 10), (b"", 3_000)])
async def test_a_body_is_read_no_further_than_the_limit(head: bytes, sent: int) -> None:
    answer = b"HTTP/1.1 200 OK\r\n" + head + b"\r\n" + b"x" * sent
    async with asking(answer, **LIMIT) as (client, server):
        server.keeps = True  # more of it never comes
        with pytest.raises(BodyTooLarge):
            await asyncio.wait_for(client.get("x"), 5)


async def test_a_gzip_bomb_is_not_unpacked_further_than_the_limit() -> None:
    bomb = gzip.compress(b"0" * 50_000_000)
    assert len(bomb) < 64_000
    async with asking(reply(body=bomb, content_encoding="gzip"), requests={"max_bytes": 100_000}) as (
        client,
        server,
    ):
        with pytest.raises(BodyTooLarge):
            await client.get("x")
        assert len(server.asked) == 1


# -- redirects ---------------------------------------------------------------------------------------------

BEARER = {"credentials": {"env": "API_TOKEN"}}


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("location", ["/v1/new/?a=1", "new/?a=1", "../new/?a=1", "{url}/v1/new/?a=1"])
async def test_a_redirect_on_the_same_host_is_followed(
    status: int, location: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_TOKEN", "s3cret")

    def answer(asked: Asked) -> bytes:
        place = location.format(url=f"http://{asked.headers['host']}")
        return reply(status, location=place) if "old" in asked.target else reply(body=b"here")

    start = "old/x" if location.startswith("..") else "old"
    async with asking(answer, **BEARER) as (client, server):
        assert (await client.get(start, etag='"a"')).body == b"here"
        assert server.targets == [f"/v1/{start}", "/v1/new/?a=1"]
        assert server.asked[1].headers["authorization"] == "Bearer s3cret"
        assert client.traffic.requests == 2


async def test_a_redirect_elsewhere_is_refused_and_nobody_there_is_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("API_TOKEN", "s3cret")
    async with (
        serving(reply()) as other,
        asking(lambda _: reply(302, location=f"{other.url}/v1/x"), **BEARER) as (client, server),
    ):
        with pytest.raises(RedirectRefused, match="refused"):
            await client.get("x")
        assert (len(server.asked), len(other.asked)) == (1, 0)


@pytest.mark.parametrize(
    "location",
    [
        "https://{host}/v1/x",
        "//evil.invalid/v1/x",
        "http://[",
        "http://{host}:99999/",
        "ftp://{host}/",
    ]
    + ["http://{host}.evil.invalid/", "http://{host}@evil.invalid/", "", None],
)
async def test_a_redirect_to_another_origin_or_to_nowhere_is_refused(location: str | None) -> None:
    def answer(asked: Asked) -> bytes:
        return reply(302) if location is None else reply(302, location=location.format(host=asked.headers["host"]))

    async with asking(answer) as (client, server):
        with pytest.raises(RedirectRefused, match="refused"):
            await client.get("x")
        assert len(server.asked) == 1


async def test_a_redirect_that_names_a_user_sends_none() -> None:
    def answer(asked: Asked) -> bytes:
        return reply(302, location=f"http://me:pw@{asked.headers['host']}/y") if asked.path == "/v1/x" else reply()

    async with asking(answer) as (client, server):
        assert (await client.get("x")).status == 200
        assert (server.asked[1].path, server.asked[1].headers.get("authorization")) == ("/y", None)


async def test_redirects_in_a_circle_end() -> None:
    async with asking(reply(302, location="/v1/x")) as (client, server):
        with pytest.raises(RedirectRefused, match="more than 5 redirects"):
            await client.get("x")
        assert len(server.asked) == 6


async def test_redirects_are_paid_from_the_budget() -> None:
    async with asking(reply(302, location="/v1/x"), budget=3) as (client, server):
        with pytest.raises(BudgetSpent):
            await client.get("x")
        assert len(server.asked) == 3


# -- secrets -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["bearer", "basic", "header", "query"])
@pytest.mark.parametrize(
    "answer",
    [
        reply(401),
        reply(503),
        b"no http\r\n\r\n",
        b"",
        reply(302, location="http://evil.invalid/"),
        reply(302),
    ],
)
async def test_no_error_holds_the_secret(kind: str, answer: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_TOKEN", "s3cret&value")
    credentials = {"kind": kind, "env": "API_TOKEN", "name": "X-Key"}
    async with asking(answer, credentials=credentials) as (client, server):
        with pytest.raises((CredentialsRefused, Retriable, Unreachable, RedirectRefused)) as caught:
            await client.get("x")
        sent = f"{server.asked[0].target} {server.asked[0].headers}"
        assert any(word in sent for word in ("s3cret", "czNjcmV0"))
        assert not any(word in f"{caught.value} {caught.value.args}" for word in ("s3cret", "czNjcmV0"))


@pytest.mark.parametrize(
    "last", [reply(401), reply(500), reply(302, location="http://evil.invalid/?a=1&{key}"), reply(302)]
)
@pytest.mark.parametrize("place", ["/v1/x/?{key}", "/v1/x/?a=b&{key}&c=d"])
async def test_a_secret_that_a_redirect_repeats_stands_in_no_error(
    last: bytes, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = "s3cr3t/Tok+en=="
    monkeypatch.setenv("API_TOKEN", secret)
    key = "key=s3cr3t/Tok%2Ben%3D%3D"

    def answer(asked: Asked) -> bytes:
        redirect = reply(302, location=place.format(key=key))
        return redirect if asked.number == 0 else last.replace(b"{key}", key.encode())

    credentials = {"kind": "query", "env": "API_TOKEN", "name": "key"}
    async with asking(answer, credentials=credentials, requests={"attempts": 1}) as (client, server):
        with pytest.raises((CredentialsRefused, Retriable, RedirectRefused)) as caught:
            await client.get(f"x?{key}")
        assert all(asked.target.count("key=") == 1 for asked in server.asked)
        assert len(server.asked) == 2
    assert "s3cr3t" not in f"{caught.value} {caught.value.args}"


async def test_headers_that_repeat_the_secret_do_not_hold_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_TOKEN", "s3cret/value")
    credentials = {"kind": "query", "env": "API_TOKEN", "name": "key"}
    headers = {
        "x_echo": "Bearer s3cret%2fvalue",
        "link": '<https://h/?key=s3cret/value&page=2>; rel="next"',
        "etag": '"e"',
    }
    async with asking(reply(**headers), credentials=credentials) as (client, _):
        response = await client.get("x")
        assert response.headers["x-echo"] == "Bearer ..."
        assert response.headers["link"] == '<https://h/?page=2>; rel="next"'
        assert response.headers["etag"] == '"e"'


async def test_a_netrc_is_nobodys_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    (tmp_path / ".netrc").write_text("default login me password s3cret\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    monkeypatch.setenv("HOME", str(tmp_path))
    async with asking(reply()) as (client, server):
        await client.get("x")
        assert "authorization" not in server.asked[0].headers


# -- addresses ---------------------------------------------------------------------------------------------

OWN, BASE = "https://api.example.com/v2", "http://127.0.0.1:8000/mirror"


@pytest.mark.parametrize(
    ("url", "there"),
    [
        ("things/1/", f"{BASE}/things/1/"),
        ("things?next=https://api.example.com/v2/x", f"{BASE}/things?next=https://api.example.com/v2/x"),
        ("projects:list", f"{BASE}/projects:list"),
        ("https://api.example.com/v2/things/1/", f"{BASE}/things/1/"),
        ("https://API.example.com:443/v2/things/1/?a=b", f"{BASE}/things/1/?a=b"),
        ("https://api.example.com/v2", BASE),
        ("https://api.example.com/v2?offset=20", f"{BASE}?offset=20"),
        ("/v2/things/1/", f"{BASE}/things/1/"),
        ("//api.example.com/v2/things/1/", f"{BASE}/things/1/"),
        ("http://api.example.com/v2/things/1/", f"{BASE}/things/1/"),
        ("http://api.example.com:443/v2/things/1/", f"{BASE}/things/1/"),
        ("https://api.example.com/v20/x", "http://127.0.0.1:8000/v20/x"),
        ("/media/x.json", "http://127.0.0.1:8000/media/x.json"),
        (f"{BASE}/things/1/", f"{BASE}/things/1/"),
        ("http://127.0.0.1:8000/other", "http://127.0.0.1:8000/other"),
    ],
)
def test_the_sources_own_addresses_are_moved_to_the_base(url: str, there: str) -> None:
    assert client_of(BASE, own=OWN).locate(url) == there


@pytest.mark.parametrize(
    ("base", "url", "there"),
    [
        ("https://h/v1", "http://h/v1/x?page=2", "https://h/v1/x?page=2"),
        ("https://h:8443/v1", "http://h:8443/v1/x", "https://h:8443/v1/x"),
        ("http://h/v1", "https://h/v1/x", None),
        ("https://h/v1", "http://h:8080/v1/x", None),
        ("https://h/v1", "http://user@h/v1/x", None),
    ],
)
def test_a_link_is_lifted_to_the_origins_scheme_and_never_lowered(base: str, url: str, there: str | None) -> None:
    if there is not None:
        assert client_of(base).locate(url) == there
        return
    with pytest.raises(RedirectRefused, match="refused"):
        client_of(base).locate(url)


@pytest.mark.parametrize("base", [OWN, BASE])
@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/v2/x",
        "https://api.example.com.evil/v2/x",
        "http://api.example.com:8080/v2/x",
        "//evil/v2/x",
    ]
    + [
        "https://api.example.com@evil/v2/x",
        "https://evil@example.com/v2",
        "http://127.0.0.1:9000/mirror/x",
        "ftp://x/y",
    ]
    + ["https://api.example.com:444/v2/x", "http://[", "https://api.example.com:x/", "file:///etc/passwd"],
)
def test_other_hosts_and_what_is_no_address_are_refused(base: str, url: str) -> None:
    with pytest.raises(RedirectRefused, match="refused"):
        client_of(base, own=OWN).locate(url)


@pytest.mark.parametrize("value", ["", ".", ".."])
def test_a_value_that_can_be_no_segment_is_refused(value: str) -> None:
    with pytest.raises(RedirectRefused, match="refused"):
        client_of(BASE).locate(fill("things/{key}/", key=value))


async def test_an_address_that_cannot_be_asked_is_refused_and_ends_nothing() -> None:
    async with asking(reply()) as (client, server):
        with pytest.raises(RedirectRefused, match="refused"):
            await client.get("x" * 100_000)
        assert (await client.get("x")).status == 200
        assert len(server.asked) == 1


@settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=8), min_size=1, max_size=12))
def test_every_key_reaches_the_server_as_it_is(keys: list[str]) -> None:
    keys = [key for key in keys if key not in {".", ".."}]

    async def ask() -> list[str]:
        async with asking(reply()) as (client, server):
            for key in keys:
                await client.get(fill("things/{key}/", key=key))
            return server.targets

    targets = [target.split("/") for target in asyncio.run(ask())]
    assert targets == [["", "v1", "things", target[3], ""] for target in targets]
    assert [unquote(target[3]) for target in targets] == keys


# -- proxies -----------------------------------------------------------------------------------------------


async def test_the_environments_proxy_is_asked_in_the_hosts_place(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(reply(body=b"proxied")) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url.removeprefix("http://"))
        async with client_of("http://api.invalid/v1") as client:
            assert (await client.get("x")).body == b"proxied"
        assert proxy.targets == ["http://api.invalid/v1/x"]
        monkeypatch.setenv("no_proxy", "api.invalid")
        assert proxy_for("http://api.invalid/v1") is None


@pytest.mark.parametrize("proxy", ["socks5://h:1", "ftp://me:s3cret@h", "http://", "http://h:x"])
def test_a_proxy_that_cannot_be_used_is_named_without_its_secret(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", proxy)
    with pytest.raises(ConfigurationError, match="not an http") as caught:
        proxy_for("https://api.example.com")
    assert caught.value.remedy
    assert "s3cret" not in str(caught.value)
    assert proxy_for("http://api.example.com") is None
