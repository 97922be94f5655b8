"""One request, explained: a newcomer learns what a crawl would make of it, and what to change in the file."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import World
from tests.crawling import ask, run
from trawl.cli.app import invoke
from trawl.lake import Lake
from trawl.replica import running

THINGS: dict[str, Any] = {
    "name": "things",
    "rate": {"requests_per_second": 1000},
    "endpoints": {
        "users": {
            "list": {"path": "users", "items": "data", "count": "total"},
            "detail": {"path": "users/{key}"},
            "key": {"field": "id"},
            "label": "name",
            "contract": {"fields": {"id": "integer", "age": "integer"}, "key": "id"},
            "unordered": ["tags"],
        }
    },
}
USERS = [{"id": 1, "name": "Ada"}, {"id": 2, "name": "Bob"}]
DOCUMENTS: dict[str, Any] = {
    "/users": {"total": 2, "data": USERS},
    "/users/1": {"id": 1, "name": "Ada", "age": 36, "tags": ["b", "a"]},
    "/users/2": {"id": 2, "name": "Bob", "age": "old"},
}


class Api:
    """Some documents (or statuses, or HTML) under paths; counts what is asked."""

    def __init__(self, documents: dict[str, Any]) -> None:
        self.documents, self.asked = documents, []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.asked.append(scope["path"])
        found = self.documents.get(scope["path"].removeprefix("/api/v2"), 404)
        status = found if isinstance(found, int) else 200
        kind = b"text/html" if isinstance(found, str) else b"application/json"
        body = found.encode() if isinstance(found, str) else json.dumps(found).encode()
        headers = [(b"content-type", kind)] + ([(b"retry-after", b"30")] if status in {429, 503} else [])
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


@pytest.fixture
def attempt(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, Api]]:
    """Try an endpoint of a source file against documents; the exit code, what was said, and the API."""

    def attempt(*words: str, documents: dict[str, Any] | None = None, **changes: Any) -> tuple[int, str, Api]:
        api = Api(DOCUMENTS | (documents or {}))
        users = THINGS["endpoints"]["users"] | changes
        with running(api) as url:
            path = tmp_path / "things.yaml"
            path.write_text(yaml.safe_dump(THINGS | {"base_url": url, "endpoints": {"users": users}}))
            code = invoke(["try", str(path), "users", *words, "--lake", str(tmp_path / "lake")])
        captured = capsys.readouterr()
        return code, " ".join((captured.out + captured.err).split()), api

    return attempt


def test_a_list_is_one_request_and_says_whether_it_is_verified(attempt: Any) -> None:
    code, said, api = attempt()
    assert code == 0
    assert api.asked == ["/api/v2/users"]
    assert all(word in said for word in ["2 of 2", "verified: complete", "1 Ada", "2 Bob", "`base_url` of the source"])


def test_a_record_is_one_request_and_every_field_of_its_contract_is_judged(attempt: Any) -> None:
    code, said, api = attempt("1")
    assert code == 0
    assert api.asked == ["/api/v2/users/1"]
    assert all(word in said for word in ["ok age is integer", "id is the key 1", "tags 2", "new: a crawl would store"])
    code, said, _ = attempt("2")
    assert code == 1
    assert all(word in said for word in ["broken age is string, not integer", "age: integer|string", "quarantine"])


def test_a_label_is_looked_up_in_the_list(attempt: Any) -> None:
    code, said, api = attempt("ada")
    assert code == 0
    assert api.asked == ["/api/v2/users/ada", "/api/v2/users", "/api/v2/users/1"]
    assert "record 1 Ada" in said


def test_items_without_a_key_are_noted_and_the_others_are_tried(attempt: Any) -> None:
    documents = {"/users": {"total": 3, "data": [{"name": "Nobody"}, *USERS]}}
    code, said, _ = attempt(documents=documents)
    assert code == 0
    assert all(word in said for word in ["1 of 3 items have no key", "1 Ada", "2 Bob"])
    code, said, _ = attempt("bob", documents=documents)
    assert "record 2 Bob" in said


@pytest.mark.parametrize(
    ("documents", "changes", "words"),
    [
        ({}, {"key": {"field": "uid"}}, ["no key at 'uid'", "`key.field`", "id (integer), name (string)"]),
        ({}, {"list": {"path": "users", "items": "results"}}, ["no 'results'", "set `list.items` to 'data'"]),
        ({}, {"list": {"path": "users", "items": "data", "count": "sum"}}, ["no 'sum'", "set `list.count` to 'total'"]),
        ({}, {"list": {"path": "usres"}}, ["404", "`list.path`"]),
        ({"/users": "<html>hello"}, {}, ["HTML page", "`base_url`"]),
        ({"/users": USERS}, {}, ["the document is the array itself"]),
        ({"/users": {"total": 3, "data": USERS}}, {}, ["2 items came, the API counts 3", "`pagination`"]),
        ({"/users": {"total": 2, "data": [USERS[0]] * 2}}, {}, ["came twice", "`key.field`"]),
        ({"/users": 503}, {}, ["503", "asks for a pause of 30 s", "try again later"]),
    ],
)
def test_what_a_list_lacks_is_said_with_what_to_change(
    attempt: Any, documents: dict[str, Any], changes: dict[str, Any], words: list[str]
) -> None:
    code, said, api = attempt(documents=documents, **changes)
    assert code == 1
    assert len(api.asked) == 1
    assert all(word in said for word in words), said


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"contract": {"fields": {"born": "string"}}}, ["born is missing", "`contract.fields`", "name (string)"]),
        ({"contract": {"key": "name"}}, ["name is Ada, not the key 1", "`contract.key`"]),
        ({"contract": {"type": "array"}}, ["the document is object, not array", "`contract.type`"]),
        ({"detail": {"path": "user/{key}"}, "list": {"path": "nowhere"}}, ["404", "list.path"]),
    ],
)
def test_what_a_record_lacks_is_said_with_what_to_change(
    attempt: Any, changes: dict[str, Any], words: list[str]
) -> None:
    code, said, _ = attempt("1", **changes)
    assert code == 1
    assert all(word in said for word in words), said


def test_a_mistyped_label_is_answered_with_those_near_it(attempt: Any) -> None:
    code, said, api = attempt("adaa")
    assert "did you mean: 1 (Ada)?" in said
    assert code == 2
    assert api.asked == ["/api/v2/users/adaa", "/api/v2/users"]


def test_against_the_lake_it_says_what_a_crawl_would_do_and_writes_nothing(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path, world.url, endpoints=("move",))
    world.day(1)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    verdicts = {}
    for row in ask(tmp_path, "SELECT key FROM pokeapi.records"):
        command = ["try", "pokeapi", "move", row["key"], "--base-url", world.url, "--lake", str(tmp_path), "--json"]
        if invoke(command) == 0:
            found = json.loads(capsys.readouterr().out)
            assert len(found["requests"]) == 1
            verdicts[row["key"]] = found["record"]["verdict"]
            assert bool(found["record"]["differences"]) == (found["record"]["verdict"] in {"changed", "reordered"})
        else:
            capsys.readouterr()
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    report = run(Lake(tmp_path), world.url, endpoints=("move",), force=True).endpoints["move"]
    told = list(verdicts.values())
    assert (told.count("changed"), told.count("reordered"), told.count("unchanged")) == (
        report.changed,
        report.reordered,
        report.unchanged,
    )
