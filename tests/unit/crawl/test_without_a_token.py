"""A source whose version token is not there is crawled without one, and that is said once."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.crawling import Clock, contents, count, pokeapi, run
from tests.unit.replica.small_pokeapi import asking, write_archive, write_folder
from trawl.crawl import CrawlOptions, crawl
from trawl.lake import Lake
from trawl.replica import (
    ArchiveCatalogue,
    Document,
    FolderCatalogue,
    GeneratedCatalogue,
    Listing,
    ReplicaApp,
    changes,
    running,
)
from trawl.replica.paging import Window, page

RECORDS = 200

FILES = {
    "": b'{"stat":"https://pokeapi.co/api/v2/stat/"}',
    "stat": b'{"count":2,"next":null,"previous":null,"results":[{"name":"hp","url":"/api/v2/stat/1/"},'
    b'{"name":"speed","url":"/api/v2/stat/2/"}]}',
    "stat/1": b'{"id":1,"name":"hp"}',
    "stat/2": b'{"id":2,"name":"speed"}',
}


@pytest.fixture
def old_copy(tmp_path: Path) -> Path:
    for place, body in FILES.items():
        folder = tmp_path / "old/api/v2" / place
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "index.json").write_bytes(body)
    return tmp_path / "old"


def copy_of(day: int) -> dict[str, bytes]:
    """Everything that a day of a generated world holds, as a copy from before 2026 has it: without `meta`."""
    world, files = GeneratedCatalogue(RECORDS, seed=7, day=day), {"": b"{}"}
    for endpoint in world.endpoints:
        listing = world.find(endpoint)
        assert isinstance(listing, Listing)
        files[endpoint] = page(listing, Window(0, max(listing.count, 1)), endpoint)
        places = [entry["url"].partition("/api/v2/")[2].strip("/") for entry in json.loads(files[endpoint])["results"]]
        for place in places + [f"{place}/encounters" for place in places if endpoint == "pokemon"]:
            if isinstance(document := world.find(place), Document):
                files[place] = document.body
    return files


class Listener:
    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, message: str) -> None:
        self.said.append(message)

    warn = say

    def begin(self, total: int) -> None: ...

    def advance(self, result: Any) -> None: ...


async def test_a_copy_of_pokeapi_from_before_its_meta_document_is_crawled(tmp_path: Path, old_copy: Path) -> None:
    lake, clock, heard = Lake(tmp_path / "lake"), Clock(), []
    source = pokeapi(endpoints={"stat": {}})
    with running(ReplicaApp(FolderCatalogue(old_copy))) as url:
        for _ in range(3):
            listener = Listener()
            options = CrawlOptions(base_url=url, rate="unlimited", force=True)
            report = await crawl(source, lake, options, progress=listener, clock=clock)
            heard.append([message for message in listener.said if "version token" in message])
            clock.move(hours=1)
            assert report.ok
    assert set(contents(lake)) == {("stat", "1"), ("stat", "2")}
    assert report.not_modified == 3, "the list and both records are asked for conditionally"
    assert [len(said) for said in heard] == [1, 0, 0]
    assert "continues without one" in heard[0][0]


def test_such_copies_are_crawled_whole_and_the_next_one_conditionally(tmp_path: Path) -> None:
    first, second = copy_of(0), copy_of(1)
    served = ReplicaApp(FolderCatalogue(write_folder(tmp_path / "first", first)))
    assert asking(served)("/api/v2/meta/").status == 404
    assert "x-pokeapi-hash" not in asking(served)("/api/v2/pokemon/").headers

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await served(scope, receive, send)

    clock, lake = Clock(), tmp_path / "lake"
    with running(app) as url:
        assert count(run(lake, url, clock=clock)) == {"new": RECORDS}
        served = ReplicaApp(ArchiveCatalogue(write_archive(tmp_path / "second.tar.zst", second)))
        clock.move(days=40)
        report = run(lake, url, clock=clock)
    expected = changes(RECORDS, seed=7, first=0, second=1)
    assert report.status == "done"
    assert report.total("changed") == len(expected.changed | expected.renamed)
    assert report.total("missing") == len(expected.removed)
    assert report.not_modified > 0.9 * RECORDS
    assert contents(lake) == {
        ("pokemon-encounters", place.split("/")[1])
        if place.endswith("encounters")
        else tuple(place.split("/")): json.loads(body)
        for place, body in second.items()
        if "/" in place
    }
