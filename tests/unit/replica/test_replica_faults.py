"""Faults on request: exactly those, to the same requests each time, and seen by the referee."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest
from small_pokeapi import FILES, Ask, Reply, asking

from trawl.model.errors import ConfigurationError
from trawl.replica import Catalogue, Faults, GeneratedCatalogue, Referee, RefereedApp, ReplicaApp, faulty, running
from trawl.replica.faults import FORMS


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 8, 3, 12, 0, 0, 250_000, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


def asked(
    catalogue: Catalogue, *, before: Catalogue | None = None, clock: Any = None, announce: Any = None, **faults: Any
) -> Ask:
    old = None if before is None else ReplicaApp(before)
    more = {} if announce is None else {"announce": announce}
    return asking(faulty(ReplicaApp(catalogue), Faults(**faults), before=old, clock=clock or Clock(), **more))


@contextmanager
def served(catalogue: Catalogue, **faults: Any) -> Iterator[tuple[str, Referee]]:
    referee = Referee()
    with running(RefereedApp(faulty(ReplicaApp(catalogue), Faults(**faults)), referee)) as url:
        yield url, referee


def statuses(ask: Ask, times: int = 200) -> list[int]:
    return [ask(f"/api/v2/move/{1 + number % 25}/").status for number in range(times)]


def ids(reply: Reply) -> list[str]:
    return [entry["url"] for entry in reply.json()["results"]]


# -- settings ----------------------------------------------------------------------------------------------


def test_without_faults_every_answer_is_the_replicas_own(small: Catalogue, ask: Ask) -> None:
    calm = asked(small)
    for target in ("/api/v2/", "/api/v2/meta/", "/api/v2/move/?limit=5", "/api/v2/move/3/", "/api/v2/move/99/", "/x"):
        assert calm(target) == ask(target)


def test_faults_are_read_from_text() -> None:
    faults = Faults.parse(["errors=0.05", "slow-time=1m", "storm_every=9", "lost_of=item,move", "retry_after=any"])
    assert faults == Faults(
        errors=0.05, slow_time=timedelta(minutes=1), storm_every=9, lost_of=("item", "move"), retry_after="any"
    )
    assert all(f"`{name}=" in Faults.describe() for name in Faults.__slots__)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("erors=1", "there are: errors, resets"),
        ("errors", "errors=VALUE"),
        ("errors=", "a share from 0 to 1"),
        ("errors=5%", "a share from 0 to 1"),
        ("errors=1.01", "a share from 0 to 1"),
        ("errors=-0.1", "a share from 0 to 1"),
        ("errors=nan", "a share from 0 to 1"),
        ("storm_every=1.5", "a whole number"),
        ("storm_every=-1", "a whole number"),
        ("slow_time=soon", "a duration"),
        ("slow_time=2d", "a duration"),
        ("retry_after=never", "fractional"),
    ],
)
def test_a_wrong_fault_is_refused_with_what_would_be_right(text: str, words: str) -> None:
    with pytest.raises(ConfigurationError) as found:
        Faults.parse([text])
    assert words in str(found.value)


def test_a_fault_given_twice_or_without_the_day_that_it_needs_is_refused(small: Catalogue) -> None:
    with pytest.raises(ConfigurationError, match="twice"):
        Faults.parse(["errors=0.1", "errors=0.2"])
    with pytest.raises(ConfigurationError, match="--before"):
        asked(small, mixed=0.1)


# -- the wire ----------------------------------------------------------------------------------------------


def test_the_same_requests_meet_the_same_faults_in_any_order_and_another_seed_others(small: Catalogue) -> None:
    def outcome(seed: int, order: Callable[[list[str]], Any] = list) -> Counter[tuple[str, int]]:
        ask = asked(small, errors=0.3, refused=0.2, seed=seed)
        targets = [f"/api/v2/move/{number}/" for number in range(1, 26)] * 4
        return Counter((target, ask(target).status) for target in order(targets))

    assert outcome(1) == outcome(1, sorted) == outcome(1, lambda targets: targets[::-1])
    assert outcome(1) != outcome(2)


def test_a_share_of_requests_fails_and_a_repeated_one_gets_through(small: Catalogue) -> None:
    found = Counter(statuses(asked(small, errors=0.2), 1_000))
    assert 0.15 < 1 - found[200] / 1_000 < 0.25
    assert found.keys() == {200, 500, 502, 503, 504}
    ask = asked(small, errors=0.5)
    assert all(200 in {ask(f"/api/v2/move/{number}/").status for _ in range(20)} for number in range(1, 26))


def test_an_html_page_comes_with_status_200_for_anything(small: Catalogue) -> None:
    ask = asked(small, html=1)
    for target in ("/api/v2/meta/", "/api/v2/move/", "/api/v2/move/1/"):
        reply = ask(target)
        assert (reply.status, reply.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert reply.body.startswith(b"<!DOCTYPE html>")


def test_a_cut_body_ends_before_what_its_length_promises(small: Catalogue) -> None:
    with served(small, cut=1) as (url, referee), httpx.Client() as client:
        with pytest.raises(httpx.RemoteProtocolError, match="without sending complete message body"):
            client.get(f"{url}/move/1/")
        assert client.get(f"{url}/meta/", headers={"if-none-match": "*"}).status_code == 304, "there is none to cut"
    assert referee.by_status == {200: 1, 304: 1}


def test_a_reset_connection_gives_no_answer(small: Catalogue, capfd: pytest.CaptureFixture[str]) -> None:
    with served(small, resets=1) as (url, referee), httpx.Client() as client:
        for _ in range(3):
            with pytest.raises(httpx.ReadError, match="reset"):
                client.get(f"{url}/move/1/")
    assert (referee.requests, referee.by_status) == (3, {})
    assert capfd.readouterr() == ("", "")


def test_a_slow_body_arrives_whole_in_the_time_that_it_takes(small: Catalogue) -> None:
    with served(small, slow=1, slow_time="0.2s") as (url, _), httpx.Client() as client:
        begun = datetime.now(UTC)
        assert client.get(f"{url}/move/1/").content == FILES["move/1"]
        assert datetime.now(UTC) - begun >= timedelta(seconds=0.19)


def test_latency_is_before_every_answer_refusals_too(small: Catalogue) -> None:
    with served(small, latency="0.1s", refused=0.5) as (url, _), httpx.Client() as client:
        for key in range(1, 5):
            begun = datetime.now(UTC)
            assert client.get(f"{url}/move/{key}/").status_code in {200, 429}
            assert datetime.now(UTC) - begun >= timedelta(seconds=0.09)


def test_a_storm_refuses_everything_for_so_many_requests(small: Catalogue) -> None:
    found = statuses(asked(small, storm_every=5, storm_requests=3), 20)
    assert found == [200] * 5 + [429] * 3 + [200] * 5 + [429] * 3 + [200] * 4


def test_a_storm_refuses_everything_for_so_long(small: Catalogue) -> None:
    clock = Clock()
    ask = asked(small, clock=clock, storm_every=5, storm_time="10s")
    assert statuses(ask, 9) == [200] * 5 + [429] * 4
    clock.now += timedelta(seconds=9)
    assert statuses(ask, 1) == [429]
    clock.now += timedelta(seconds=1)
    assert statuses(ask, 6) == [200] * 5 + [429]


@pytest.mark.parametrize("form", FORMS)
def test_each_form_of_retry_after_says_what_it_announces(small: Catalogue, form: str) -> None:
    clock, announced = Clock(), []
    ask = asked(small, clock=clock, announce=announced.append, refused=1, retry_after=form, wait="2.5s")
    value = ask("/api/v2/move/1/").headers.get("retry-after")
    expected: dict[str, tuple[str | None, list[timedelta]]] = {
        "seconds": ("3", [timedelta(seconds=3)]),
        "date": ("Mon, 03 Aug 2026 12:00:03 GMT", [timedelta(seconds=2.75)]),
        "past": ("Mon, 03 Aug 2026 11:00:00 GMT", []),
        "negative": ("-3", []),
        "zero": ("0", []),
        "fractional": ("2.5", [timedelta(seconds=2.5)]),
        "huge": ("9" * 40, [timedelta.max]),
        "garbage": ("soon", []),
        "missing": (None, []),
    }
    assert (value, announced) == expected[form]
    if form == "date":
        assert value is not None
        assert parsedate_to_datetime(value) == clock.now + announced[0]


def test_any_form_of_retry_after_may_come(small: Catalogue) -> None:
    ask = asked(small, refused=1, retry_after="any")
    assert len({ask("/api/v2/move/1/").headers.get("retry-after", "") for _ in range(100)}) == len(FORMS)


# -- the origin --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("query", ["?limit=100000", "?limit=10&offset=10", ""])
def test_a_torn_list_lacks_entries_and_counts_them_still(small: Catalogue, ask: Ask, query: str) -> None:
    whole, torn = ask(f"/api/v2/move/{query}"), asked(small, torn=1)(f"/api/v2/move/{query}")
    assert torn.json()["count"] == 25
    assert set(ids(torn)) < set(ids(whole))
    assert torn.headers["etag"] != whole.headers["etag"]
    assert int(torn.headers["content-length"]) == len(torn.body)


def test_a_repeated_page_is_the_one_before_and_a_repeated_entry_takes_the_place_of_another(
    small: Catalogue, ask: Ask
) -> None:
    repeating = asked(small, repeated=1)
    page = repeating("/api/v2/move/?limit=10&offset=10")
    assert ids(page) == ids(ask("/api/v2/move/?limit=10"))
    assert page.json()["next"] == ask("/api/v2/move/?limit=10&offset=10").json()["next"]
    whole = ids(repeating("/api/v2/move/?limit=100"))
    assert (len(whole), len(set(whole))) == (25, 24)


def test_a_list_that_lost_most_is_consistent_on_every_page(small: Catalogue, ask: Ask) -> None:
    lossy = asked(small, lost=0.6, lost_of="move")
    assert lossy("/api/v2/move/?limit=100").json()["count"] == 10
    first, second, beyond = (lossy(f"/api/v2/move/?limit=8&offset={offset}") for offset in (0, 8, 16))
    assert [len(ids(page)) for page in (first, second, beyond)] == [8, 2, 0]
    assert (second.json()["next"], beyond.json()["count"]) == (None, 10)
    assert ids(first) + ids(second) == ids(ask("/api/v2/move/?limit=10"))
    assert lossy("/api/v2/item/?limit=9") == ask("/api/v2/item/?limit=9")


def test_a_mixed_list_takes_pages_from_the_day_before() -> None:
    days = [GeneratedCatalogue(200, seed=7, day=number) for number in (0, 3)]
    mixed = asked(days[1], before=days[0], mixed=0.5)
    old, new = (asking(ReplicaApp(day)) for day in days)
    targets = [f"/api/v2/machine/?limit=5&offset={offset}" for offset in range(0, 40, 5)]
    found = [mixed(target) for target in targets]
    origins = {day for target, reply in zip(targets, found, strict=True) for day in (old, new) if reply == day(target)}
    assert origins == {old, new}


def test_a_flapping_record_answers_404_every_other_time_and_a_list_never(small: Catalogue) -> None:
    ask = asked(small, flapping=1)
    assert statuses(ask, 25) == [404] * 25
    assert statuses(ask, 25) == [200] * 25
    assert ask("/api/v2/move/").status == ask("/api/v2/meta/").status == 200
    assert "max-age=432000" in ask("/api/v2/move/1/").headers["cache-control"]
    steady = sum(status == 200 for status in statuses(asked(small, flapping=0.5), 25))
    assert 5 < steady < 20


# -- the edge ----------------------------------------------------------------------------------------------


def machines() -> list[str]:
    days = [GeneratedCatalogue(200, seed=7, day=number) for number in (0, 1)]
    return [f"/api/v2/machine/{key}/" for key in range(1, 99) if all(day.find(f"machine/{key}") for day in days)]


def test_each_address_is_cached_apart_until_its_own_end() -> None:
    clock, app = Clock(), ReplicaApp(GeneratedCatalogue(200, seed=7, day=0))
    ask = asking(faulty(app, Faults(cache=1), clock=clock))
    targets = ["/api/v2/meta/", "/api/v2/machine/", *machines()]
    first = {target: ask(target).headers["x-pokeapi-hash"] for target in targets}
    app.catalogue = GeneratedCatalogue(200, seed=7, day=1)
    clock.now += timedelta(hours=10)
    later = {target: ask(target) for target in targets}
    old = {target for target in targets if later[target].headers["x-pokeapi-hash"] == first[target]}
    assert 5 < len(old) < len(targets) - 5
    assert {later[target].headers["age"] for target in old} == {"36000"}
    assert not any("age" in later[target].headers for target in targets if target not in old)
    clock.now += timedelta(hours=14)
    assert not [target for target in targets if ask(target).headers["x-pokeapi-hash"] == first[target]]


def test_a_cache_answers_304_to_who_has_what_it_holds(small: Catalogue) -> None:
    clock = Clock()
    ask = asked(small, clock=clock, cache=1)
    etag = ask("/api/v2/move/1/").headers["etag"]
    clock.now += timedelta(seconds=7)
    reply = ask("/api/v2/move/1/", if_none_match=etag)
    assert (reply.status, reply.body, reply.headers["age"]) == (304, b"", "7")


def test_a_404_is_cached_for_days_though_the_record_has_come() -> None:
    clock, app = Clock(), ReplicaApp(GeneratedCatalogue(200, seed=7, day=0))
    ask = asking(faulty(app, Faults(cache=1), clock=clock))
    created = "/api/v2/item/38/"
    assert ask(created).status == 404
    app.catalogue = GeneratedCatalogue(200, seed=7, day=3)
    seen = []
    for _ in range(6):
        seen.append(ask(created).status)
        clock.now += timedelta(days=1)
    assert seen[0] == 404
    assert seen == sorted(seen, reverse=True)
    assert seen[-1] == 200


def test_a_cache_starts_out_with_the_day_before_and_ages_of_its_own() -> None:
    clock = Clock()
    days = [GeneratedCatalogue(200, seed=7, day=number) for number in (0, 1)]
    ask = asked(days[1], before=days[0], clock=clock, cache=0.7)
    replies = [ask(target) for target in machines()]
    stale = [reply for reply in replies if reply.headers["x-pokeapi-hash"] == days[0].release.hash]
    assert 15 < len(stale) < len(replies)
    assert len({reply.headers["age"] for reply in stale}) > 10
    assert all(0 <= int(reply.headers["age"]) < 86_400 for reply in stale)
    clock.now += timedelta(days=1)
    assert {ask(target).headers["x-pokeapi-hash"] for target in machines()} == {days[1].release.hash}


# -- the referee -------------------------------------------------------------------------------------------


def test_the_referee_counts_a_burst_and_what_starts_inside_a_cool_down(small: Catalogue) -> None:
    referee = Referee(jitter=0.05)
    world = faulty(ReplicaApp(small), Faults(storm_every=30, retry_after="seconds"), announce=referee.announced)
    with running(RefereedApp(world, referee)) as url, httpx.Client() as client:
        for _ in range(31):
            last = client.get(f"{url}/move/1/")
        assert (last.status_code, referee.trespasses) == (429, 0)
        assert referee.exceeded(10)
        while referee.trespasses == 0:
            client.get(f"{url}/move/2/")
        seen = client.get(url.replace("/api/v2", "/referee")).json()
    assert seen["requests"] == referee.requests == sum(referee.by_status.values())
    assert seen["densest_second"] >= seen["certain_second"] > 10
    assert seen["trespasses"] == 1
    assert "/api/v2/move/2/" in seen["examples"][0]
    assert "1 requests inside one" in referee.summary()


def test_a_request_that_was_under_way_when_a_cool_down_began_is_not_blamed() -> None:
    clock = Clock()
    referee = Referee(jitter=0.1, longest=600, clock=clock)
    referee.announced(timedelta(seconds=5))
    for after, trespasses in ((0.1, 0), (0.01, 1), (4.88, 2), (0.01, 2), (60, 2)):
        clock.now += timedelta(seconds=after)
        referee.arrived("x")
        assert referee.trespasses == trespasses, after


def test_cool_downs_that_overlap_last_to_the_later_end_and_none_for_a_century() -> None:
    clock = Clock()
    referee = Referee(jitter=0, longest=600, clock=clock)
    referee.announced(timedelta(seconds=5))
    referee.announced(timedelta(seconds=2))
    clock.now += timedelta(seconds=4)
    referee.arrived("x")
    assert referee.trespasses == 1
    referee.announced(timedelta.max)
    clock.now += timedelta(seconds=599)
    referee.arrived("x")
    clock.now += timedelta(seconds=1)
    referee.arrived("x")
    assert (referee.trespasses, referee.cool_downs) == (2, 3)


def test_the_densest_second_is_found_wherever_it_lies(monkeypatch: pytest.MonkeyPatch) -> None:
    instants = iter([0.0, 0.5, 1.0, 10.0, 10.2, 10.95, 11.0, 20.0])
    monkeypatch.setattr("trawl.replica.referee.time.monotonic", lambda: next(instants))
    referee = Referee(jitter=0.1)
    for _ in range(8):
        referee.arrived("x")
    assert (referee.densest, referee.certain) == (3, 3)
    assert referee.exceeded(2)
    assert not referee.exceeded(2.5)


def test_the_referee_is_no_part_of_the_api(small: Catalogue) -> None:
    referee = Referee()
    ask = asking(RefereedApp(ReplicaApp(small), referee))
    assert json.loads(ask("/referee").body)["requests"] == referee.requests == 0
