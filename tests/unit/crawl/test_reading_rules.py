"""No validator outlives the rules that read its answer: any edit of a source ends in the lake of a clean crawl."""

import json
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.crawling import Clock, ask, run
from tests.listing_api import Answer, ListApi, described, serving
from trawl.crawl import Report
from trawl.lake import Lake
from trawl.model.config import SourceConfig
from trawl.replica import running
from trawl.sources import parse_source


@dataclass
class Stubborn:
    """An API that has one ETag for everything: whoever sends it is told that nothing has changed."""

    records: int = 5
    asked: list[tuple[str, bool]] = field(default_factory=list)

    async def __call__(self, scope: Any, _receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        query = {name: values[0] for name, values in parse_qs(scope["query_string"].decode()).items()}
        path = scope["path"].removeprefix("/api/v2/")
        same = any(name == b"if-none-match" for name, _ in scope["headers"])
        self.asked.append((path, same))
        body = None if same else self.body(path.split("/"), query)
        status = 304 if same else 404 if body is None else 200
        headers = [(b"content-type", b"application/json"), (b"etag", b'"for ever"')]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if body is None else json.dumps(body).encode()})

    def body(self, path: list[str], query: dict[str, str]) -> Any:
        version, collection, *key = path
        lang = query.get("lang", "en")

        def thing(number: int) -> dict[str, Any]:
            name = f"{collection} {number} of {version}"
            return {
                "id": number,
                "code": f"c{number}",
                "name": name,
                "title": f"{name} in {lang}",
                "href": f"things/{number}",
            }

        if not key:
            size = int(query.get("limit", 100))
            start = (int(query["page"]) - 1) * size if "page" in query else int(query.get("offset", 0))
            found = [thing(number) for number in range(self.records)]
            found = [item for item in found if query.get("only") is None or item["id"] % 2 == 0]
            return {"count": len(found), "items": found[start : start + size], "some": found[start : start + size]}
        if not key[0].isdigit() or int(key[0]) >= self.records:
            return None
        if len(key) > 1:
            return [thing(int(key[0])), lang]
        return thing(int(key[0])) | {"lang": lang, "by": path}


BASE: dict[str, Any] = {
    "name": "things",
    "base_url": "https://api.example.com/v1",
    "defaults": {
        "label": "name",
        "list": {"path": "things", "items": "items", "count": "count", "pagination": {"kind": "offset", "limit": 2}},
        "guards": {"missing": {"ratio": 1, "count": 10**6}},
    },
    "endpoints": {
        "things": {"detail": {"path": "things/{key}"}},
        "plain": {"list": {"path": "plain"}, "detail": None},
        "parts": {"parent": "things", "detail": {"path": "things/{key}/parts"}, "contract": {"type": "array"}},
    },
}


def edited(source: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy with a value elsewhere; None takes it out."""
    copy = json.loads(json.dumps(source))
    *way, last = path.split(".")
    place = copy
    for name in way:
        place = place.setdefault(name, {})
    if value is None:
        place.pop(last, None)
    else:
        place[last] = value
    return copy


EDITS: list[tuple[str, Any]] = [
    ("base_url", "https://api.example.com/v2"),
    ("defaults.label", "title"),
    ("defaults.label", None),
    ("defaults.list.params", {"lang": "de"}),
    ("defaults.list.params", {"only": "even"}),
    ("defaults.list.pagination", {"kind": "offset", "limit": 100}),
    ("defaults.list.pagination", {"kind": "page", "size": 3, "size_param": "limit"}),
    ("defaults.list.items", "some"),
    ("defaults.list.count", None),
    ("defaults.freshness", "1h"),
    ("defaults.detail", {"params": {"lang": "fr"}}),
    ("defaults.contract", {"fields": {"id": "integer"}}),
    ("defaults.unordered", ["by"]),
    ("headers", {"Accept-Language": "de"}),
    ("endpoints.things.detail.path", "{item.href}"),
    ("endpoints.things.detail.path", "other/{key}"),
    ("endpoints.things.detail.params", {"lang": "it"}),
    ("endpoints.things.label", "code"),
    ("endpoints.parts.detail.path", "{parent.href}/parts"),
    ("endpoints.parts.detail.params", {"lang": "it"}),
]


def config(source: dict[str, Any]) -> SourceConfig:
    return parse_source(yaml.safe_dump(source), "things.yaml")


def held(lake: Path) -> list[dict[str, Any]]:
    return ask(lake, "SELECT endpoint, key, label, payload FROM things.records WHERE state = 'present' ORDER BY ALL")


def crawl(lake: Path, url: str, source: dict[str, Any], clock: Clock) -> Report:
    version = source["base_url"].rpartition("/")[2]
    found = run(lake, f"{url}/{version}", config(source), clock=clock)
    clock.move(minutes=5)
    return found


@pytest.fixture(scope="module")
def api() -> Stubborn:
    return Stubborn()


@pytest.fixture(scope="module")
def stubborn(api: Stubborn) -> Iterator[str]:
    with running(api) as url:
        yield url


@pytest.fixture(scope="module")
def first(stubborn: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The lake of the first run, which no edit has preceded yet."""
    lake = tmp_path_factory.mktemp("first") / "lake"
    crawl(lake, stubborn, BASE, Clock())
    return lake


@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(edits=st.lists(st.lists(st.sampled_from(EDITS), min_size=1, max_size=2), min_size=1, max_size=3))
def test_any_edit_between_two_runs_ends_in_the_lake_of_a_clean_crawl(
    stubborn: str, first: Path, edits: list[list[tuple[str, Any]]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        clock, source = Clock(), BASE
        clock.move(minutes=5)
        lake = shutil.copytree(first, Path(folder, "kept"))
        for edit in edits:
            for path, value in edit:
                source = edited(source, path, value)
            crawl(lake, stubborn, source, clock)
        clean = Path(folder, "clean")
        crawl(clean, stubborn, source, clock)
        assert held(lake) == held(clean)


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: f"{edit[0]}={edit[1]}")
def test_one_edit_is_read_anew_and_then_asked_conditionally_again(
    tmp_path: Path, api: Stubborn, stubborn: str, first: Path, edit: tuple[str, Any]
) -> None:
    clock, source = Clock(), edited(BASE, *edit)
    clock.move(minutes=5)
    lake = shutil.copytree(first, tmp_path / "kept")
    crawl(lake, stubborn, source, clock)
    crawl(tmp_path / "clean", stubborn, source, clock)
    assert held(lake) == held(tmp_path / "clean")
    api.asked.clear()
    clock.move(days=2)
    crawl(lake, stubborn, source, clock)
    assert all(same for path, same in api.asked if path.count("/") > 1), (
        "what was read by these rules is not sent again"
    )


def test_a_clock_that_is_behind_makes_no_old_answer_look_new(tmp_path: Path) -> None:
    api, clock = Stubborn(), Clock()
    with running(api) as url:
        crawl(tmp_path / "kept", url, BASE, clock)
        clock = Clock()
        clock.move(days=-1)
        source = edited(BASE, "defaults.detail", {"params": {"lang": "fr"}})
        crawl(tmp_path / "kept", url, source, clock)
        crawl(tmp_path / "clean", url, source, clock)
    assert held(tmp_path / "kept") == held(tmp_path / "clean")


def test_a_second_page_behind_an_unchanged_first_one_is_seen(tmp_path: Path) -> None:
    def tagged(body: dict[str, Any], following: str | None) -> Answer:
        headers = [("etag", '"first page"')]
        if following:
            headers.append(("link", f'</api/v2/items?offset={following}>; rel="next"'))
        return Answer(body, headers=headers)

    api = ListApi(total=100, style="header", shape=tagged)
    with serving(api) as url:
        source = parse_source(described("{kind: link}"), "things.yaml")
        assert run(tmp_path, url, source).total("new") == 100
        api.items.append({"id": 100})
        assert run(tmp_path, url, source).total("new") == 1


@pytest.mark.parametrize(("age", "sent"), [(0, False), (1, False), (3600, True)])
def test_a_change_within_the_second_of_last_modified_is_seen(tmp_path: Path, age: int, sent: bool) -> None:
    modified = format_datetime(datetime.now(UTC) - timedelta(seconds=age), usegmt=True)

    class Dated(Stubborn):
        async def __call__(self, scope: Any, _receive: Any, send: Any) -> None:
            if scope["type"] != "http":
                return
            since = [value for name, value in scope["headers"] if name == b"if-modified-since"]
            self.asked.append((scope["path"], bool(since)))
            listed = scope["path"].endswith("things")
            body = {"items": [{"id": 1}]} if listed else {"id": 1, "value": self.records}
            same = bool(since) and not listed
            headers = [(b"content-type", b"application/json")]
            headers += [] if listed else [(b"last-modified", modified.encode())]
            await send({"type": "http.response.start", "status": 304 if same else 200, "headers": headers})
            await send({"type": "http.response.body", "body": b"" if same else json.dumps(body).encode()})

    api = Dated()
    source = parse_source(
        "name: things\nbase_url: https://h\nendpoints: {things: {list: {path: things, items: items}, "
        "detail: {path: 'things/{key}'}}}",
        "things.yaml",
    )
    with running(api) as url:
        run(tmp_path, url, source)
        api.records = 6
        run(tmp_path, url, source, force=True)
    assert api.asked[-1] == ("/api/v2/things/1", sent)
    (row,) = ask(Lake(tmp_path), "SELECT payload->>'$.value' AS value FROM things.records")
    assert row["value"] == ("5" if sent else "6")
