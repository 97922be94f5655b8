"""The guards' table of the design, line by line, at its edges."""

from pathlib import Path
from typing import Any

import pytest

from tests.authors import Reply, author, authors, source
from tests.crawling import ask, count, run
from tests.hostile import HELD, STAT, Days, keys, quick, staged
from trawl.model.errors import GuardTripped


def guarded(**guards: Any) -> Any:
    return quick(endpoints={"stat": {"guards": guards}})


@pytest.mark.parametrize(
    ("known", "lost", "held"), [(40, 5, False), (40, 6, True), (60, 6, False), (61, 6, False), (60, 7, True)]
)
def test_a_list_may_lose_five_records_or_a_tenth_but_not_more(
    tmp_path: Path, known: int, lost: int, held: bool
) -> None:
    with staged(tmp_path, catalogue=Days(0, range(known))) as stage:
        stage.crawl(quick(**STAT))
        stage.app.catalogue = Days(1, range(lost, known))
        report = stage.crawl(quick(**STAT))
        assert (report.held == ["stat"]) == held
        assert len(keys(tmp_path)) == (known if held else known - lost)
        if held:
            assert report.status == "held"
            assert ask(tmp_path, "FROM pokeapi.records WHERE state = 'missing'") == []
            assert stage.crawl(quick(**STAT), mode="discover").held == ["stat"], "discovery believes no more"
            stage.crawl(quick(**STAT), accept=("stat",))
            assert len(keys(tmp_path)) == known - lost


@pytest.mark.parametrize("action", ["alarm", "hold"])
def test_a_mass_change_rings_the_alarm_and_is_held_where_the_source_says_so(tmp_path: Path, action: str) -> None:
    source = guarded(changed={"action": action})
    with staged(tmp_path, catalogue=Days(0, range(102))) as stage:
        stage.crawl(source)
        stage.app.catalogue = Days(1, range(102))
        report = stage.crawl(source)
        assert report.endpoints["stat"].changed == 102
        assert "mass change: 102 of 102 records changed" in report.endpoints["stat"].notes
        assert report.held == (["stat"] if action == "hold" else [])
        deploys = {row["deploy"] for row in ask(tmp_path, "SELECT payload->>'deploy' AS deploy FROM pokeapi.records")}
        assert deploys == {"0" if action == "hold" else "1"}


@pytest.mark.parametrize(
    ("known", "changed", "rings"), [(100, 50, False), (101, 51, True), (40, 36, False), (40, 37, True), (4, 4, False)]
)
def test_a_mass_is_half_and_fifty_or_nearly_all_of_a_small_endpoint(
    tmp_path: Path, known: int, changed: int, rings: bool
) -> None:
    with authors(keys=range(1, known + 1)) as (url, api):
        run(tmp_path, url, source())
        api.odd = {key: Reply(body=author(key, seen=2)) for key in range(1, changed + 1)}
        report = run(tmp_path, url, source(), force=True)
    notes = [f"mass change: {changed} of {known} records changed"] if rings else []
    assert (report.endpoints["authors"].changed, report.endpoints["authors"].notes) == (changed, notes)


@pytest.mark.parametrize(("due", "failed", "aborted"), [(40, 5, False), (40, 6, True), (60, 6, False), (60, 7, True)])
def test_more_than_a_tenth_and_five_failures_abort_and_the_next_run_goes_on(
    tmp_path: Path, due: int, failed: int, aborted: bool
) -> None:
    with authors(keys=range(1, due + 1), odd=dict.fromkeys(range(1, failed + 1), Reply(500))) as (url, api):
        if aborted:
            with pytest.raises(GuardTripped, match=f"of {due} due records failed"):
                run(tmp_path, url, source())
            assert ask(tmp_path, "SELECT status FROM books.runs") == [{"status": "aborted"}]
        else:
            assert count(run(tmp_path, url, source())) == {"new": due - failed, "failed": failed}
        api.odd = {}
        run(tmp_path, url, source(), force=not aborted)
    assert ask(tmp_path, "SELECT count(*) AS n FROM books.records") == [{"n": due}]


def test_an_endpoint_that_the_api_does_not_have_is_absent_and_one_that_it_had_is_held(tmp_path: Path) -> None:
    with staged(tmp_path, catalogue=Days(0, range(10))) as stage:
        report = stage.crawl(quick(), endpoints=("stat", *HELD))
        assert report.status == "done"
        assert {name for name, endpoint in report.endpoints.items() if endpoint.absent} == {*HELD} - {
            "pokemon-encounters"
        }
        stage.app.catalogue = Days(1, range(0))
        find = stage.app.catalogue.find
        stage.app.catalogue.find = lambda path: None if path.startswith("stat") else find(path)
        report = stage.crawl(quick(), endpoints=("stat", *HELD))
        assert (report.status, report.held) == ("held", ["stat"])
    assert len(keys(tmp_path)) == 10


def test_two_refusals_must_be_six_days_apart_and_a_listing_between_them_starts_anew(tmp_path: Path) -> None:
    def state() -> str:
        rows = ask(tmp_path, "SELECT state FROM pokeapi.records WHERE key = '1'")
        return rows[0]["state"] if rows else "gone"

    with staged(tmp_path, catalogue=Days(0, range(1, 41))) as stage:
        stage.crawl(quick(**STAT))
        without, whole = Days(1, range(2, 41)), Days(1, range(1, 41))
        stage.app.catalogue = without
        stage.crawl(quick(**STAT))
        stage.clock.move(days=5.9)
        stage.crawl(quick(**STAT), force=True)
        assert state() == "missing"
        stage.app.catalogue = whole
        stage.crawl(quick(**STAT), force=True)
        assert state() == "present"
        stage.app.catalogue = without
        for _ in range(2):
            stage.crawl(quick(**STAT), force=True)
            assert state() == "missing", "what was refused before it was listed again says nothing"
            stage.clock.move(days=5.9)
        stage.clock.move(days=0.2)
        stage.crawl(quick(**STAT))
        assert state() == "gone"
        stage.app.catalogue = whole
        stage.crawl(quick(**STAT), force=True)
        assert state() == "present"
    assert ask(tmp_path, "SELECT max(version) AS n FROM pokeapi.versions WHERE key = '1'") == [{"n": 2}]
