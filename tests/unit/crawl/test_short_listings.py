"""A listing that may be short is never believed: each row is an API, or a mistake in a source, that once came back short."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.crawling import ask, run
from tests.listing_api import PAGINATION, Answer, ListApi, described, serving
from trawl.cli.app import invoke
from trawl.lake import Lake
from trawl.sources import parse_source


def crawled(lake: Path, api: Any, source: str, **options: Any) -> Any:
    with serving(api) as url:
        return run(lake, url, parse_source(source, "things.yaml"), **options)


def records(lake: Path) -> int:
    if Lake(lake).source("things").log.snapshot() is None:
        return 0
    return len(ask(lake, "FROM things.records WHERE state = 'present'"))


def linked(link: Any) -> Any:
    """The next page in Link headers made by `link` from the next address."""

    def shape(body: dict[str, Any], following: str | None) -> Answer:
        lines = [] if following is None else link(f"/api/v2/items?offset={following}")
        return Answer(body, headers=[("link", line) for line in ([lines] if isinstance(lines, str) else lines)])

    return shape


def fields(**named: Any) -> Any:
    """Fields beside the items; `NEXT` stands for the next page's cursor, and a value that is a function gets it."""

    def shape(body: dict[str, Any], following: str | None) -> Answer:
        found = {name: value(following) if callable(value) else value for name, value in named.items()}
        return Answer(body | {name: value for name, value in found.items() if value is not Ellipsis})

    return shape


COMPLETE: dict[str, tuple[ListApi, str]] = {
    "a quoted pair in a parameter of the link": (
        ListApi(style="header", shape=linked(lambda to: f'<{to}>; title="a, \\"b\\""; rel="next"')),
        described("{kind: link}"),
    ),
    "two link lines, next in the second": (
        ListApi(style="header", shape=linked(lambda to: ['</first>; rel="first"', f'<{to}>; rel="next"'])),
        described("{kind: link}"),
    ),
    "offset, no count, a cap below what is asked": (ListApi(cap=30), described("{kind: offset}")),
    "numbered pages, no count, a cap": (ListApi(style="page", cap=30), described("{kind: page}")),
    "a cursor with fewer items than asked": (ListApi(style="cursor", cap=30), described(PAGINATION["cursor"])),
    "sizes that change in mid-list": (
        ListApi(before=lambda api, number: setattr(api, "cap", 10 + 7 * number)),
        described("{kind: offset}"),
    ),
    "the page past the last repeats the last": (ListApi(past="last"), described("{kind: offset}")),
    "the same, numbered": (ListApi(style="page", past="last"), described("{kind: page}")),
    "the same, with a count": (
        ListApi(past="last", counts="total", cap=50),
        described("{kind: offset}", "count: count"),
    ),
    "the page past the last is the first": (ListApi(style="page", past="first"), described("{kind: page}")),
    "the page past the last answers 404": (ListApi(style="page", past="404"), described("{kind: page}")),
    "the same, after a full page": (ListApi(past="404", cap=50), described("{kind: offset}")),
    "the same 404, with a count": (
        ListApi(past="404", cap=50, counts="total"),
        described("{kind: offset}", "count: count"),
    ),
    "the count is that of the page": (
        ListApi(cap=50, counts="page"),
        described("{kind: offset, limit: 50}", "count: count"),
    ),
    "the count is that of the page, which is capped": (
        ListApi(cap=30, counts="page"),
        described("{kind: offset}", "count: count"),
    ),
    "the count is capped by a window": (
        ListApi(cap=50, counts="window"),
        described("{kind: offset, limit: 50}", "count: count"),
    ),
    "the count is that of the page, with links": (
        ListApi(style="field", counts="page"),
        described(PAGINATION["field"], "count: count"),
    ),
    "a dot in the name of the next link": (
        ListApi(style="field", shape=fields(**{"@odata.nextLink": lambda to: f"items?offset={to}" if to else ...})),
        described(r"{kind: link, field: '@odata\.nextLink'}"),
    ),
    "a dot in the name of the count": (
        ListApi(cap=50, shape=fields(**{"@odata.count": 250})),
        described("{kind: offset, limit: 50}", r"count: '@odata\.count'"),
    ),
    "the end is told by a flag beside a repeated cursor": (
        ListApi(style="cursor", shape=fields(next=lambda to: to or "200", hasMore=lambda to: to is not None)),
        described("{kind: cursor, cursor: next, param: after, more: hasMore}"),
    ),
    "the end is told by a flag of counted pages": (
        ListApi(past="404", cap=50, shape=fields(hasMore=lambda to: to is not None)),
        described("{kind: offset, limit: 50, more: hasMore}"),
    ),
    "a redirect forgets the query": (
        ListApi(
            cap=None,
            before=lambda api, _: (
                Answer(b"", 302, [("location", "/api/v2/items/")]) if "items?" in api.asked[-1] else None
            ),
        ),
        described("{kind: offset}"),
    ),
    "the end is told by a value": (
        ListApi(style="cursor", shape=fields(next=lambda to: int(to or 0))),
        described("{kind: cursor, cursor: next, param: after, end: 0}"),
    ),
    "there is always a next page, and the source takes an empty one for the end": (
        ListApi(style="cursor", shape=fields(next=lambda to: to or "250")),
        described("{kind: cursor, cursor: next, param: after, last_page: empty}"),
    ),
    "a count that the source says means something else": (
        ListApi(total=80, shape=fields(total=1000)),
        described("{kind: none}", "ignore: [total]"),
    ),
    "the next link is left out where there is one page, and the source says so": (
        ListApi(total=80, shape=fields()),
        described("{kind: link, field: next, absent: end}"),
    ),
}


@pytest.mark.parametrize("name", COMPLETE)
def test_every_record_of_the_list_comes(name: str, tmp_path: Path) -> None:
    api, source = COMPLETE[name]
    report = crawled(tmp_path, api, source)
    assert (report.status, records(tmp_path)) == ("done", len(api.items))
    api.asked.clear()
    assert crawled(tmp_path, api, source).status in {"done", "no change"}
    assert records(tmp_path) == len(api.items)


TORN: dict[str, tuple[ListApi, str, str]] = {
    "a link without brackets": (
        ListApi(style="header", shape=linked(lambda to: f"{to}; rel=next")),
        described("{kind: link}"),
        r"/api/v2/items\?offset=100; rel=next",
    ),
    "a mistake in the cursor's path": (
        ListApi(style="cursor"),
        described("{kind: cursor, cursor: meta.next, param: after}"),
        r"no page has 'meta.next'.* a page has: items \(array\), next \(string\)",
    ),
    "a mistake in the link's path": (
        ListApi(style="field", shape=fields(following=lambda to: f"items?offset={to}")),
        described("{kind: link, field: next}"),
        r"no page has 'next'.*following",
    ),
    "a path that leads to another field": (
        ListApi(style="field", shape=fields(previous=None, next=lambda to: f"items?offset={to}")),
        described("{kind: link, field: previous}"),
        "pagination: {kind: link, field: next}",
    ),
    "no pagination, though there is a link": (
        ListApi(style="header"),
        described(),
        "pagination: {kind: link}",
    ),
    "no pagination, though there is a next field": (
        ListApi(style="field"),
        described(),
        "pagination: {kind: link, field: next}",
    ),
    "no pagination, though there is a nested cursor": (
        ListApi(style="cursor", shape=fields(meta=lambda to: {"paging": {"next_cursor": to}})),
        described(),
        "cursor: meta.paging.next_cursor",
    ),
    "no pagination, though there is a count": (
        ListApi(shape=fields(total=250)),
        described(),
        "`count: total` and `pagination: {kind: offset}`",
    ),
    "no pagination, though there is a flag": (
        ListApi(shape=fields(has_more=lambda to: to is not None)),
        described(),
        "more: has_more",
    ),
    "empty pages for ever": (
        ListApi(style="cursor", shape=fields(next=lambda to: to or "x")),
        described("{kind: cursor, cursor: next, param: after}"),
        "",
    ),
    "more pages than the source allows": (
        ListApi(cap=10),
        described("{kind: offset, max_pages: 5}"),
        "more than 5 pages",
    ),
    "404 in the middle of the list": (
        ListApi(cap=50, before=lambda api, _: Answer({}, 404) if "offset=100" in api.asked[-1] else None),
        described("{kind: offset, limit: 50}"),
        "answers 404, and the one behind it does not",
    ),
    "a flag that no page has": (
        ListApi(style="cursor"),
        described("{kind: cursor, cursor: next, param: after, more: hasMore}"),
        "no 'hasMore'",
    ),
    "a total that moves in every listing": (
        ListApi(cap=50, counts="total", before=lambda api, number: api.items.append({"id": 1000 + number})),
        described("{kind: offset, limit: 50}", "count: count"),
        "a sort parameter",
    ),
    "an object where a list is expected": (
        ListApi(),
        described().replace("items: items,", ""),
        r"'the list' is not an array.*items \(array\).*set `list.items` to 'items'",
    ),
    "a wrong path to the items": (
        ListApi(),
        described().replace("items: items,", "items: results,"),
        r"no 'results'.*200 application/json came, \d+ bytes: \{\"items\".*set `list.items` to 'items'",
    ),
    "no content": (ListApi(before=lambda *_: Answer(b"", 204)), described(), "204 .*came, 0 bytes"),
    "a page of HTML": (
        ListApi(before=lambda *_: Answer(b"<!doctype html><title>Sign in", content_type="text/html")),
        described(),
        r"200 text/html came, 29 bytes: <!doctype html><title>Sign in",
    ),
    "a list in another encoding": (
        ListApi(before=lambda *_: Answer(b'{"items": [{"id": 1, "name": "\xe9"}]}')),
        described(),
        "200 application/json came",
    ),
}


@pytest.mark.parametrize("name", TORN)
def test_what_may_be_short_is_no_listing_and_the_run_fails_with_what_to_write(name: str, tmp_path: Path) -> None:
    api, source, said = TORN[name]
    report = crawled(tmp_path, api, source)
    (note,) = report.endpoints["items"].notes
    assert (report.status, report.ok, records(tmp_path)) == ("failed", False, 0)
    assert re.search(said, note), note
    assert len(api.asked) < 60, "it comes to an end"


@pytest.mark.parametrize("name", ["a link without brackets", "no pagination, though there is a count", "no content"])
def test_what_the_lake_holds_stays_the_run_is_degraded_and_three_times_in_a_row_is_too_often(
    name: str, tmp_path: Path
) -> None:
    torn, source, _ = TORN[name]
    good = parse_source(described("{kind: offset}"), "things.yaml")
    with serving(ListApi()) as url:
        assert run(tmp_path, url, good).status == "done"
    found = []
    for _ in range(3):
        torn.asked.clear()
        report = crawled(tmp_path, torn, source)
        found.append((report.status, report.ok, report.unread))
        assert records(tmp_path) == 250
    assert found == [("degraded", times < 3, {"items": times}) for times in (1, 2, 3)]
    with serving(ListApi()) as url:
        report = run(tmp_path, url, good)
    assert (report.status, report.unread, report.ok) == ("done", {}, True)


def test_the_commands_name_what_could_not_be_read_and_the_exit_code_tells(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, torn = tmp_path / "good.yaml", tmp_path / "torn.yaml"
    good.write_text(described("{kind: offset}"))
    torn.write_text(described("{kind: cursor, cursor: nowhere, param: after}"))
    lake = ["--lake", str(tmp_path / "lake")]
    with serving(ListApi()) as url:
        flags = ["--base-url", url, "--rate", "unlimited", *lake]
        assert invoke(["run", str(torn), *flags]) == 1
        said = capsys.readouterr().out
        assert "failed in" in said
        assert "not read: the list of items (the lake has nothing of it)" in said
        assert invoke(["run", str(good), *flags]) == 0
        capsys.readouterr()
        assert invoke(["run", str(torn), "--json", *flags]) == 0
        report = json.loads(capsys.readouterr().out)
        assert (report["status"], report["endpoints"]["items"]["unread"]) == ("degraded", 1)
        assert invoke(["status", *lake]) == 0
        assert "the list of items could not be read in 1 run" in capsys.readouterr().out
        assert [invoke(["run", str(torn), *flags]) for _ in range(2)] == [0, 1]
        assert "2 runs in a row" in capsys.readouterr().out
        assert invoke(["run", str(good), *flags]) == 0
        capsys.readouterr()
        assert invoke(["status", "--json", *lake]) == 0
    assert json.loads(capsys.readouterr().out)["sources"]["things"]["unread"] == {}


def test_a_header_beyond_ascii_on_one_record_ends_no_run(tmp_path: Path) -> None:
    def tagged(api: ListApi, _: int) -> Answer | None:
        key = api.asked[-1].rpartition("/")[2]
        if not key.isdigit():
            return None
        return Answer({"id": int(key)}, headers=[("etag", '"caf\xe9"' if key == "7" else f'"{key}"')])

    api = ListApi(total=30, before=tagged)
    source = described("{kind: offset}").replace("detail: null", "detail: {path: 'items/{key}'}")
    assert crawled(tmp_path, api, source).total("new") == 30
    (row,) = ask(tmp_path, "SELECT etag FROM things.records WHERE key = '7'")
    assert row["etag"] == '"café"'
