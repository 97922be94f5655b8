"""One real server for all tests here that need no server of their own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server.processes import Server, server


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A Prefect server on SQLite, in a home of its own: `prefect_server.env` is what its clients need."""
    home: Path = tmp_path_factory.mktemp("prefect")
    with server(home) as made:
        yield made
