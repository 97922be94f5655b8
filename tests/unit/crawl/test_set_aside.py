"""What speaks of a record is set aside, and what speaks of the API ends the run: neither for ever."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.authors import MANY, Reply, author, authors, redirect, source
from tests.crawling import Clock, ask, count, run
from trawl.crawl import Verdict, find_quarantined, replay
from trawl.crawl.losses import Losses
from trawl.lake import Lake
from trawl.model.config import SourceConfig
from trawl.model.errors import GuardTripped
from trawl.model.records import Op, Result, Row, Settled
from trawl.sources import YamlCrawler

STRICT = source("contract: {fields: {id: integer, name: string}, key: id}")
POISONED = range(1, 12)
NOW = datetime(2026, 8, 3, tzinfo=UTC)
HTML = Reply(200, b"<html>We will be right back</html>", {"content-type": "text/html"})

KINDS: dict[str, tuple[Reply, str]] = {
    "redirect elsewhere": (redirect("https://elsewhere.example.com/authors/1"), "is not on"),
    "redirect loop": (redirect("/api/v2/authors/1"), "more than 5 redirects"),
    "redirect to nowhere": (Reply(302, b"?"), "without a Location"),
    "redirect to no address": (redirect("http://[oops/"), "not an address"),
    "too large": (Reply(body=author(1, text="x" * 100_000)), "larger than 32768 bytes"),
    "300": (Reply(300, b"[]"), "answers 300"),
    "400": (Reply(400, b"{}"), "answers 400"),
    "404": (Reply(404, b"{}"), "answers 404"),
    "405": (Reply(405, b"{}"), "answers 405"),
    "410": (Reply(410, b"{}"), "answers 410"),
    "418": (Reply(418, b"{}"), "answers 418"),
    "422": (Reply(422, b'{"detail": "no"}'), "answers 422"),
    "451": (Reply(451, b"{}"), "answers 451"),
    "204": (Reply(204), "status 204"),
    "broken JSON": (Reply(body=b'{"id": 1,'), "not JSON"),
    "HTML": (HTML, "HTML page"),
    "contract": (Reply(body={"id": 1}), "'name' is missing"),
}


def quarantined(lake: Path) -> dict[str, str]:
    return {row["key"]: row["reason"] for row in find_quarantined(Lake(lake), "books") if row["open"]}


def present(lake: Path) -> set[int]:
    return {int(row["key"]) for row in ask(lake, "SELECT key FROM books.records WHERE state = 'present'")}


@pytest.mark.parametrize("kind", KINDS)
def test_a_tenth_of_bad_records_costs_only_themselves(tmp_path: Path, kind: str) -> None:
    reply, reason = KINDS[kind]
    with authors(odd=dict.fromkeys(POISONED, reply)) as (url, api):
        report = run(tmp_path, url, STRICT)
        assert report.status == "done"
        assert count(report) == {"new": MANY - len(POISONED), "quarantined": len(POISONED)}
        assert present(tmp_path) == set(api.keys) - set(POISONED)
        found = quarantined(tmp_path)
        assert found.keys() == {str(key) for key in POISONED}
        assert all(reason in each for each in found.values()), found

        api.taken()
        assert count(run(tmp_path, url, STRICT)) == {}
        assert api.taken() == [], "what was set aside is not asked for before it is due"


def test_what_was_set_aside_comes_due_at_growing_distances_until_it_comes(tmp_path: Path) -> None:
    clock = Clock()
    with authors(odd=dict.fromkeys(POISONED, Reply(400))) as (url, api):
        run(tmp_path, url, STRICT, clock=clock)
        for hours in (1, 2):
            clock.move(hours=hours)
            api.taken()
            assert count(run(tmp_path, url, STRICT, clock=clock)) == {"quarantined": len(POISONED)}
            assert set(api.taken()) == set(POISONED)
            clock.move(hours=hours)
            assert count(run(tmp_path, url, STRICT, clock=clock)) == {}
        api.odd = {}
        clock.move(hours=2)
        assert count(run(tmp_path, url, STRICT, clock=clock)) == {"new": len(POISONED)}
    assert quarantined(tmp_path) == {}


def test_of_an_answer_all_is_kept_and_of_none_what_is_known(tmp_path: Path) -> None:
    large = author(2, text="x" * 100_000)
    odd = {
        1: redirect("https://elsewhere.example.com/?token=1"),
        2: Reply(200, large, {"x-served-by": "a"}),
        3: Reply(418, b"\xff teapot", {"x-served-by": "b"}),
    }
    with authors(keys=range(1, 11), odd=odd) as (url, _):
        report = run(tmp_path, url, STRICT)
    kept = {
        key: Lake(tmp_path).source("books").runs.quarantined(report.run_id, "authors", str(key)) for key in (1, 2, 3)
    }
    assert [(one.status, one.whole) for one in kept.values()] == [(302, False), (200, False), (418, True)]
    assert (kept[1].body, kept[1].headers["Location"]) == (b"moved", odd[1].headers["location"])
    assert b"author 2" in kept[2].body
    assert len(kept[2].body) <= 4_096
    assert kept[2].headers["x-served-by"] == "a"
    assert (kept[3].body, kept[3].headers["x-served-by"]) == (b"\xff teapot", "b")


def test_a_path_that_cannot_be_asked_is_the_records_own(tmp_path: Path) -> None:
    items = [{"id": key, "at": f"authors/{key}"} for key in range(1, 92)]
    items += [{"id": key, "at": ("//other/x", "..", "a/%2e%2e/b")[key % 3]} for key in range(92, 103)]
    described = source("contract: {fields: {id: integer}}").model_dump(mode="json")
    described["endpoints"]["authors"]["detail"]["path"] = "{item.at}"
    with authors(items=items) as (url, _):
        report = run(tmp_path, url, SourceConfig.model_validate(described))
    assert count(report) == {"new": 91, "quarantined": 11}
    kept = Lake(tmp_path).source("books").runs.quarantined(report.run_id, "authors", "92")
    assert (kept.status, kept.headers, kept.body, kept.whole) == (None, {}, b"", False)


def test_a_refusal_is_replayed_in_vain_and_hides_no_document_that_came_before(tmp_path: Path) -> None:
    strict, loose = (source(f"contract: {{fields: {{{name}: string}}}}") for name in ("title", "name"))
    clock = Clock()
    with authors(keys=range(1, 4), odd={2: redirect("https://elsewhere.example.com/"), 3: Reply(422)}) as (url, api):
        run(tmp_path, url, strict, clock=clock)
        api.bad = Reply(410)
        clock.move(days=1)
        run(tmp_path, url, strict, clock=clock)
    results, _ = replay(Lake(tmp_path), loose)
    assert {result.key: result.result for result in results} == {
        "1": "new",
        "2": Verdict.REFUSED,
        "3": Verdict.REFUSED,
    }
    assert results[1].reason == "refused: the API answers 410"
    assert present(tmp_path) == {1}


# -- what speaks of the API --------------------------------------------------------------------------------


def test_one_403_is_the_records_own_and_a_storm_of_them_the_apis(tmp_path: Path) -> None:
    with authors(odd=dict.fromkeys(range(1, 11), Reply(403, b'{"message": "no"}'))) as (url, api):
        assert count(run(tmp_path, url, STRICT)) == {"new": 92, "quarantined": 10}
        assert set(quarantined(tmp_path).values()) == {"refused: the API answers 403"}
        api.bad = Reply(403, b"blocked")
        with pytest.raises(GuardTripped, match=r"authors: \d+ of \d+ due records failed.*answers 403"):
            run(tmp_path, url, STRICT, force=True)
    assert present(tmp_path) == set(api.keys) - set(range(1, 11))


class Failing(YamlCrawler):
    async def fetch_item_details(self, item: Any, client: Any) -> Any:
        if int(item.key) in POISONED:
            raise KeyError("title")
        return await super().fetch_item_details(item, client)


@pytest.mark.parametrize("kind", ["500", "407", "429", "own code"])
def test_what_fails_for_ever_stops_one_run_and_not_the_next(tmp_path: Path, kind: str) -> None:
    reply = {
        "500": Reply(500),
        "407": Reply(407),
        "429": Reply(429, b"", {"retry-after": "0.01"}),
    }.get(kind)
    crawler = Failing(STRICT) if kind == "own code" else STRICT
    with authors(odd=dict.fromkeys(POISONED, reply) if reply else {}) as (url, api):
        with pytest.raises(GuardTripped, match="of 102 due records failed") as caught:
            run(tmp_path, url, crawler)
        assert "repeated failures of a record do not count" in str(caught.value)
        assert ask(tmp_path, "SELECT status FROM books.runs") == [{"status": "aborted"}]
        assert present(tmp_path) == set()
        report = run(tmp_path, url, crawler)
        assert (report.status, count(report)) == ("done", {"new": 91, "failed": 11})
        assert present(tmp_path) == set(api.keys) - set(POISONED)
        assert count(run(tmp_path, url, crawler, force=True)) == {"failed": 11}, "the log knows them now"
        api.odd |= dict.fromkeys(range(50, 61), Reply(500))
        with pytest.raises(GuardTripped, match=r"authors: 1\d of \d+ due records failed"):
            run(tmp_path, url, crawler, force=True)


def test_an_api_that_goes_down_stops_run_after_run(tmp_path: Path) -> None:
    with authors(bad=Reply(503)) as (url, api):
        for _ in range(3):
            with pytest.raises(GuardTripped):
                run(tmp_path, url, STRICT)
        api.bad = None
        assert count(run(tmp_path, url, STRICT)) == {"new": MANY}


# -- too many that are set aside ---------------------------------------------------------------------------


@pytest.mark.parametrize("reply", [HTML, Reply(body={"error": "oops"}), Reply(404), redirect("https://x.example.com")])
@pytest.mark.parametrize("number", [5, 40, MANY])
def test_garbage_in_the_place_of_everything_ends_the_run(tmp_path: Path, number: int, reply: Reply) -> None:
    keys = range(1, number + 1)
    with authors(keys=keys, bad=reply) as (url, api):
        with pytest.raises(GuardTripped, match=f"of {number} due records were set aside.*; the last: ") as caught:
            run(tmp_path, url, STRICT)
        assert "trawl try books authors" in str(caught.value)
        assert ask(tmp_path, "FROM books.records") == []
        api.bad = None
        assert count(run(tmp_path, url, STRICT)) == {"new": number}
        api.bad = reply
        with pytest.raises(GuardTripped):
            run(tmp_path, url, STRICT, force=True)
        assert present(tmp_path) == set(keys)


def test_records_that_are_broken_for_good_stop_one_run_and_ring_in_the_others(tmp_path: Path) -> None:
    broken = range(1, 61)
    with authors(odd=dict.fromkeys(broken, KINDS["contract"][0])) as (url, api):
        with pytest.raises(GuardTripped, match=r"authors: 5\d of 102 due records were set aside"):
            run(tmp_path, url, STRICT)
        report = run(tmp_path, url, STRICT)
        assert count(report) == {"new": 42, "quarantined": 60}
        assert report.endpoints["authors"].notes == ["mass quarantine: 60 of 102 records were set aside"]
        api.bad = HTML
        with pytest.raises(GuardTripped, match="due records were set aside"):
            run(tmp_path, url, STRICT, force=True)


@pytest.mark.parametrize("first", [0, 30, 42], ids="{} of the new losses come first".format)
def test_the_guard_counts_the_same_in_whatever_order_records_come(first: int) -> None:
    def lost(key: int) -> Settled:
        failures = 1 if key <= 42 else 2
        reason = "contract" if failures == 1 else "as before"
        row = Row("fail", "authors", str(key), "present", NOW, NOW, failures=failures, reason=reason)
        return Settled(row, Result.QUARANTINED if failures == 1 else Result.FAILED)

    keys = [*range(1, first + 1), *range(43, 103), *range(first + 1, 43)]
    losses = Losses(STRICT, {"authors": 102}, {})
    with pytest.raises(GuardTripped, match=r"due records were set aside, .*; the last: \d+: contract\n"):
        list(map(losses.add, map(lost, keys)))


def test_the_guard_is_a_setting(tmp_path: Path) -> None:
    strict = source("guards: {quarantined: {ratio: 0.05, count: 3}}")
    with authors(odd=dict.fromkeys(range(1, 7), Reply(400))) as (url, _):
        with pytest.raises(GuardTripped, match="6 of 102 due records were set aside"):
            run(tmp_path, url, strict)
        never = source("guards: {quarantined: {ratio: 1, count: 0}}")
        assert count(run(tmp_path, url, never))["quarantined"] == 6


def test_an_aborted_run_leaves_no_row_and_its_note_goes_with_the_next_commit(tmp_path: Path) -> None:
    with authors(bad=HTML) as (url, api):
        with pytest.raises(GuardTripped):
            run(tmp_path, url, STRICT)
        lake = Lake(tmp_path).source("books")
        assert len(lake.runs.losses()["authors"]) >= 52
        snapshot = lake.log.snapshot()
        assert snapshot is not None
        assert Op.FAIL not in snapshot.dataset().to_table(columns=["op"])["op"].to_pylist()
        api.bad = None
        run(tmp_path, url, STRICT)
        assert lake.runs.losses() == {}


def test_shards_that_an_aborted_run_has_finished_stay_finished_and_count_once(tmp_path: Path) -> None:
    number = 1_200  # three shards, and so many failures that only the last of them trips the guard
    keys = range(1, number + 1)
    with authors(keys=keys, odd={key: Reply(500) for key in keys if key % 9 == 0}) as (url, api):
        with pytest.raises(GuardTripped):
            run(tmp_path, url, STRICT)
        assert count(run(tmp_path, url, STRICT)) == {"new": number - number // 9, "failed": number // 9}
        assert len(api.taken()) < 2 * number


def test_the_counts_of_run_status_and_quarantine_agree(tmp_path: Path) -> None:
    odd: dict[int, Reply] = {1: Reply(403), 2: Reply(404), 3: HTML, 4: Reply(500), 5: redirect("https://x.example.com")}
    with authors(keys=range(1, 51), odd=odd) as (url, _):
        report = run(tmp_path, url, STRICT)
    assert count(report) == {"new": 45, "quarantined": 4, "failed": 1}
    assert len(quarantined(tmp_path)) == 4
    (entry,) = ask(tmp_path, "SELECT endpoints->'$.authors.quarantined' AS quarantined FROM books.runs")
    assert entry["quarantined"] == "4"


def test_missing_records_go_on_to_their_tombstone(tmp_path: Path) -> None:
    clock = Clock()
    with authors(keys=range(1, 41)) as (url, api):
        run(tmp_path, url, STRICT, clock=clock)
        api.keys, api.odd = range(3, 41), {1: Reply(404), 2: Reply(410)}
        assert count(run(tmp_path, url, STRICT, clock=clock)) == {"missing": 2}
        clock.move(days=6.1)
        assert count(run(tmp_path, url, STRICT, clock=clock)) == {"gone": 2}
    assert quarantined(tmp_path) == {}
