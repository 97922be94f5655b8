"""The flows, on a real Prefect server of the tests' own, against a replica: what they do, show and tell."""

import asyncio
import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from prefect import get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitUpdate
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterKey,
    FlowRunFilter,
    FlowRunFilterParentFlowRunId,
)
from prefect.client.schemas.objects import Artifact, FlowRun, State
from prefect.events import Event

import trawl
from tests.conftest import World
from trawl.crawl import CrawlOptions, crawl
from trawl.orchestration import flows, valve
from trawl.replica import GeneratedCatalogue, running
from trawl.sources import load_source

pytestmark = [
    pytest.mark.xdist_group("prefect"),
    pytest.mark.usefixtures("prefect"),
]
TWO = ["machine", "move"]


@pytest.fixture
def place(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("TRAWL_LAKE", str(tmp_path / "lake"))
    monkeypatch.setenv("TRAWL_SOURCE_POKEAPI_BASE_URL", world.url)
    return world


def run(flow: Any, **parameters: Any) -> State[Any]:
    state: State[Any] = asyncio.run(flow(**parameters, return_state=True))
    return state


def refresh(**parameters: Any) -> State[Any]:
    return run(flows.refresh, **({"sources": ["pokeapi"], "endpoints": TWO, "rate": "unlimited"} | parameters))


async def artifacts_of(key: str) -> list[Artifact]:
    async with get_client() as client:
        found = await client.read_artifacts(artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=[key])))
    return sorted(found, key=lambda artifact: str(artifact.created), reverse=True)


def lake_rows(tmp_path: Path) -> list[tuple[str, str, str]]:
    found = trawl.open(tmp_path / "lake").query("SELECT endpoint, key, payload FROM pokeapi.records ORDER BY ALL")
    return [tuple(row.values()) for row in found.rows()]


def present(tmp_path: Path) -> set[tuple[str, str]]:
    """The records that the lake's listings show."""
    found = trawl.open(tmp_path / "lake").query("SELECT endpoint, key FROM pokeapi.records WHERE state = 'present'")
    return {(row["endpoint"], row["key"]) for row in found.rows()}


def test_a_refresh_fetches_the_same_records_as_the_engine_and_shows_them(place: World, tmp_path: Path) -> None:
    state = refresh()
    assert state.is_completed(), state.message
    rows = lake_rows(tmp_path)
    assert len(rows) > 50
    options = CrawlOptions(base_url=place.url, endpoints=tuple(TWO), rate="unlimited")
    asyncio.run(crawl(load_source("pokeapi"), trawl.open(tmp_path / "engine"), options))
    found = trawl.open(tmp_path / "engine").query("SELECT endpoint, key, payload FROM pokeapi.records ORDER BY ALL")
    assert rows == [tuple(row.values()) for row in found.rows()]
    (summary, *_) = asyncio.run(artifacts_of("refresh-pokeapi"))
    assert f"{len(rows):,} new" in str(summary.data)
    for key in ("endpoints-pokeapi", "changes-pokeapi", "runs-pokeapi", "progress-pokeapi"):
        assert asyncio.run(artifacts_of(key)), key


async def told(name: str, since: datetime, number: int = 1) -> list[Event]:
    """The events of this name that the server has received, once it has so many."""
    for _ in range(100):
        async with get_client() as client:
            answer = await client._client.post(
                "/events/filter", json={"filter": {"event": {"name": [name]}}, "limit": 50}
            )
            found = [Event.model_validate(event) for event in answer.json()["events"]]
        found = [event for event in found if event.occurred >= since]
        if len(found) >= number:
            return found
        await asyncio.sleep(0.1)
    return found


def test_a_discovery_fetches_no_record_and_tells_what_is_due(place: World, tmp_path: Path) -> None:
    since = datetime.now(UTC)
    state = run(flows.discover, sources=["pokeapi"], endpoints=TWO, rate="unlimited")
    assert state.is_completed(), state.message
    assert lake_rows(tmp_path) == []
    (event,) = asyncio.run(told("trawl.discovery.due", since))
    assert event.resource.id == "trawl.source.pokeapi"
    assert event.payload["counts"].keys() == set(TWO)
    assert refresh().is_completed()
    since = datetime.now(UTC)
    assert run(flows.discover, sources=["pokeapi"], endpoints=TWO, rate="unlimited").is_completed()
    assert lake_rows(tmp_path)


def test_events_tell_counts_by_endpoint_and_never_a_key(place: World, tmp_path: Path) -> None:
    since = datetime.now(UTC)
    assert refresh().is_completed()
    events = asyncio.run(told("trawl.endpoint.created", since, len(TWO)))
    assert {event.resource.id for event in events} == {f"trawl.source.pokeapi.endpoint.{name}" for name in TWO}
    assert {event.payload.keys() == {"source", "endpoint", "count", "run_id"} for event in events} == {True}
    assert sum(event.payload["count"] for event in events) == len(lake_rows(tmp_path))


async def children_of(state: State[Any]) -> list[FlowRun]:
    parent = state.state_details.flow_run_id
    assert parent is not None
    async with get_client() as client:
        wanted = FlowRunFilter(parent_flow_run_id=FlowRunFilterParentFlowRunId(any_=[parent]))
        return await client.read_flow_runs(flow_run_filter=wanted)


def test_each_source_is_a_subflow_and_one_that_fails_does_not_stop_the_others(place: World, tmp_path: Path) -> None:
    state = refresh(sources=["nowhere", "pokeapi"])
    assert state.is_failed()
    assert "nowhere" in str(state.message)
    assert "pokeapi: done" in str(state.message)
    assert lake_rows(tmp_path)
    children = {run.name: run.state for run in asyncio.run(children_of(state))}
    assert children["refresh.pokeapi"].is_completed()
    assert children["refresh.nowhere"].is_failed()


def test_a_held_endpoint_is_named_and_decided_by_a_flow(place: World, tmp_path: Path) -> None:
    assert refresh().is_completed()
    before = present(tmp_path)
    place.serve(GeneratedCatalogue(100, seed=7, day=0))  # half of everything is missing from its list
    state = refresh()
    assert (state.name, state.is_completed()) == ("Held", True), state.message
    held = [name for name in TWO if name in str(state.message)]
    assert held
    (summary, *_) = asyncio.run(artifacts_of("refresh-pokeapi"))
    assert "Held:" in str(summary.data)
    assert present(tmp_path) == before
    wrong = run(flows.decide, source="pokeapi", endpoints=["nope"], decision="accept")
    assert wrong.is_failed()
    assert "no such endpoint" in str(wrong.message)
    state = run(flows.decide, source="pokeapi", endpoints=held, decision="accept")
    assert state.is_completed(), state.message
    assert present(tmp_path) < before


def test_maintenance_is_a_flow_and_leaves_the_records(place: World, tmp_path: Path) -> None:
    assert refresh().is_completed()
    before = lake_rows(tmp_path)
    state = run(flows.maintain, sources=["pokeapi"])
    assert state.is_completed(), state.message
    assert lake_rows(tmp_path) == before
    assert run(flows.maintain, sources=["nowhere"]).is_failed()


# -- the valve ---------------------------------------------------------------------------------------------


async def limit(number: int, *, active: bool = True) -> None:
    async with get_client() as client:
        await client.upsert_global_concurrency_limit_by_name("pokeapi-public-calls", number)
        await client.update_global_concurrency_limit(
            "pokeapi-public-calls", GlobalConcurrencyLimitUpdate(active=active)
        )


class Flight:
    """Stands before an ASGI application: how many records were asked for, and how many at the same time at most."""

    def __init__(self, app: Any) -> None:
        self._app, self.now, self.most, self.details = app, 0, 0, 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        record = scope["type"] == "http" and scope["path"].rstrip("/").rpartition("/")[2].isdigit()
        self.details += record
        self.now += record
        self.most = max(self.most, self.now)
        if record:
            await asyncio.sleep(0.002)
        try:
            await self._app(scope, receive, send)
        finally:
            self.now -= record


def test_no_more_requests_are_in_flight_than_the_operators_limit_has_slots(place: World) -> None:
    with running(flight := Flight(place.app)) as url, pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRAWL_SOURCE_POKEAPI_BASE_URL", url)
        asyncio.run(limit(1))
        assert refresh().is_completed()
        assert (flight.details > 50, flight.most) == (True, 1)
        asyncio.run(limit(6))
        assert refresh(force=True).is_completed()
        assert 1 < flight.most <= 3  # two shards may work at once


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize(("slots", "each"), [(100, 8), (8, 8), (6, 3), (1, 1)])
def test_a_limit_with_room_for_a_process_takes_no_request_from_its_shards(slots: int, each: int) -> None:
    async def first() -> int:
        await limit(slots)
        log = logging.getLogger("test")
        async with valve.Valve("pokeapi-public-calls", log, processes=1, at_once=2) as of, of.slots(8) as found:
            return found

    assert asyncio.run(first()) == each


def test_a_run_waits_while_the_limit_is_closed_and_says_so(
    place: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(valve, "LOOK", 0.05)

    async def closed_for_a_while() -> State[Any]:
        await limit(5, active=False)
        going = asyncio.create_task(
            flows.refresh(sources=["pokeapi"], endpoints=TWO, rate="unlimited", return_state=True)
        )
        while "the limit pokeapi-public-calls is inactive" not in caplog.text:
            assert not going.done()
            await asyncio.sleep(0.01)
        await limit(5)
        state: State[Any] = await going
        return state

    assert asyncio.run(closed_for_a_while()).is_completed()


def test_an_unlimited_rate_on_a_public_host_is_refused_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRAWL_LAKE", str(tmp_path / "lake"))
    state = run(flows.refresh, sources=["pokeapi"], rate="unlimited")
    assert state.is_failed()
    assert "unlimited" in str(state.message)


def test_pods_without_the_deployment_of_shards_is_a_clear_error(place: World, tmp_path: Path) -> None:
    place.serve(GeneratedCatalogue(1_500, seed=7, day=0))  # more than one shard
    state = refresh(endpoints=None, pods=2)
    assert state.is_failed()
    assert "crawl-shard" in str(state.message)
    assert lake_rows(tmp_path) == []
