"""A source whose version token is not there is crawled without one, and that is said once."""

from pathlib import Path
from typing import Any

import pytest

from tests.crawling import Clock, contents, pokeapi
from trawl.crawl import CrawlOptions, crawl
from trawl.lake import Lake
from trawl.replica import FolderCatalogue, ReplicaApp, running

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
    assert "goes on without one" in heard[0][0]
