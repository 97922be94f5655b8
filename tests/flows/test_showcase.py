"""The showcase, end to end on a real server of the tests' own, against the examples' few records."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from prefect import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey, FlowRunFilter, FlowRunFilterId
from prefect.client.schemas.objects import Artifact, State
from prefect.settings import PREFECT_LOCAL_STORAGE_PATH, temporary_settings
from prefect.utilities.callables import parameter_schema
from prefect.variables import Variable
from showcase import showcase

from trawl.replica import FolderCatalogue, ReplicaApp, running

pytestmark = [
    pytest.mark.xdist_group("prefect"),
    pytest.mark.usefixtures("prefect"),
    # Prefect's own: its client of events leaves its connection to the end of the process.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
DATA = Path(__file__).parents[2] / "examples" / "data"


@pytest.fixture
def replica(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ReplicaApp]:
    app = ReplicaApp(FolderCatalogue(DATA))
    with running(app) as url, temporary_settings({PREFECT_LOCAL_STORAGE_PATH: tmp_path / "results"}):
        monkeypatch.setenv("TRAWL_SOURCE_POKEAPI_BASE_URL", url)
        yield app


def run(**parameters: Any) -> State[Any]:
    given = {"max_pokemon_to_discover_in_showcase": 3} | parameters
    state: State[Any] = asyncio.run(showcase.with_options(retries=0)(**given, return_state=True))
    return state


def result(state: State[Any]) -> dict[str, Any]:
    return asyncio.run(state.aresult())


async def artifact(key: str) -> Artifact:
    async with get_client() as client:
        found = await client.read_artifacts(artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=[key])))
    return max(found, key=lambda each: each.updated)


def test_the_showcase_completes_with_three_records(replica: ReplicaApp) -> None:
    state = run()
    assert state.is_completed()
    assert state.name == "Completed"
    found = result(state)
    assert found["processed"] == ["bulbasaur", "ivysaur", "venusaur"]
    assert found["spotlight"]["name"] == "pikachu"
    assert found["evolutions"] == [["pichu", "pikachu", "raichu"]]
    assert found["failed"] == {}
    assert found["greeting"] == "Hello from the showcase"
