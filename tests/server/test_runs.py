"""Runs on a real server and a real worker: what pods, deaths, cancellation and an absent server do to a run and its lake."""

import json
import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.crawling import ask, contents, run
from tests.server.place import Api, Place, processes_of
from tests.server.processes import PREFECT, Server, server, until
from trawl.replica import ArchiveCatalogue, GeneratedCatalogue, running

SETUP = """
pool: {name: trawl, type: process}
sources:
  pokeapi:
    rate: unlimited
    discover: {cron: ""}
    refresh: {cron: ""}
"""


@pytest.fixture(scope="module")
def api() -> Iterator[tuple[Api, str]]:
    api = Api()
    with running(api) as url:
        yield api, url


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("server")


@pytest.fixture(scope="module")
def a_server(home: Path) -> Iterator[Server]:
    with server(home / "prefect", PREFECT_SERVER_LOGGING_LEVEL="INFO") as made:
        file = home / "setup.yaml"
        file.write_text(SETUP)
        command = [*PREFECT[:1], "-c", "from trawl.cli import main; main()", "setup", "--config", str(file)]
        subprocess.run(command, env=made.env, check=True, cwd=home, stdout=subprocess.DEVNULL)
        yield made


@pytest.fixture
def place(a_server: Server, api: tuple[Api, str], tmp_path: Path) -> Iterator[Place]:
    found = Place(a_server, api[0], api[1], tmp_path)
    api[0].asked.clear()
    with found.worker() as found.working:
        try:
            yield found
        finally:
            api[0].release()


@pytest.fixture(scope="module")
def alone(api: tuple[Api, str], tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Any]:
    """What the engine alone makes of the API."""
    lake = tmp_path_factory.mktemp("alone")
    run(lake, api[1])
    return contents(lake)


def test_a_refresh_over_three_pods_gives_the_lake_of_one(place: Place, alone: Any) -> None:
    run = place.start(pods=3)
    state = place.ended(run)
    assert state["type"] == "COMPLETED", state
    assert len(place.pods(run)) == 3
    assert contents(place.lake) == alone
    assert max(place.api.asked[path] for path in place.api.asked if path.rpartition("/")[2].isdigit()) == 1


def test_of_a_pod_that_is_killed_only_its_unfinished_shards_are_fetched_again(place: Place, alone: Any) -> None:
    place.api.hold("item/2[0-9]*")
    run = place.start(pods=3)
    until(lambda: place.api.waiting, "a pod that waits")
    until(lambda: len([p for p in place.pods(run) if p["state"]["type"] == "COMPLETED"]) >= 1, "a pod that is done")
    # One that runs may have finished its shards already; one that is kept waiting has not.
    victim = next(pod for pod in place.pods(run) if place.keeps_waiting(pod) and processes_of(pod["id"]))
    for number in processes_of(victim["id"]):
        os.kill(number, signal.SIGKILL)
    place.api.release()
    state = place.ended(run)
    assert state["type"] == "COMPLETED", state
    assert "fetched again" in place.log(run)
    assert contents(place.lake) == alone


def test_a_cancelled_run_takes_its_pods_with_it_and_the_next_goes_on(place: Place, alone: Any) -> None:
    place.api.hold("item/2[0-9]*")
    run = place.start(pods=3)
    until(lambda: place.api.waiting, "a pod that waits")
    until(lambda: [pod for pod in place.pods(run) if pod["state"]["type"] == "COMPLETED"], "a pod that is done")
    place.prefect("flow-run", "cancel", run)
    assert place.ended(run)["type"] == "CANCELLED"
    until(lambda: all(pod["state"]["type"] in {"CANCELLED", "COMPLETED"} for pod in place.pods(run)), "the pods' end")
    until(lambda: not any(processes_of(pod["id"]) for pod in place.pods(run)), "the end of the pods' processes")
    assert contents(place.lake) == {}
    place.api.release()
    asked = Counter(place.api.asked)
    again = place.start(pods=3)
    assert place.ended(again)["type"] == "COMPLETED"
    assert contents(place.lake) == alone
    assert sum((place.api.asked - asked).values()) < len(alone)  # what was finished was kept


@pytest.mark.parametrize("pods", [1, 3])
def test_a_server_that_is_away_for_half_a_minute_costs_a_run_nothing(place: Place, alone: Any, pods: int) -> None:
    place.api.hold("item/2[0-9]*")
    run = place.start(pods=pods)
    until(lambda: place.api.waiting, "a run that waits")
    with place.server.away():
        place.api.release()
        time.sleep(30)
    with place.worker():  # a worker ends where its server is away for long; in a cluster its pod is started anew
        state = place.ended(run)
    assert state["type"] == "COMPLETED", state
    assert contents(place.lake) == alone


def test_the_server_is_asked_for_shards_and_not_for_records(place: Place) -> None:
    def calls(**parameters: Any) -> int:
        before = place.server.requests()
        run = place.start(**parameters)
        time.sleep(0.5)
        subprocess.run(
            [*PREFECT, "flow-run", "watch", run], env=place.server.env, check=True, stdout=subprocess.DEVNULL
        )
        return place.server.requests() - before

    few = calls(endpoints=["move-ailment"])
    many = calls()
    shards = 5
    assert many - few < 20 * shards, (few, many)  # and there are fifteen hundred records


def test_a_suspended_run_ends_between_two_shards_and_goes_on_with_the_rest(place: Place, alone: Any) -> None:
    place.api.hold("item/2[0-9]*")
    run = place.start()
    until(lambda: place.api.waiting, "a run that waits")
    details = {"pause_reschedule": True, "pause_timeout": "2099-01-01T00:00:00Z"}
    state = {"type": "PAUSED", "name": "Suspended", "state_details": details}
    assert place.post(f"flow_runs/{run}/set_state", {"state": state})["status"] == "ACCEPT"
    time.sleep(6)  # the run listens for this itself: the server tells it, or it looks every few seconds
    place.api.release()
    until(lambda: not processes_of(run), "the end of the suspended run's process")
    assert place.state(run)["name"] == "Suspended"
    assert contents(place.lake) == {}
    asked = Counter(place.api.asked)
    assert place.post(f"flow_runs/{run}/resume", {})["status"] == "ACCEPT"
    assert place.ended(run)["type"] == "COMPLETED"
    assert contents(place.lake) == alone
    assert sum((place.api.asked - asked).values()) < len(alone)  # what was finished was kept


def test_of_two_runs_at_once_the_second_waits_for_the_first(place: Place, alone: Any) -> None:
    place.api.hold("item/2[0-9]*")
    first = place.start()
    until(lambda: place.api.waiting, "a run that waits")
    second = place.start()
    until(lambda: place.state(second)["name"] == "AwaitingConcurrencySlot", "the second run's waiting")
    place.api.release()
    assert [place.ended(run)["type"] for run in (first, second)] == ["COMPLETED", "COMPLETED"]
    assert contents(place.lake) == alone


def test_a_run_that_is_cancelled_before_it_starts_asks_nobody(place: Place) -> None:
    later = {"type": "SCHEDULED", "state_details": {"scheduled_time": "2099-01-01T00:00:00Z"}}
    scheduled = place.start(state=later)
    place.prefect("flow-run", "cancel", scheduled)
    assert place.ended(scheduled)["type"] == "CANCELLED"
    assert not place.api.asked


def test_a_run_that_is_cancelled_while_its_process_starts_asks_nobody(place: Place, alone: Any) -> None:
    run = place.start()
    until(lambda: place.state(run)["type"] == "PENDING", "a worker that takes the run")
    place.prefect("flow-run", "cancel", run)
    assert place.ended(run)["type"] == "CANCELLED"
    until(lambda: not processes_of(run), "the end of the run's process")
    assert not place.api.asked
    assert place.ended(place.start())["type"] == "COMPLETED"
    assert contents(place.lake) == alone


def test_a_run_whose_worker_is_killed_ends_and_the_next_makes_good(place: Place, alone: Any) -> None:
    place.api.hold("item/2[0-9]*")
    run = place.start()
    until(lambda: place.api.waiting, "a run that waits")
    place.kill_worker()
    place.api.release()
    state = place.ended(run)
    assert state["type"] in {"COMPLETED", "CRASHED"}, state  # its process may lose the ground under it
    assert contents(place.lake) == (alone if state["type"] == "COMPLETED" else {})
    with place.worker():
        assert place.ended(place.start())["type"] == "COMPLETED"
    assert contents(place.lake) == alone


def test_a_run_that_is_lost_while_its_pods_work_is_followed_by_another(place: Place, alone: Any) -> None:
    place.api.hold("item/2[0-9]*")
    run = place.start(pods=3)
    until(lambda: place.api.waiting, "a pod that waits")
    until(lambda: [pod for pod in place.pods(run) if pod["state"]["type"] == "COMPLETED"], "a pod that is done")
    for number in processes_of(run):
        os.kill(number, signal.SIGKILL)
    assert place.ended(run)["type"] == "CRASHED"
    place.api.release()
    asked = Counter(place.api.asked)
    assert place.ended(place.start(pods=3))["type"] == "COMPLETED"
    assert contents(place.lake) == alone
    assert sum((place.api.asked - asked).values()) < len(alone)  # what was finished was kept


Days = tuple[Any, Any]


@pytest.fixture(params=["generated", pytest.param("real", marks=pytest.mark.archives)])
def days(request: pytest.FixtureRequest) -> Days:
    """What the API holds on two days."""
    if request.param == "generated":
        return GeneratedCatalogue(300, seed=7, day=0), GeneratedCatalogue(300, seed=7, day=1)
    folder = request.getfixturevalue("archives")
    return ArchiveCatalogue(folder / "2026-08-03.tar.zst"), ArchiveCatalogue(folder / "2026-08-08.tar.zst")


@pytest.mark.parametrize("heard", [True, False], ids=["heard", "dropped"])
def test_what_a_discovery_finds_is_fetched_whether_its_event_is_heard_or_not(
    place: Place, days: Days, heard: bool, tmp_path: Path
) -> None:
    automation = next(one for one in place.post("automations/filter", {}) if "due" in json.dumps(one["trigger"]))
    usual, place.api.replica.catalogue = place.api.replica.catalogue, days[0]
    place.server.ask("PATCH", f"automations/{automation['id']}", {"enabled": heard})
    try:
        run(tmp_path / "engine", place.url)
        assert place.ended(place.start())["type"] == "COMPLETED"
        place.api.replica.catalogue = days[1]
        before = place.runs()
        discovered = place.ended(place.start(flow="discover"))
        assert discovered["type"] == "COMPLETED", discovered
        if heard:
            until(lambda: len(place.runs()) > len(before), "the refresh that the event starts")
        else:
            place.start()
        (refresh,) = set(place.runs()) - set(before)
        assert place.ended(refresh)["type"] == "COMPLETED"
        run(tmp_path / "engine", place.url)
        assert contents(place.lake) == contents(tmp_path / "engine")
        assert changes_in(place.lake) == changes_in(tmp_path / "engine")
        assert {change for *_, change in changes_in(place.lake)} > {"created", "changed"}
    finally:
        place.api.replica.catalogue = usual
        place.server.ask("PATCH", f"automations/{automation['id']}", {"enabled": True})


def changes_in(lake: Path) -> list[tuple[str, str, str]]:
    """All that ever happened to records; a discovery notes in a run of its own what is missing."""
    rows = ask(lake, "SELECT endpoint, key, change FROM pokeapi.changes")
    return sorted((row["endpoint"], row["key"], row["change"]) for row in rows)


def test_a_parameter_that_the_flow_does_not_have_ends_the_run_and_is_named(place: Place) -> None:
    """Prefect's API takes it: its form, and `trawl setup`, do not."""
    run = place.start(endpints=["berry"])
    state = place.ended(run)
    assert state["type"] == "CRASHED", state  # to Prefect the flow has never begun
    until(lambda: "endpints" in place.log(run), "the reason in the run's log")
    assert not place.api.asked


@pytest.mark.parametrize(
    ("parameters", "named"),
    [({"pods": 0}, "pods"), ({"rate": "fast"}, "rate"), ({"sources": "pokeapi"}, "sources")],
)
def test_a_wrong_parameter_is_refused_before_a_run_is_made(
    place: Place, parameters: dict[str, Any], named: str
) -> None:
    with pytest.raises(httpx.HTTPStatusError) as error:
        place.start(**parameters)
    assert error.value.response.status_code in {409, 422}
    assert named in error.value.response.text
