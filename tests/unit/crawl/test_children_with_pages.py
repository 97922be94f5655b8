"""A child's document is one answer: one that goes on elsewhere is not taken for the whole."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.crawling import ask, run
from tests.listing_api import Answer, serving
from trawl.crawl import Report
from trawl.sources import parse_source

SOURCE = parse_source(
    """
name: things
base_url: https://api.example.com
endpoints:
  posts: {list: {path: posts}, detail: {path: "posts/{key}"}}
  comments: {parent: posts, detail: {path: "posts/{key}/comments"}, contract: {type: any}}
""",
    "things.yaml",
)


def crawled(lake: Path, second: Answer) -> Report:
    """Two posts, of which the second one's comments are answered so."""

    class Api:
        async def __call__(self, scope: Any, _receive: Any, send: Any) -> None:
            if scope["type"] != "http":
                return
            path = scope["path"].removeprefix("/api/v2/")
            whole = {"posts": [{"id": 1}, {"id": 2}], "posts/1": {"id": 1}, "posts/2": {"id": 2}}
            answer = second if path == "posts/2/comments" else Answer(whole.get(path, [1, 2, 3]))
            headers = [(name.encode(), value.encode()) for name, value in answer.headers]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": json.dumps(answer.body).encode()})

    with serving(Api()) as url:
        return run(lake, url, SOURCE)


def test_a_document_that_merely_has_a_field_called_next_is_whole(tmp_path: Path) -> None:
    second = Answer({"id": 2, "replies": [1], "next": "/posts/3/comments"})
    assert crawled(tmp_path, second).endpoints["comments"].new == 2


@pytest.mark.parametrize(
    ("second", "said"),
    [
        (Answer([1, 2], headers=[("link", '</api/v2/posts/2/comments?page=2>; rel="next"')]), "page=2"),
        (Answer({"results": [1], "next": "/posts/2/comments?page=2"}), "next is '/posts/2/comments"),
        (Answer({"data": [1], "meta": {"has_more": True}}), "meta.has_more is true"),
    ],
)
def test_a_document_with_further_pages_goes_to_quarantine(tmp_path: Path, second: Answer, said: str) -> None:
    report = crawled(tmp_path, second)
    assert (report.endpoints["comments"].new, report.endpoints["comments"].quarantined) == (1, 1)
    (row,) = ask(tmp_path, "FROM things.quarantine")
    assert (row["endpoint"], row["key"]) == ("comments", "2")
    assert said in row["reason"]
