"""An item without a key costs itself, not its list: it is set aside with its page, and nobody is missing by such a list."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.crawling import ask, run
from tests.listing_api import ListApi, described, serving
from trawl.cli.app import invoke
from trawl.lake import Lake
from trawl.sources import parse_source

SOURCE = parse_source(described("{kind: offset, limit: 20}"), "things.yaml")


def broken(*places: int, total: int = 50) -> ListApi:
    api = ListApi(total=total)
    for place in places:
        api.items[place] = {"name": f"nameless {place}"}
    return api


def present(lake: Path) -> int:
    return len(ask(lake, "FROM things.records WHERE state = 'present'"))


def test_the_rest_of_the_list_is_believed_and_nobody_becomes_missing(tmp_path: Path) -> None:
    with serving(ListApi(total=50)) as url:
        run(tmp_path, url, SOURCE)
    api = broken(3, 27, total=49)
    api.items.append({"id": 100})
    with serving(api) as url:
        report = run(tmp_path, url, SOURCE)
    counts = report.endpoints["items"]
    assert (report.status, counts.new, counts.missing, counts.quarantined) == ("done", 1, 0, 2)
    assert "2 of 50 items have no key" in counts.notes[0]
    assert present(tmp_path) == 51
    with serving(ListApi(total=48)) as url:
        assert run(tmp_path, url, SOURCE).endpoints["items"].missing == 3


def test_the_pages_are_kept_whole_until_the_list_is_read_well(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(broken(3, 27)) as url:
        run(tmp_path, url, SOURCE)
    rows = ask(tmp_path, "FROM things.quarantine ORDER BY key")
    assert [(row["endpoint"], row["key"], row["label"], row["open"]) for row in rows] == [
        ("items+list", "1", "page 1 of the list", True),
        ("items+list", "2", "page 2 of the list", True),
    ]
    assert "nameless 3" in rows[0]["reason"]
    assert invoke(["quarantine", "show", "things", "items+list", "2", "--lake", str(tmp_path), "--body"]) == 0
    page: Any = json.loads(capsys.readouterr().out)
    assert page["items"][7] == {"name": "nameless 27"}
    assert invoke(["quarantine", "list", "things", "items", "--lake", str(tmp_path), "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 2
    with serving(ListApi(total=50)) as url:
        run(tmp_path, url, SOURCE)
    assert ask(tmp_path, "FROM things.quarantine WHERE open") == []
    assert invoke(["maintain", "things", "--retain", "0s", "--lake", str(tmp_path)]) == 0
    assert Lake(tmp_path).source("things").runs.quarantined(rows[0]["run"], "items+list", "1") is None


@pytest.mark.parametrize(
    ("places", "guard", "torn"),
    [
        (range(6), "", True),
        (range(5), "", False),
        (range(50), "", True),
        (range(6), "guards: {keyless: {ratio: 0.2, count: 5}}", False),
        (range(1), "guards: {keyless: {ratio: 0, count: 0}}", True),
    ],
)
def test_too_many_of_them_tear_the_list(tmp_path: Path, places: range, guard: str, torn: bool) -> None:
    source = parse_source(described("{kind: offset, limit: 20}", endpoint=guard), "things.yaml")
    with serving(broken(*places)) as url:
        report = run(tmp_path, url, source)
    assert report.status == ("failed" if torn else "done")
    assert f"{len(places)} of 50 items have no key" in report.endpoints["items"].notes[0]


def test_an_item_without_what_its_path_needs_is_set_aside_as_well(tmp_path: Path) -> None:
    api = ListApi(total=20)
    for item in api.items:
        item["href"] = "items"
    del api.items[7]["href"]
    text = described("{kind: offset}").replace(
        "detail: null", "detail: {path: '{item.href}'}\n    contract: {key: null}"
    )
    with serving(api) as url:
        report = run(tmp_path, url, parse_source(text, "things.yaml"))
    assert (report.endpoints["items"].new, report.endpoints["items"].quarantined) == (19, 1)
