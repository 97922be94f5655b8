"""A document is believed of the record that it is of: whoever wrote no contract is not left without one."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.authors import Authors, Reply, author, authors, document, redirect, source
from tests.crawling import Clock, ask, count, run
from trawl.crawl import Verdict, find_quarantined, replay
from trawl.lake import Lake
from trawl.model.config import SourceConfig
from trawl.model.errors import GuardTripped
from trawl.replica import running
from trawl.sources import YamlCrawler, parse_source

BARE = source()
FORTY = range(1, 41)


def contents(lake: Path) -> dict[str, Any]:
    rows = ask(lake, "SELECT key, payload FROM books.records WHERE state = 'present'")
    return {row["key"]: json.loads(row["payload"]) for row in rows}


def reasons(lake: Path) -> dict[str, str]:
    return {row["key"]: row["reason"] for row in find_quarantined(Lake(lake), "books") if row["open"]}


ERRORS = [
    {"error": "internal"},
    {"error": {"code": 17, "message": "no"}},
    {"errors": [{"detail": "no"}], "data": None},
    {"message": "Not Found", "documentation_url": "https://docs.example.com"},
    {"detail": "Not found."},
    {"type": "about:blank", "title": "Not Found", "status": 404, "instance": "/authors/1"},
    {"timestamp": "2026-08-03", "status": 500, "error": "Internal Server Error", "path": "/authors/1"},
    {"success": False, "code": 5},
    {"status": "error"},
]


@pytest.mark.parametrize("error", ERRORS, ids=str)
def test_forty_error_objects_of_forty_are_believed_neither_at_first_nor_later(tmp_path: Path, error: Any) -> None:
    with authors(keys=FORTY, bad=Reply(body=error)) as (url, api):
        with pytest.raises(GuardTripped, match="nothing but an error"):
            run(tmp_path, url, BARE)
        assert contents(tmp_path) == {}
        api.bad = None
        run(tmp_path, url, BARE)
        before = contents(tmp_path)
        assert len(before) == len(FORTY)
        api.bad = Reply(body=error)
        with pytest.raises(GuardTripped, match="nothing but an error"):
            run(tmp_path, url, BARE, force=True)
        assert count(run(tmp_path, url, BARE, force=True)) == {"quarantined": 40}
        assert contents(tmp_path) == before


def test_a_document_that_lost_its_key_is_not_believed_whatever_it_looks_like(tmp_path: Path) -> None:
    with authors(keys=range(1, 101)) as (url, api):
        run(tmp_path, url, BARE)
        before = contents(tmp_path)
        api.odd = {key: Reply(body={"oops": key}) for key in range(1, 31)}
        assert count(run(tmp_path, url, BARE, force=True)) == {"quarantined": 30}
    assert contents(tmp_path) == before
    reason = "contract: the document no longer contains the record's key '1'; `contract.key: null` if that is what the API sends"
    assert reasons(tmp_path)["1"] == reason
    results, _ = replay(Lake(tmp_path), BARE)
    assert {(result.result, result.reason) for result in results if result.key == "1"} == {(Verdict.BROKEN, reason)}
    results, _ = replay(Lake(tmp_path), source("contract: {key: null}"))
    assert {result.result for result in results} == {"changed"}


def test_a_document_of_another_record_is_not_believed(tmp_path: Path) -> None:
    with authors(keys=FORTY, odd={5: document(7)}) as (url, _):
        assert count(run(tmp_path, url, BARE)) == {"new": 39, "quarantined": 1}
    assert "the field 'id' is not the record's key '5' but '7'" in reasons(tmp_path)["5"]


# -- documents that do not repeat the key ------------------------------------------------------------------

SHAPES: dict[str, tuple[str, Any, Any]] = {
    "no key": ("", None, lambda key: {"name": f"author {key}"}),
    "a wrapped document": ("", None, lambda key: {"data": author(key)}),
    "a key of no kind": ("", None, lambda key: {"id": None, "name": f"author {key}"}),
    "a key out of an address": (
        "key: {field: url, pattern: '/(\\d+)/$'}",
        lambda key: {"url": f"https://h/authors/{key}/"},
        author,
    ),
    "an address of another kind": (
        "key: {field: url, pattern: '/(\\d+)/$'}",
        lambda key: {"url": f"https://h/authors/{key}/"},
        lambda key: author(key, url="https://home.example.com"),
    ),
    "a part of a composite key": (
        "",
        lambda key: {"id": key, "part": "a"},
        author,
    ),
    "few words": ("", None, lambda key: {"title": f"t{key}", "type": "book", "status": "open"}),
    "a success with its content in `message`": ("", None, lambda key: {"status": "success", "message": [f"{key}.jpg"]}),
    "an error beside a document": ("", None, lambda key: {"error": "partial", "text": f"t{key}"}),
    "nothing": ("", None, lambda _: {}),
}


def composite() -> SourceConfig:
    return parse_source(
        "name: books\nbase_url: https://h\nendpoints:\n  authors: {list: {path: authors}, "
        "key: {field: [id, part]}, detail: {path: 'authors/{item.id}'}}",
        "t",
    )


@pytest.mark.parametrize("shape", SHAPES)
def test_documents_that_do_not_repeat_the_key_are_believed(tmp_path: Path, shape: str) -> None:
    endpoint, item, body = SHAPES[shape]
    described = composite() if "composite" in shape else source(endpoint)
    items = None if item is None else [item(key) for key in FORTY]
    with authors(keys=FORTY, items=items, document=lambda key: Reply(body=body(key))) as (url, api):
        assert count(run(tmp_path, url, described)) == {"new": 40}
        api.document = lambda key: Reply(body=body(key) | {"seen": 2})
        assert count(run(tmp_path, url, described, force=True)) == {"changed": 40}


def test_records_of_one_endpoint_may_differ_in_that(tmp_path: Path) -> None:
    def of(key: int, **more: Any) -> Reply:
        return Reply(body=(author(key) if key % 2 else {"name": f"author {key}"}) | more)

    with authors(keys=FORTY, document=of) as (url, api):
        assert count(run(tmp_path, url, BARE)) == {"new": 40}
        api.document = lambda key: of(key, seen=2)
        assert count(run(tmp_path, url, BARE, force=True)) == {"changed": 40}


@pytest.mark.parametrize(
    ("key", "item"),
    [
        ("key: {field: url, pattern: '/(\\d+)/$'}", lambda key: {"url": f"https://h/authors/{key}/"}),
        ("key: {field: meta.no}", lambda key: {"meta": {"no": key}}),
    ],
)
def test_the_pattern_and_the_path_of_the_key_hold_for_documents_too(tmp_path: Path, key: str, item: Any) -> None:
    def of(number: int) -> Reply:
        return Reply(body=item(number) | {"name": "n"})

    with authors(keys=FORTY, items=[item(key) for key in FORTY], document=of, odd={5: of(7)}) as (url, _):
        assert count(run(tmp_path, url, source(key))) == {"new": 39, "quarantined": 1}
    assert "is not the record's key '5' but '7'" in reasons(tmp_path)["5"]


def test_all_parts_of_a_composite_key_are_asked_for(tmp_path: Path) -> None:
    items = [{"id": key, "part": "a:b"} for key in FORTY]
    odd = {5: Reply(body={"id": 5, "part": "c"})}
    with authors(items=items, odd=odd, document=lambda key: Reply(body={"id": key, "part": "a:b"})) as (url, _):
        assert count(run(tmp_path, url, composite())) == {"new": 39, "quarantined": 1}
    assert "the field 'id, part' is not the record's key '5:a%3Ab' but '5:c'" in reasons(tmp_path)["5:a%3Ab"]


def test_key_null_turns_it_off_and_a_path_names_another_field(tmp_path: Path) -> None:
    def of(key: int) -> Reply:
        return Reply(body={"id": key + 1_000, "number": key})

    with authors(keys=FORTY, document=of) as (url, api):
        with pytest.raises(GuardTripped, match="but '10"):
            run(tmp_path / "default", url, BARE)
        assert count(run(tmp_path / "off", url, source("contract: {key: null}"))) == {"new": 40}
        assert count(run(tmp_path / "path", url, source("contract: {key: number}"))) == {"new": 40}
        api.bad = Reply(body={"error": "oops"})
        assert count(run(tmp_path / "off", url, source("contract: {key: null}"), force=True)) == {"changed": 40}


def test_null_in_an_endpoint_takes_the_default_of_all_away() -> None:
    text = "name: t\nbase_url: https://h\ndefaults: {contract: {key: id}}\nendpoints:\n"
    described = parse_source(
        text + "  a: {contract: {key: null}}\n  b: {}\n  c: {contract: {type: array}}\n  d: {contract: {key: true}}",
        "t",
    )
    assert {name: one.contract.key for name, one in described.endpoints.items()} == {
        "a": None,
        "b": "id",
        "c": True,
        "d": True,
    }
    assert SourceConfig.model_validate(described.model_dump(mode="json")) == described


class OwnKeys(YamlCrawler):
    def get_item_unique_id_from_summary_data(self, endpoint: str, summary: Any) -> str:
        return f"{endpoint}-{summary['id']}"


def test_of_keys_that_code_makes_nothing_is_assumed(tmp_path: Path) -> None:
    described = parse_source(
        "name: books\nbase_url: https://h\nendpoints:\n  authors: {list: {path: authors}, "
        "detail: {path: 'authors/{item.id}'}}",
        "t",
    )
    with authors(keys=FORTY) as (url, _):
        assert count(run(tmp_path, url, OwnKeys(described))) == {"new": 40}


def test_an_item_of_a_list_that_is_all_there_is_needs_no_more_than_its_key(tmp_path: Path) -> None:
    items = [{"code": f"c{key}", "message": "hello"} for key in FORTY]
    described = parse_source(
        "name: books\nbase_url: https://h\nendpoints:\n  authors: {list: {path: authors}, key: {field: code}, detail: null}",
        "t",
    )
    with authors(items=items) as (url, _):
        assert count(run(tmp_path, url, described)) == {"new": 40}


# -- merged records ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("tells", [True, False])
def test_a_redirect_to_another_record_is_no_content_of_this_one(tmp_path: Path, tells: bool) -> None:
    clock = Clock()
    with authors(keys=FORTY) as (url, api):
        if not tells:
            api.document = lambda key: Reply(body={"name": f"author {key}"})
        run(tmp_path, url, BARE, clock=clock)
        before = contents(tmp_path)
        api.keys = range(1, 43)
        # 41 and 42 are new, so that only this run's list knows them.
        api.odd = {5: redirect("/api/v2/authors/7"), 41: redirect("/api/v2/authors/42?from=41")}
        assert count(run(tmp_path, url, BARE, clock=clock, force=True)) == {"new": 1, "quarantined": 2}
        found = reasons(tmp_path)
        assert all(text in found["5"] for text in ("'5'", "'7'", "authors/7"))
        assert all(text in found["41"] for text in ("'41'", "'42'", "authors/42"))
        assert contents(tmp_path)["5"] == before["5"]
        assert {result.result for result in replay(Lake(tmp_path), BARE, clock=clock)[0]} == {Verdict.BROKEN}
        off = source("contract: {key: null}")
        assert {result.result for result in replay(Lake(tmp_path), off, clock=clock)[0]} == {"changed", "new"}
        assert count(run(tmp_path, url, off, clock=clock, force=True)) == {}
    assert contents(tmp_path)["5"]["name"] == "author 7"


def test_a_child_that_is_redirected_to_another_child_is_not_believed(tmp_path: Path) -> None:
    text = "  works: {parent: authors, detail: {path: 'works/{key}'}, contract: {type: array}}"
    described = parse_source(
        "name: books\nbase_url: https://h\nendpoints:\n"
        "  authors: {list: {path: authors}, detail: {path: 'authors/{key}'}}\n" + text,
        "t",
    )

    class Works(Authors):
        def reply(self, path: str) -> Reply:
            if path == "works/5":
                return redirect("/api/v2/works/7")
            return Reply(body=["a work"]) if path.startswith("works/") else super().reply(path)

    with running(Works(keys=FORTY)) as url:
        report = run(tmp_path, url, described)
    assert (report.endpoints["works"].new, report.endpoints["works"].quarantined) == (39, 1)
    assert "redirects the record '5' to the record '7'" in reasons(tmp_path)["5"]


def test_a_redirect_to_a_place_that_is_no_record_is_followed(tmp_path: Path) -> None:
    """An address with a name behind the key, say; documents that tell their key decide it themselves."""
    with authors(keys=FORTY, document=lambda key: Reply(body={"name": f"author {key - key % 1_000}"})) as (url, api):
        api.odd = {key: redirect(f"/api/v2/authors/{key * 1_000}") for key in FORTY}
        assert count(run(tmp_path, url, BARE)) == {"new": 40}
        api.odd = {key: redirect(f"/api/v2/authors/{(key + 1) * 1_000}") for key in FORTY}
        api.document = lambda key: document(key // 1_000 - 1)
        assert count(run(tmp_path, url, BARE, force=True)) == {"changed": 40}
