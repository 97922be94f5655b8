"""What the pages show of httpx runs as it stands there."""

import asyncio
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_httpx
import respx
from examples.python_source import Museum

from tests.conftest import World
from trawl.replica import running
from trawl.sources import Item, parse_source
from trawl.transport import http_client

ROOT = Path(__file__).parents[2]


def shown(file: str, word: str) -> str:
    """The block of Python in which this word stands."""
    text = (ROOT / file).read_text(encoding="utf-8")
    return next(block for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if word in block)


def test_the_documented_program_runs(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TRAWL_SOURCE_POKEAPI_BASE_URL", world.url)
    exec(shown("docs/python.md", "async def names"), {})
    with httpx.Client(base_url=world.url) as client:
        expected = [client.get(f"pokemon/{number}/").json()["name"] for number in (1, 2, 3)]
    assert capsys.readouterr().out == f"{expected}\n"


async def test_the_documented_tests_of_a_source_pass(httpx_mock: pytest_httpx.HTTPXMock) -> None:
    names: dict[str, Any] = {"respx": respx, "Museum": Museum, "Item": Item, "http_client": http_client}
    exec(shown("docs/sources.md", "async def test_a_room_is_a_batch"), names)
    await names["test_a_room_is_a_batch"](httpx_mock)


async def test_the_documented_test_with_respx_passes() -> None:
    names: dict[str, Any] = {"respx": respx, "Museum": Museum, "Item": Item, "http_client": http_client}
    exec(shown("docs/sources.md", "async def test_a_room_is_a_batch"), names)
    await names["test_a_card_becomes_a_document"]()


def test_the_documented_token_is_renewed_where_it_is_refused() -> None:
    asked: list[tuple[str, str, str]] = []

    async def api(scope: Any, _receive: Any, send: Any) -> None:
        token = dict(scope["headers"]).get(b"authorization", b"").decode()
        asked.append((scope["method"], scope["path"], token))
        known = scope["path"] == "/oauth/token" or token == "Bearer new"
        await send({"type": "http.response.start", "status": 200 if known else 401, "headers": []})
        await send({"type": "http.response.body", "body": b'{"access_token": "new"}'})

    block = shown("docs/sources.md", "class Renewed").partition("response = await")[0]
    names: dict[str, Any] = {"httpx": httpx}
    exec(block, names)

    async def twice(url: str) -> list[int]:
        auth = names["Renewed"]()
        source = parse_source("name: museum\nbase_url: https://h\nendpoints: {works: {}}", "test")
        async with http_client(source, base_url=url, rate="unlimited") as client:
            return [(await client.get("works/1", auth=auth)).status_code for _ in range(2)]

    with running(api) as url:
        assert asyncio.run(twice(url)) == [200, 200]
    assert [path.removeprefix("/api/v2") for _, path, _ in asked] == [
        "/works/1",
        "/oauth/token",
        "/works/1",
        "/works/1",
    ]
