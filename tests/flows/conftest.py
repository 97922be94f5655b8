import gc
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect.settings import PREFECT_LOCAL_STORAGE_PATH, temporary_settings
from prefect.testing.utilities import prefect_test_harness

from trawl.replica import FolderCatalogue, ReplicaApp, running

EXAMPLES = Path(__file__).parents[2] / "examples"

START_SECONDS = 120
"""How long a loaded machine may take to start the server."""


@pytest.fixture(scope="session")
def prefect() -> Iterator[None]:
    """A Prefect server of the tests' own: it takes its time to start, so there is one, and one worker asks it."""
    with prefect_test_harness(server_startup_timeout=START_SECONDS):
        yield
    with (
        warnings.catch_warnings()
    ):  # Prefect's own: its client of events leaves its connections to the end of the process
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture
def replica(prefect: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ReplicaApp]:
    """The few records of the examples, served; and a place for results that is new for each test."""
    app = ReplicaApp(FolderCatalogue(EXAMPLES / "data"))
    with running(app) as url, temporary_settings({PREFECT_LOCAL_STORAGE_PATH: tmp_path / "results"}):
        monkeypatch.setenv("TRAWL_SOURCE_POKEAPI_BASE_URL", url)
        yield app
