"""Sources in Python are tried and checked by their own code, as a crawl would run it."""

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from examples.python_source import Museum, museum

from trawl.cli.app import invoke
from trawl.sources import Batch, Item, Validators, register, registry


@pytest.fixture(autouse=True)
def url(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """The museum, known by its name and at an address of its own."""
    monkeypatch.setitem(registry._registered, "museum", Museum)
    monkeypatch.setenv("TRAWL_LAKE", str(tmp_path / "lake"))
    with museum() as (url, _):
        monkeypatch.setenv("TRAWL_SOURCE_MUSEUM_BASE_URL", url)
        yield url


def tried(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    code = invoke(["try", "museum", "works", *words, "--json"])
    found = json.loads(capsys.readouterr().out)
    assert code == (0 if found["ok"] else 1)
    return found


def test_a_list_is_tried_by_its_first_batch(capsys: pytest.CaptureFixture[str], url: str) -> None:
    found = tried(capsys)
    assert [request["url"] for request in found["requests"]] == [f"{url}/rooms/entrance"]
    assert found["listing"]["keys"] == [["1901.2", "The Ferry"]]
    assert not found["listing"]["complete"]


def test_items_without_a_key_are_noted_and_the_others_are_tried(capsys: pytest.CaptureFixture[str]) -> None:
    class Odd(Museum):
        async def discover_item_ids(
            self, endpoint: str, client: httpx.AsyncClient, known: Validators | None = None
        ) -> AsyncIterator[Batch]:
            async for batch in super().discover_item_ids(endpoint, client, known):
                yield Batch([{}, *batch.items], response=batch.response)

    register("museum", Odd)
    found = tried(capsys)
    assert found["listing"]["keys"] == [["1901.2", "The Ferry"]]
    assert "1 of 2 items have no key" in found["notes"][0]


@pytest.mark.parametrize(("wanted", "requests"), [("1901.2", 1), ("The Ferry", 3)])
def test_a_record_is_tried_by_key_or_label(capsys: pytest.CaptureFixture[str], wanted: str, requests: int) -> None:
    found = tried(capsys, wanted)
    assert len(found["requests"]) == requests
    assert (found["record"]["key"], found["record"]["label"], found["record"]["verdict"]) == (
        "1901.2",
        "The Ferry",
        "new",
    )


def test_a_fault_of_its_own_code_is_told_with_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    class Broken(Museum):
        async def discover_item_ids(
            self, endpoint: str, client: httpx.AsyncClient, known: Validators | None = None
        ) -> AsyncIterator[Batch]:
            yield Batch((await client.get("rooms/entrance")).json()["pictures"])

        async def fetch_item_details(self, item: Item, client: httpx.AsyncClient) -> httpx.Response:
            return (await client.get(f"rooms/{item.key}")).json()["picture"]

    register("museum", Broken)
    for words in ((), ("entrance",)):
        found = tried(capsys, *words)
        assert len(found["requests"]) == 1
        assert "the source's own code: KeyError: 'picture" in found["problems"][0]["message"]
        assert "test_try_python.py:" in found["problems"][0]["message"]


def test_check_live_asks_through_the_sources_own_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["check", "museum", "--live"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "list works: 1 items" in said
    assert "record works 1901.2: keeps its contract" in said
    assert "answered 304" in said
