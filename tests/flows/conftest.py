import gc
import warnings
from collections.abc import Iterator

import pytest
from prefect.testing.utilities import prefect_test_harness

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
