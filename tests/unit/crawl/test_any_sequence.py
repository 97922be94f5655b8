"""Any sequence of days, any order of pages, any crash point: the lake of a clean crawl, and what a plain oracle says."""

import asyncio
import json
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.crawling import Clock, ask
from trawl.crawl import CrawlOptions, Report, crawl
from trawl.lake import Lake
from trawl.model.errors import TrawlError
from trawl.replica import running
from trawl.sources import parse_source

SOURCE = parse_source(
    """
name: things
base_url: https://api.example.com
defaults:
  guards:
    missing: {ratio: 1, count: 1000000}
    failed: {ratio: 1, count: 1000000}
    tombstone_after: 6d
endpoints:
  things:
    list: {path: things, items: items, count: count, pagination: {kind: offset, limit: 2}}
    key: {field: id}
    label: name
    detail: {path: "things/{key}"}
    contract: {type: any}
  parts:
    parent: things
    detail: {path: "parts/{key}"}
    contract: {type: any}
""",
    "things.yaml",
)

# -- the world: what an API may hold, and what may become of it in a day ------------------------------------

keys = st.one_of(
    st.sampled_from(["-1", "0", "1", "00", "a b", "é", "e\u0301", "名", "x/y", "?q=1", "%41", "A", "a"]),
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=6).filter(
        lambda key: key.strip(".") and key == key.strip()
    ),
)
labels = st.sampled_from(["same", "same", "other", "é", ""])
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@dataclass
class Thing:
    """A record and its part, as the API shows them on a day."""

    label: str
    value: Any
    part: Any


Day = dict[str, Thing]  # in the order of the list


@st.composite
def day_after(draw: st.DrawFn, before: Day) -> Day:
    found: list[tuple[str, Thing]] = []
    for key, thing in before.items():
        fate = draw(st.sampled_from(["stay", "stay", "stay", "change", "rename", "part", "remove"]))
        match fate:
            case "change":
                found.append((key, Thing(thing.label, draw(values), thing.part)))
            case "rename":
                found.append((key, Thing(draw(labels), thing.value, thing.part)))
            case "part":
                found.append((key, Thing(thing.label, thing.value, draw(values))))
            case "stay":
                found.append((key, thing))
    fresh = [key for key in draw(st.lists(keys, max_size=2, unique=True)) if key not in before]  # or came back
    found += [(key, Thing(draw(labels), draw(values), draw(values))) for key in fresh]
    return dict(draw(st.permutations(found)))


@st.composite
def histories(draw: st.DrawFn) -> list[Day]:
    first = {
        key: Thing(draw(labels), draw(values), draw(values))
        for key in draw(st.lists(keys, min_size=1, max_size=6, unique=True))
    }
    days = [first]
    for _ in range(draw(st.integers(1, 3))):
        days.append(draw(day_after(days[-1])))
    return days


@dataclass
class Api:
    """Serves a day, page by page; the run is told to end at the n-th request, if there is one."""

    day: Day = field(default_factory=dict)
    crash_at: int | None = None
    crash: Any = None
    asked: int = 0

    async def __call__(self, scope: Any, _receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        self.asked += 1
        if self.asked == self.crash_at:
            self.crash()
        raw = scope["raw_path"].split(b"?")[0].decode().removeprefix("/api/v2/")
        body = self._body(raw, parse_qs(scope["query_string"].decode()))
        status = 404 if body is None else 200
        content = json.dumps(body, ensure_ascii=False).encode()
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    def _body(self, raw: str, query: dict[str, list[str]]) -> Any:
        collection, _, key = raw.partition("/")
        if not key:
            items = [{"id": key, "name": thing.label} for key, thing in self.day.items()]
            start, size = (int(query.get(name, [default])[0]) for name, default in (("offset", "0"), ("limit", "2")))
            return {"count": len(items), "items": items[start : start + size]}
        thing = self.day.get(unquote(key))
        if thing is None:
            return None
        return (
            {"id": unquote(key), "name": thing.label, "value": thing.value} if collection == "things" else [thing.part]
        )


async def crawled(lake: Path, url: str, api: Api, clock: Clock, crash_at: int | None) -> Report | None:
    """A run; None where it was made to end before its end."""
    options = CrawlOptions(base_url=url, rate="unlimited", force=True)
    task = asyncio.ensure_future(crawl(SOURCE, Lake(lake), options, clock=clock))
    loop = asyncio.get_running_loop()
    api.asked, api.crash_at, api.crash = 0, crash_at, lambda: loop.call_soon_threadsafe(task.cancel)
    with suppress(asyncio.CancelledError, TrawlError):
        return await task
    return None


# -- the oracle --------------------------------------------------------------------------------------------


def documents(day: Day) -> dict[tuple[str, str], Any]:
    found: dict[tuple[str, str], Any] = {}
    for key, thing in day.items():
        found["things", key] = {"id": key, "name": thing.label, "value": thing.value}
        found["parts", key] = [thing.part]
    return found


def exact(value: Any) -> str:
    """JSON that tells 1 from 1.0 and true, and minds no order of keys."""
    return json.dumps(value, sort_keys=True)


def versions_of(days: list[Day]) -> dict[tuple[str, str], list[str]]:
    """The contents that each record has had, one after the other."""
    found: dict[tuple[str, str], list[str]] = {}
    for day in days:
        for record, document in documents(day).items():
            contents = found.setdefault(record, [])
            if not contents or contents[-1] != exact(document):
                contents.append(exact(document))
    return found


def changes_of(days: list[Day]) -> list[tuple[str, str, str, int]]:
    """(endpoint, key, change, number of the day) of all that happened."""
    found: list[tuple[str, str, str, int]] = []
    last: dict[tuple[str, str], Any] = {}
    before: dict[tuple[str, str], Any] = {}
    for number, day in enumerate(days):
        now = documents(day)
        for record in now.keys() | before.keys():
            if record not in now:
                found.append((*record, "missing", number))
                continue
            if record not in last:
                found.append((*record, "created", number))
            else:
                if record not in before:
                    found.append((*record, "revived", number))
                if exact(last[record]) != exact(now[record]):
                    found.append((*record, "changed", number))
                if record[0] == "things" and last[record]["name"] != now[record]["name"] and now[record]["name"]:
                    found.append((*record, "renamed", number))
            last[record] = now[record]
        before = now
    return sorted(found)


def present(lake: Path, as_of: datetime | None = None) -> dict[tuple[str, str], str]:
    rows = ask(lake, "SELECT endpoint, key, payload FROM things.records WHERE state = 'present'", as_of=as_of)
    found = {(row["endpoint"], row["key"]): exact(json.loads(row["payload"])) for row in rows}
    assert len(found) == len(rows), "a record appears twice"
    return found


# -- the laws ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def api() -> Iterator[tuple[str, Api]]:
    app = Api()
    with running(app) as url:
        yield url, app


@settings(
    max_examples=8,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(days=histories(), crashes=st.lists(st.none() | st.integers(1, 20), min_size=4, max_size=8))
def test_the_lake_says_what_the_days_were_whatever_run_was_cut_off_where(
    api: tuple[str, Api], days: list[Day], crashes: list[int | None]
) -> None:
    url, app = api
    with tempfile.TemporaryDirectory() as folder:
        lake, clock, instants = Path(folder), Clock(), []
        left = list(crashes)
        for day in days:
            app.day = day
            while asyncio.run(crawled(lake, url, app, clock, left.pop() if left else None)) is None:
                pass
            instants.append(clock())
            clock.move(days=1)
        expected = [{record: exact(document) for record, document in documents(day).items()} for day in days]
        assert present(lake) == expected[-1]
        for instant, wanted in zip(instants, expected, strict=True):
            assert present(lake, instant) == wanted
        rows = ask(lake, "SELECT endpoint, key, version, payload FROM things.versions ORDER BY version")
        seen: dict[tuple[str, str], list[str]] = {}
        for row in rows:
            seen.setdefault((row["endpoint"], row["key"]), []).append(exact(json.loads(row["payload"])))
        assert seen == versions_of(days)
        rows = ask(lake, "SELECT endpoint, key, change, observed_at FROM things.changes")
        changes = [
            (row["endpoint"], row["key"], row["change"], sum(instant < row["observed_at"] for instant in instants))
            for row in rows
            if (row["endpoint"], row["change"]) != ("parts", "renamed")  # a part is called as its whole is
        ]
        assert sorted(changes) == changes_of(days)
