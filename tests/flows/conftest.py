import gc
import random
from collections.abc import Iterator
from pathlib import Path

import certifi
import pytest
import websockets.asyncio.connection
from prefect.settings import (
    PREFECT_API_SSL_CERT_FILE,
    PREFECT_LOCAL_STORAGE_PATH,
    PREFECT_SERVER_SERVICES_SCHEDULER_ENABLED,
    temporary_settings,
)

from tests.leftovers import collect
from trawl.replica import FolderCatalogue, ReplicaApp, running

EXAMPLES = Path(__file__).parents[2] / "examples"

START_SECONDS = 120
"""How long a loaded machine may take to start the server."""


@pytest.fixture(scope="session")
def prefect(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A Prefect server of the tests' own: it takes its time to start, so there is one, for the xdist_group."""
    from prefect.testing.utilities import prefect_test_harness  # loads the whole server: not each worker has to

    end = "-----END CERTIFICATE-----\n"
    one = tmp_path_factory.mktemp("tls") / "one.pem"
    one.write_text("".join(Path(certifi.where()).read_text().partition(end)[:2]))
    quiet = {
        PREFECT_SERVER_SERVICES_SCHEDULER_ENABLED: False,  # no test waits for a schedule's runs, and they are many
        PREFECT_API_SSL_CERT_FILE: str(one),  # all of them take 30 ms to read, for each of Prefect's many clients
    }
    with (
        temporary_settings(quiet),
        pytest.MonkeyPatch.context() as patch,
        prefect_test_harness(server_startup_timeout=START_SECONDS),
    ):
        # Its connection for events pings from a thread, and Hypothesis fails a test whose generator another one uses.
        patch.setattr(websockets.asyncio.connection, "random", random.Random())
        collect()
        gc.freeze()  # what was loaded for it is not looked through after each test
        yield
    collect()


@pytest.fixture(autouse=True)
def _connections_of_prefects_own(request: pytest.FixtureRequest) -> Iterator[None]:
    """What Prefect leaves open goes after the test that made it, and fails no other one."""
    yield
    if {"prefect", "replica"} & set(request.fixturenames):
        collect()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What a thread of Prefect's lets go later is no fault of the test that runs then."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"))


@pytest.fixture
def replica(prefect: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ReplicaApp]:
    """The few records of the examples, served; and a place for results that is new for each test."""
    app = ReplicaApp(FolderCatalogue(EXAMPLES / "data"))
    with running(app) as url, temporary_settings({PREFECT_LOCAL_STORAGE_PATH: tmp_path / "results"}):
        monkeypatch.setenv("TRAWL_SOURCE_POKEAPI_BASE_URL", url)
        yield app
