"""The flows, on a real Prefect server of the tests' own, against a replica: what they do, show and tell."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from prefect import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey, FlowRunFilter, FlowRunFilterParentFlowRunId
from prefect.client.schemas.objects import Artifact, State

import trawl
from tests.conftest import World
from trawl.crawl import CrawlOptions, crawl
from trawl.orchestration import flows
from trawl.sources import load_source

pytestmark = [pytest.mark.xdist_group("prefect"), pytest.mark.usefixtures("prefect")]
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
        return await client.read_artifacts(artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=[key])))


def lake_rows(tmp_path: Path) -> list[tuple[str, str, str]]:
    found = trawl.open(tmp_path / "lake").query("SELECT endpoint, key, payload FROM pokeapi.records ORDER BY ALL")
    return [tuple(row.values()) for row in found.rows()]


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
