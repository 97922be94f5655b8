from pathlib import Path

import pytest
from small_pokeapi import Ask, asking, write_archive, write_folder

from trawl.replica import Catalogue, FolderCatalogue, ReplicaApp


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("folder"))


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_archive(tmp_path_factory.mktemp("archive") / "pokeapi.tar.zst")


@pytest.fixture(scope="session")
def small(folder: Path) -> Catalogue:
    return FolderCatalogue(folder)


@pytest.fixture
def app(small: Catalogue) -> ReplicaApp:
    return ReplicaApp(small)


@pytest.fixture
def ask(app: ReplicaApp) -> Ask:
    return asking(app)
