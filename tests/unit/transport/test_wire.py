"""What comes over the wire in odd ways, and what goes wrong on it: read as it is meant, or named as what it is."""

import gzip
from datetime import UTC, datetime, timedelta

import pytest
from loopback import asking, reply

from trawl.model.classify import wait_asked
from trawl.model.errors import BrokenBody, ConfigurationError, Retriable
from trawl.transport.session import proxy_for

NOW = datetime(2026, 8, 3, 12, tzinfo=UTC)


# -- headers -----------------------------------------------------------------------------------------------


async def test_all_lines_of_a_link_header_are_one_list() -> None:
    lines = b'link: </a>; rel="first"\r\nLink: </b>; rel="next"\r\n'
    async with asking(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n" + lines + b"\r\n{}") as (client, _):
        response = await client.get("x")
        assert response.headers["link"] == '</a>; rel="first", </b>; rel="next"'


@pytest.mark.parametrize(
    ("sent", "kept"), [(b'"caf\xe9"', '"café"'), ('"é"'.encode(), '"é"'), (b'"\x9b\xff"', '"\ufffdÿ"')]
)
async def test_a_header_beyond_ascii_is_text_that_can_be_kept(sent: bytes, kept: str) -> None:
    async with asking(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\netag: " + sent + b"\r\n\r\n{}") as (client, _):
        etag = (await client.get("x")).headers["etag"]
    assert etag == kept
    etag.encode()


async def test_a_header_of_sixty_thousand_bytes_is_read_and_a_longer_one_is_named() -> None:
    async with asking(lambda asked: reply(x_long="a" * 60_000)) as (client, _):
        assert len((await client.get("x")).headers["x-long"]) == 60_000
    async with asking(lambda asked: reply(x_long="a" * 70_000)) as (client, _):
        with pytest.raises(Retriable, match="a header of the answer is longer than 65536 bytes"):
            await client.get("x")


# -- bodies ------------------------------------------------------------------------------------------------


async def test_x_gzip_is_gzip() -> None:
    packed = gzip.compress(b'{"a": 1}')
    async with asking(reply(body=packed, content_encoding="x-gzip")) as (client, _):
        assert (await client.get("x")).body == b'{"a": 1}'
    async with asking(reply(body=packed[:-4], content_encoding="x-gzip")) as (client, _):
        with pytest.raises(Retriable, match="cut off"):
            await client.get("x")


async def test_an_encoding_that_nobody_asked_for_is_named() -> None:
    async with asking(reply(content_encoding="compress")) as (client, _):
        with pytest.raises(BrokenBody, match="encoded as 'compress'"):
            await client.get("x")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (
            b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\n{{}}",
            "the body cannot be read to its end",
        ),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxx\r\n", "the answer is no HTTP .* chunk size"),
        (b"nonsense\r\n\r\n", "the answer is no HTTP"),
        (b"", "the connection was closed"),
    ],
)
async def test_what_went_wrong_is_named_as_what_it_is(answer: bytes, said: str) -> None:
    async with asking(lambda asked: reply() if asked.number == 0 else answer) as (client, _):
        await client.get("x")
        with pytest.raises(Retriable, match=said):
            await client.get("x")


# -- rate limits -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7", "x-ratelimit-reset": "60"}, 7),
        ({"x-ratelimit-reset": "60"}, 60),
        ({"x-ratelimit-reset": str(int(NOW.timestamp()) + 45)}, 45),
        ({"x-ratelimit-reset": str((int(NOW.timestamp()) + 45) * 1000)}, 45),
        ({"x-rate-limit-reset": "5"}, 5),
        ({"ratelimit-reset": "30"}, 30),
        ({"ratelimit": "limit=100, remaining=0, reset=20"}, 20),
        ({"ratelimit": '"default";r=0;t=25'}, 25),
        ({"ratelimit": '"burst";r=0;t=5, "day";r=0;t=50', "x-ratelimit-reset": "9"}, 50),
        ({"x-ratelimit-reset-after": "1.5"}, 1),
        ({"x-ratelimit-reset": str(int(NOW.timestamp()) - 45)}, None),
        ({"x-ratelimit-reset": "soon"}, None),
        ({"x-ratelimit-reset": "9" * 30}, 600),
        ({}, None),
    ],
)
def test_a_429_without_retry_after_waits_for_the_end_of_the_window(
    headers: dict[str, str], seconds: int | None
) -> None:
    wait = None if seconds is None else timedelta(seconds=seconds)
    assert wait_asked(headers, 429, NOW, timedelta(minutes=10)) == wait


def test_a_rate_limits_window_says_nothing_beside_another_refusal() -> None:
    assert wait_asked({"x-ratelimit-reset": "60"}, 503, NOW, timedelta(minutes=10)) is None


# -- proxies -----------------------------------------------------------------------------------------------


def test_all_proxy_is_the_proxy_where_no_other_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "http://proxy:3128")
    assert str(proxy_for("https://api.example.com")) == "http://proxy:3128"
    monkeypatch.setenv("https_proxy", "http://other:3128")
    assert str(proxy_for("https://api.example.com")) == "http://other:3128"


def test_a_socks_proxy_is_refused_aloud(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("all_proxy", "socks5://proxy:1080")
    with pytest.raises(ConfigurationError, match="all_proxy"):
        proxy_for("https://api.example.com")
