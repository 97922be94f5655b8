"""Whatever the network, the caches and the API do: every record arrives in the end, none regresses, nobody is hurried."""

import asyncio
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.crawling import Clock, ask, changes_of, contents, count, run
from tests.hostile import HELD, PAGED, QUICK, STAT, Days, Documents, day, documents, keys, quick, staged
from trawl.crawl import CrawlOptions, crawl, hosts
from trawl.lake import Lake
from trawl.model.errors import GuardTripped
from trawl.replica.faults import FORMS

pytestmark = pytest.mark.xdist_group("waits")


class Progress:
    """Follows the contents of a lake: each is some day's document, and never an older one than before."""

    def __init__(self, *days: Documents) -> None:
        self.days = days
        self.reached: dict[tuple[str, str], int] = {}

    def check(self, stored: Documents) -> None:
        for key, content in stored.items():
            least = self.reached.get(key, 0)
            at = next((n for n, known in enumerate(self.days) if n >= least and known.get(key) == content), None)
            assert at is not None, f"{key}: its content is of no day from {least} on"
            self.reached[key] = at


def test_under_all_faults_at_once_every_record_arrives_and_none_regresses(tmp_path: Path) -> None:
    days = [documents(day(number)) for number in range(4)]
    progress = Progress(*days)
    faults: dict[str, Any] = {
        "errors": 0.05, "resets": 0.01, "cut": 0.02, "html": 0.01, "refused": 0.005,
        "storm_every": 400, "storm_requests": 5, "retry_after": "fractional", "wait": "0.2s",
        "torn": 0.1, "repeated": 0.1, "mixed": 0.1, "flapping": 0.03, "cache": 0.5,
    }  # fmt: skip
    with staged(tmp_path, before=day(0), **faults) as stage:
        for number in range(9):
            stage.app.catalogue = day(min(number, 3))
            stage.crawl(force=number % 3 == 2, endpoints=HELD)
            progress.check(contents(tmp_path))
            stage.clock.move(hours=22 if number < 4 else 50)
    assert contents(tmp_path) == days[3]
    assert stage.referee.trespasses == 0, stage.referee.summary()
    assert {429, 404, 500, 502, 503, 504} < stage.referee.by_status.keys()
    assert sum(report.retries for report in stage.reports) > 50
    gone = {key for report in stage.reports for key in changes_of(tmp_path, report.run_id)["gone"]}
    assert gone == set().union(*days) - days[3].keys() != set()


def test_every_form_of_retry_after_is_kept_to_or_survived(tmp_path: Path) -> None:
    for form in FORMS:
        with staged(tmp_path / form, storm_every=4, storm_requests=1, retry_after=form, wait="0.3s") as stage:
            assert count(stage.crawl(endpoints=("move-ailment",))) == {"new": 4}
            assert stage.referee.by_status[429] >= 1
            announces = form in {"seconds", "date", "fractional", "huge"}
            assert (stage.referee.cool_downs > 0) == announces, form
            assert stage.referee.trespasses == 0, f"{form}: {stage.referee.summary()}"


def test_a_run_that_begins_inside_another_ones_cool_down_waits_for_its_end(tmp_path: Path) -> None:
    hopeless = quick(requests=QUICK | {"attempts": 1})
    with staged(tmp_path, refused=1, retry_after="fractional", wait="0.5s", jitter=0) as stage:
        stage.crawl(hopeless, endpoints=("stat",))
        announced = stage.referee.cool_downs
        stage.crawl(quick(name="other", requests=QUICK | {"attempts": 1}), endpoints=("stat",))
        assert stage.referee.cool_downs > announced
        assert stage.referee.trespasses == 0, stage.referee.summary()


RATE = 25.0


def test_the_rate_is_exceeded_in_no_second_and_no_request_starts_inside_a_cool_down(tmp_path: Path) -> None:
    source = quick(rate={"requests_per_second": RATE, "connections": 8})
    faults = {"errors": 0.1, "resets": 0.05, "cut": 0.05, "slow": 0.05, "slow_time": "0.2s"}
    faults |= {"storm_every": 30, "storm_requests": 3, "retry_after": "fractional", "wait": "0.5s"}
    with staged(tmp_path, **faults) as stage:
        for _ in range(2):  # one right after the other
            stage.crawl(source, rate=None, force=True, endpoints=("item",))
        referee = stage.referee
    assert not referee.exceeded(RATE), referee.summary()
    assert referee.trespasses == 0, referee.summary()
    assert referee.cool_downs > 2
    assert referee.densest > RATE / 4, "it was a race, not a walk"


def test_runs_that_follow_one_another_keep_to_the_rate_together(tmp_path: Path) -> None:
    source = quick(rate={"requests_per_second": 5, "connections": 4})
    with staged(tmp_path, catalogue=Days(0, range(1, 4)), jitter=0.2) as stage:
        stage.crawl(source, rate=None, endpoints=("stat",))
        for _ in range(12):
            assert stage.crawl(source, rate=None, endpoints=("stat",)).requests == 1
    assert not stage.referee.exceeded(5), stage.referee.summary()


def test_runs_at_the_same_time_learn_of_each_others_cool_downs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosts, "POLL", 0.1)
    patient = QUICK | {"max_retry_after": "1.5s"}
    with staged(tmp_path, jitter=0.8, longest=1.5, storm_every=150, storm_requests=1, wait="1.5s",
                retry_after="fractional", slow=1, slow_time="0.1s") as stage:  # fmt: skip
        options = CrawlOptions(base_url=stage.url, rate="unlimited", endpoints=HELD)
        sources = (quick(requests=patient), quick(requests=patient, name="other"))

        async def together() -> None:
            await asyncio.gather(*(crawl(source, Lake(tmp_path), options) for source in sources))

        asyncio.run(together())
    assert stage.referee.cool_downs > 1
    assert stage.referee.trespasses == 0, stage.referee.summary()


def test_a_budget_counts_every_try(tmp_path: Path) -> None:
    with staged(tmp_path, errors=0.3, resets=0.1, cut=0.1) as stage:
        report = stage.crawl(max_requests=100)
        assert report.requests == stage.referee.requests == 100
        assert "stay due" in (report.note or "")


@pytest.mark.parametrize("fault", ["torn", "repeated"])
def test_no_torn_or_repeated_list_is_believed_and_the_next_whole_one_is(tmp_path: Path, fault: str) -> None:
    for name, form in (("one page", STAT), ("many", PAGED)):
        lake = tmp_path / name
        with staged(lake, catalogue=Days(0, range(1, 31))) as stage:
            stage.crawl(quick(**form))
        with staged(lake, catalogue=Days(1, range(3, 33)), **{fault: 1}) as stage:
            report = stage.crawl(quick(**form), force=True)
            assert "torn listing" in report.endpoints["stat"].notes[0]
            assert keys(lake) == set(range(1, 31))
        with staged(lake, catalogue=Days(1, range(3, 33))) as stage:
            stage.crawl(quick(**form), force=True)
            assert keys(lake) == set(range(3, 33))


def test_pages_of_two_days_never_make_a_listing_though_their_number_fits(tmp_path: Path) -> None:
    lists = set()
    for seed in range(3, 8):
        lake = tmp_path / str(seed)
        new = Days(1, range(2, 32), unlisted=(1,))
        with staged(lake, before=Days(0, range(1, 31)), catalogue=new, mixed=0.2, seed=seed) as stage:
            stage.crawl(quick(**PAGED))
        lists.add(frozenset(keys(lake)))
    assert lists == {frozenset(), frozenset(range(2, 32))}


def test_caches_of_the_old_day_beside_a_new_token_are_seen_through_until_all_is_new(tmp_path: Path) -> None:
    days = [documents(day(number)) for number in (0, 1)]
    progress = Progress(*days)
    with staged(tmp_path, before=day(0), catalogue=day(1), cache=0.9) as stage:
        for _ in range(4):
            stage.crawl(endpoints=HELD)
            progress.check(contents(tmp_path))
            stage.clock.move(hours=8)
        assert count(stage.reports[1]), "the caches still held something of the old day"
        stage.clock.move(days=5)  # the caches may hold as long that what is new does not exist
        stage.crawl(endpoints=HELD)
        assert contents(tmp_path) == days[1]
        assert stage.crawl(endpoints=HELD).requests == 1, "now the token is settled"


def test_a_lake_of_the_new_day_believes_no_cache_of_the_old_one(tmp_path: Path) -> None:
    with staged(tmp_path, catalogue=day(2)) as stage:
        stage.crawl()
    stored = contents(tmp_path)
    with staged(tmp_path, before=day(0), catalogue=day(2), cache=0.5) as stage:
        report = stage.crawl(force=True)
        assert report.total("failed") > 0
        assert contents(tmp_path) == stored
        assert not changes_of(tmp_path, report.run_id)


def test_html_in_the_place_of_everything_leaves_the_lake_as_it_is(tmp_path: Path) -> None:
    with staged(tmp_path) as stage:
        stage.crawl()
    stored = contents(tmp_path)
    with staged(tmp_path, html=1) as stage, pytest.raises(GuardTripped, match="not JSON"):
        stage.crawl(force=True)
    assert contents(tmp_path) == stored


def test_html_in_the_place_of_some_goes_to_quarantine_until_the_record_comes(tmp_path: Path) -> None:
    with staged(tmp_path, html=0.08) as stage:
        report = stage.crawl(endpoints=HELD)
        held = ask(tmp_path, "SELECT endpoint, key, object FROM pokeapi.quarantine WHERE open")
        assert len(held) == report.total("quarantined") > 3
        assert all("We will be right back" in (tmp_path / row["object"]).read_text() for row in held)
        assert not contents(tmp_path).keys() & {(row["endpoint"], row["key"]) for row in held}
    with staged(tmp_path) as stage:
        stage.clock.move(days=1)
        stage.crawl()
    assert contents(tmp_path) == documents(day(0))
    assert ask(tmp_path, "FROM pokeapi.quarantine WHERE open") == []


def test_a_list_that_loses_most_is_held_and_let_through_when_it_is_accepted(tmp_path: Path) -> None:
    with staged(tmp_path) as stage:
        stage.crawl()
    stored = contents(tmp_path)
    machines = {key for key in stored if key[0] == "machine"}
    with staged(tmp_path, lost=0.95, lost_of="machine") as stage:
        report = stage.crawl(force=True)
        assert (report.status, report.held) == ("held", ["machine"])
        assert contents(tmp_path) == stored
        accepted = stage.crawl(accept=("machine",))
    assert (
        accepted.endpoints["machine"].missing
        == len(stored) - len(contents(tmp_path))
        == math.ceil(0.95 * len(machines))
    )


def test_a_listed_record_that_flaps_is_neither_missing_nor_gone_and_arrives(tmp_path: Path) -> None:
    with staged(tmp_path, catalogue=day(0), flapping=0.04) as stage:
        assert stage.crawl(endpoints=HELD).total("quarantined") > 3
        for _ in range(4):
            stage.clock.move(days=3)
            stage.crawl(force=True, endpoints=HELD)
    assert contents(tmp_path) == documents(day(0))
    assert {change["change"] for change in ask(tmp_path, "SELECT change FROM pokeapi.changes")} == {"created"}


def test_a_404_that_caches_keep_for_days_only_delays_its_record(tmp_path: Path) -> None:
    with staged(tmp_path, flapping=0.04, cache=1) as stage:
        late = stage.crawl(endpoints=HELD).total("quarantined")
        stage.clock.move(hours=3)
        assert late > 3
        assert stage.crawl(endpoints=HELD).requests == 1 + 9, "nobody asks a cache in vain for a record"
        for _ in range(2):
            stage.clock.move(days=5.1)
            stage.crawl(endpoints=HELD)
    assert contents(tmp_path) == documents(day(0))


def test_where_everything_flaps_nothing_is_committed_and_the_next_run_gets_it(tmp_path: Path) -> None:
    with staged(tmp_path, catalogue=Days(0, range(1, 41)), flapping=1) as stage:
        with pytest.raises(GuardTripped):
            stage.crawl(quick(**STAT))
        assert contents(tmp_path) == {}
        for _ in range(4):
            try:
                stage.crawl(quick(**STAT))
            except GuardTripped:
                continue
            break
    assert keys(tmp_path) == set(range(1, 41))


def test_past_the_window_what_is_gone_has_its_tombstone_and_what_answers_now_and_then_has_not(tmp_path: Path) -> None:
    states: list[dict[int, str]] = []
    with staged(tmp_path, catalogue=Days(0, range(1, 41))) as stage:
        stage.crawl(quick(**STAT))
        for number in range(1, 12):
            stage.clock.move(days=1)
            # 1, 2 and 3 leave the list; 2 and 3 still answer, in turns.
            stage.app.catalogue = Days(number, range(4, 41), unlisted=(2 + number % 2,))
            stage.crawl(quick(**STAT))
            rows = ask(tmp_path, "SELECT key, state FROM pokeapi.records")
            states.append({int(row["key"]): row["state"] for row in rows})
    assert [known.get(1, "gone") for known in states] == ["missing"] * 6 + ["gone"] * 5
    assert {known.get(key, "gone") for known in states for key in (2, 3)} == {"missing"}


@pytest.mark.archives
def test_a_whole_real_day_arrives_through_faults(archives: Path, tmp_path: Path) -> None:
    from tests.real.test_two_days import read

    archive = archives / "2026-08-08.tar.zst"
    faults = [
        "errors=0.05",
        "cut=0.01",
        "resets=0.005",
        "html=0.001",
        "storm_every=4000",
        "storm_requests=20",
        "torn=0.1",
    ]
    command = [sys.executable, "-c", "from trawl.cli import main; main()", "replica", "--archive", str(archive)]
    for fault in faults:
        command += ["--fault", fault]
    command += ["--jitter", "0.5s"]  # of the cool-downs' one second: two processes share a busy machine's processors
    clock = Clock()
    with subprocess.Popen([*command, "--port", "0"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            url = process.stdout.readline().split()[1]
            for _ in range(3):
                run(tmp_path, url, quick(requests=QUICK | {"max_retry_after": "1m"}), clock=clock)
                clock.move(days=1)
            seen = httpx.get(url.replace("/api/v2", "/referee")).json()
        finally:
            process.terminate()
    assert contents(tmp_path) == read(archive)
    assert (seen["trespasses"], seen["examples"]) == (0, [])
    assert seen["by_status"]["429"] >= 20
    assert seen["by_status"]["503"] > 100
