"""Sources of other shapes than PokeAPI's, and documents that lesser parsers bend."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from tests.crawling import ask, count, run
from trawl.replica import running
from trawl.sources import parse_source


class Answers:
    """A tiny API: bodies by path (with its query), changed at will."""

    def __init__(self, bodies: dict[str, Any]) -> None:
        self.bodies = bodies
        self.asked: list[str] = []

    async def __call__(self, scope: Any, _receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        query = scope["query_string"].decode()
        path = scope["path"].removeprefix("/api/v2/") + (f"?{query}" if parse_qs(query) else "")
        self.asked.append(path)
        body = self.bodies.get(path)
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        status = 404 if body is None else 200
        await send(
            {"type": "http.response.start", "status": status, "headers": [(b"content-type", b"application/json")]}
        )
        await send({"type": "http.response.body", "body": content})


@contextmanager
def serving(bodies: dict[str, Any]) -> Iterator[tuple[str, Answers]]:
    answers = Answers(bodies)
    with running(answers) as url:
        yield url, answers


LIST_ONLY = """
name: things
base_url: https://api.example.com
endpoints:
  users:
    list: {path: users, items: data, pagination: {kind: cursor, cursor: next, param: after}}
    detail: null
    label: name
"""


def test_a_list_only_endpoint_is_historised_page_by_page(tmp_path: Path) -> None:
    source = parse_source(LIST_ONLY, "test")
    ann, bob, cy = ({"id": number, "name": name} for number, name in enumerate(("ann", "bob", "cy")))
    with serving({"users": {"data": [ann, bob], "next": 0}, "users?after=0": {"data": [cy], "next": None}}) as (
        url,
        answers,
    ):
        assert count(run(tmp_path, url, source)) == {"new": 3}
        answers.bodies["users?after=0"] = {"data": [{"id": 3, "name": "di"}], "next": None}
        answers.bodies["users"] = {"data": [ann, bob | {"name": "rob"}], "next": 0}
        report = run(tmp_path, url, source)
    assert count(report) == {"new": 1, "changed": 1, "missing": 1}
    rows = ask(tmp_path, "SELECT key, label, payload, state FROM things.records ORDER BY key")
    assert [(row["key"], row["label"], row["state"]) for row in rows] == [
        ("0", "ann", "present"),
        ("1", "rob", "present"),
        ("2", "cy", "missing"),
        ("3", "di", "present"),
    ]
    assert rows[0]["payload"] == '{"id": 0, "name": "ann"}'
    assert answers.asked == ["users", "users?after=0"] * 2


CHILDREN = """
name: things
base_url: https://api.example.com
endpoints:
  shops: {list: {path: shops}, detail: {path: "shops/{key}"}}
  stock: {parent: shops, detail: {path: "{parent.links.stock}"}, contract: {type: array}}
  boxes: {parent: stock, detail: {path: "boxes/{key}"}, contract: {type: any}}
"""


def test_children_follow_the_paths_in_their_parents_records_down_to_grandchildren(tmp_path: Path) -> None:
    bodies = {
        "shops": [{"id": 1}, {"id": 2}],
        "shops/1": {"id": 1, "links": {"stock": "https://api.example.com/s/one"}},
        "shops/2": {"id": 2, "links": {"stock": "s/two"}},
        "s/one": [1],
        "s/two": [2],
        "boxes/1": "a",
        "boxes/2": None,
    }
    with serving(bodies) as (url, answers):
        report = run(tmp_path, url, parse_source(CHILDREN, "test"))
        assert count(report) == {"new": 5, "quarantined": 1}
        answers.bodies["shops"] = [{"id": 1}]
        answers.bodies["s/one"] = [1, 1]
        report = run(tmp_path, url, parse_source(CHILDREN, "test"), force=True)
    assert report.endpoints["stock"].changed == 1
    assert {name: counts.missing for name, counts in report.endpoints.items()} == {"shops": 1, "stock": 1, "boxes": 1}
    rows = ask(tmp_path, "SELECT key, url, payload FROM things.records WHERE endpoint = 'stock' AND state = 'present'")
    assert rows == [{"key": "1", "url": "https://api.example.com/s/one", "payload": "[1, 1]"}]


def test_every_document_is_kept_to_the_last_digit_and_code_unit(tmp_path: Path) -> None:
    source = parse_source(
        "name: odd\nbase_url: https://h\nendpoints:\n  docs: {list: {path: docs}, contract: {type: any}}", "t"
    )
    odd = {
        "1": b'{"id":1,"big":123456789012345678901234567890,"small":-9223372036854775809}',
        "2": b'{"pi":3.14159265358979323846264338327950288,"tiny":1e-400,"huge":1e400}',
        "3": '{"jalapeño":"kofu’s–wallet 👾","rtl":"\u202eabc","nul":"\\u0000"}'.encode(),
        "4": b'{"lone":"\\ud83d","pair":"\\ud83d\\ude00"}',
        "5": b'[-0, 0, 1.0, 1, "", null, [], {}]',
        "6": b'  {"spaced" : [1 , 2]}\n',
    }
    bodies: dict[str, Any] = {"docs": [{"id": int(key)} for key in odd]} | {f"docs/{key}/": odd[key] for key in odd}
    with serving(bodies) as (url, answers):
        assert count(run(tmp_path, url, source)) == {"new": len(odd)}
        stored = {row["key"]: row["payload"] for row in ask(tmp_path, "SELECT key, payload FROM odd.records")}
        assert {key: text.encode("utf-8", "surrogatepass") for key, text in stored.items()} == odd
        assert {k: json.loads(v, parse_float=Decimal) for k, v in stored.items()} == {
            k: json.loads(v, parse_float=Decimal) for k, v in odd.items()
        }
        assert count(run(tmp_path, url, source, force=True)) == {}, "the same bytes are no change"
        answers.bodies["docs/1/"] = odd["1"].replace(b"7890,", b"7891,")
        answers.bodies["docs/6/"] = b'{"spaced":[1,2]}'
        assert count(run(tmp_path, url, source, force=True)) == {"changed": 1}, "a last digit is, white space is not"


def test_a_torn_listing_keeps_the_old_one(tmp_path: Path) -> None:
    source = parse_source(
        "name: things\nbase_url: https://h\nendpoints:\n  a: {list: {path: a, items: results, count: count}}", "t"
    )
    whole = {"count": 2, "results": [{"id": 1}, {"id": 2}]}
    with serving({"a": whole, "a/1/": {"id": 1}, "a/2/": {"id": 2}}) as (url, answers):
        run(tmp_path, url, source)
        for torn in (
            {"count": 2, "results": [{"id": 1}]},
            {"count": 2, "results": [{"id": 1}, {"id": 1}]},
            {"count": 1, "results": [{"name": "no id"}]},
            {"results": []},
            b"<html>",
        ):
            answers.bodies["a"] = torn
            report = run(tmp_path, url, source, force=True)
            assert count(report) == {}
            assert "old listing kept" in report.endpoints["a"].notes[0]
            assert answers.asked.count("a") % 2 == 1, "a torn listing is asked for once more"
    assert len(ask(tmp_path, "FROM things.records WHERE state = 'present'")) == 2
