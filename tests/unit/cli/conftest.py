"""What the tests of the commands share."""

import shutil
from pathlib import Path

import pytest

from tests.conftest import World
from trawl.cli.app import invoke
from trawl.replica import GeneratedCatalogue, ReplicaApp, running


@pytest.fixture(scope="session")
def two_days(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake of machines and moves over two days, to be copied."""
    lake = tmp_path_factory.mktemp("two-days") / "lake"
    flags = ["--lake", str(lake), "--rate", "unlimited", "--endpoint", "machine", "--endpoint", "move"]
    app = ReplicaApp(GeneratedCatalogue(200, seed=7, day=0))
    with running(app) as url:
        assert invoke(["run", "pokeapi", "--base-url", url, *flags]) == 0
        app.catalogue = GeneratedCatalogue(200, seed=7, day=1)
        assert invoke(["run", "pokeapi", "--base-url", url, *flags]) == 0
    return lake


@pytest.fixture
def lake(two_days: Path, world: World, tmp_path: Path) -> Path:
    """A lake of machines and moves over two days; the world is on the second."""
    world.day(1)
    return shutil.copytree(two_days, tmp_path / "lake")
