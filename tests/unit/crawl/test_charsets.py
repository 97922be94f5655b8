"""Whatever charset an API answers in, the lake holds the text; what cannot be read is kept byte for byte."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.crawling import ask, count, run
from trawl.cli.app import invoke
from trawl.lake import Lake
from trawl.replica import running
from trawl.sources import parse_source

SOURCE = parse_source(
    """
name: things
base_url: https://api.example.com
version_token: {path: about, field: deploy}
endpoints:
  people: {list: {path: people}, detail: {path: "people/{key}"}, label: name}
  places: {list: {path: places}, detail: null, label: name}
""",
    "things.yaml",
)
TEXTS = {
    "about": '{"deploy": "é1"}',
    "people": '[{"id": 1}, {"id": 2, "name": "Zoë"}]',
    "people/1": '{"id": 1, "name": "José"}',
    "people/2": '{"id": 2, "name": "Zoë", "height": 1.70}',
    "places": '[ {"id": 3.0 ,"name":"Genève"} ]',
}
LATIN = ("latin-1", "; charset=ISO-8859-1")
WAYS = {
    "utf-8": ("utf-8", ""),
    "latin-1": LATIN,
    "windows-1252": ("cp1252", '; charset="windows-1252"'),
    "utf-16, shown by its mark": ("utf-16", ""),
    "utf-16, shown by its zeros": ("utf-16-be", ""),
    "utf-32": ("utf-32", "; charset=utf-32"),
    "utf-8, with the charset of something else": ("utf-8", '; profile="https://example.com/?charset=klingon"'),
}


@dataclass
class Api:
    """The texts in one charset, as one content type calls it; `odd` are bodies with a content type of their own."""

    charset: str = "utf-8"
    called: str = ""
    odd: dict[str, tuple[bytes, str]] = field(default_factory=dict)

    async def __call__(self, scope: Any, _receive: Any, send: Any) -> None:
        path = scope["path"].removeprefix("/api/v2/")
        body, called = self.odd.get(path) or (TEXTS[path].encode(self.charset), self.called)
        headers = [(b"content-type", f"application/json{called}".encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


@pytest.mark.parametrize("way", WAYS)
def test_documents_items_and_tokens_are_read_in_their_charset(tmp_path: Path, way: str) -> None:
    with running(Api(*WAYS[way])) as url:
        report = run(tmp_path, url, SOURCE)
    assert (count(report), report.status) == ({"new": 3}, "done")
    rows = ask(tmp_path, "SELECT label, payload FROM things.records ORDER BY endpoint, key")
    assert rows == [
        {"label": "José", "payload": TEXTS["people/1"]},
        {"label": "Zoë", "payload": TEXTS["people/2"]},
        {"label": "Genève", "payload": '{"id": 3.0 ,"name":"Genève"}'},
    ]
    assert ask(tmp_path, "SELECT source_version FROM things.runs") == [{"source_version": "é1"}]


def test_an_api_that_merely_changes_its_charset_makes_no_version(tmp_path: Path) -> None:
    for way in WAYS.values():
        with running(Api(*way)) as url:
            report = run(tmp_path / "lake", url, SOURCE, force=True)
    assert count(report) == {}
    assert ask(tmp_path / "lake", "SELECT DISTINCT version FROM things.versions") == [{"version": 1}]
    assert invoke(["export", "things", "--to", str(tmp_path / "out"), "--lake", str(tmp_path / "lake")]) == 0
    assert (tmp_path / "out/things/people/1.json").read_bytes() == TEXTS["people/1"].encode()


@pytest.mark.parametrize(
    ("body", "called", "reason"),
    [
        (TEXTS["people/1"].encode("latin-1"), "", "not JSON"),
        (TEXTS["people/1"].encode("latin-1"), "; charset=utf-8", "not JSON"),
        (TEXTS["people/1"].encode(), "; charset=klingon", "its charset 'klingon' is unknown"),
        (TEXTS["people/1"].encode(), "; charset=unicode_escape", "is unknown"),
        (TEXTS["people/1"].encode("utf-16") + b"!", "", "does not decode as utf-16"),
    ],
)
def test_what_does_not_decode_is_kept_byte_for_byte(tmp_path: Path, body: bytes, called: str, reason: str) -> None:
    api = Api(odd={"people/1": (body, called)})
    with running(api) as url:
        assert count(run(tmp_path, url, SOURCE)) == {"new": 2, "quarantined": 1}
        (row,) = ask(tmp_path, "FROM things.quarantine")
        kept = Lake(tmp_path).source("things").runs.quarantined(row["run"], "people", "1")
        assert kept is not None
        assert kept.body == body
        assert reason in kept.reason
        api.odd = {}
        assert count(run(tmp_path, url, SOURCE, force=True)) == {"new": 1}
