"""What the tests of the commands share."""

from pathlib import Path

import pytest

from tests.conftest import World
from trawl.cli.app import invoke


@pytest.fixture
def lake(world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """A lake of machines and moves over two days."""
    for day in (0, 1):
        world.day(day)
        flags = ["--base-url", world.url, "--rate", "unlimited", "--endpoint", "machine", "--endpoint", "move"]
        assert invoke(["run", "pokeapi", "--lake", str(tmp_path / "lake"), *flags]) == 0
    capsys.readouterr()
    return tmp_path / "lake"
