"""What tests share: worlds to crawl, and the data and servers that some of them need."""

import gc
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.crawling import generated
from trawl.lake.log.sql import connect
from trawl.replica import ReplicaApp, running

# Nothing of it depends on how busy the machine is.
settings.register_profile(
    "laws",
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    database=None,
    max_examples=60,
)
settings.load_profile("laws")


MEMORY = Path("/dev/shm")


def _roomy(folder: Path) -> bool:
    return (
        os.access(folder, os.W_OK)
        and not os.statvfs(folder).f_flag & os.ST_NOEXEC
        and shutil.disk_usage(folder).free > 2**32
    )


os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # hundreds of processes would each compile all of Trawl

# Each commit waits for a disk several times, of a lake and of Prefect's database alike.
if "TMPDIR" not in os.environ and _roomy(MEMORY):
    os.environ["TMPDIR"], tempfile.tempdir = str(MEMORY), None


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Half as many again as there are cores: a test in three waits for a process, a server or the disk."""
    cores = os.cpu_count() or 1
    return cores + (cores + 1) // 2


def pytest_collection_finish() -> None:
    """All modules are loaded: looking for garbage in them takes a fifth of a second each time."""
    gc.collect()
    gc.freeze()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """A group that xdist does not keep together has its server, or its lakes, made by each worker: and nobody is told."""
    grouped = item.config.getoption("loadgroup", default=False) and item.get_closest_marker("xdist_group")
    if grouped and "@" not in item.nodeid.rpartition("]")[2]:
        pytest.fail(
            "pytest-xdist does not keep xdist_group together with this pytest: see pyproject.toml", pytrace=False
        )


def pytest_unconfigure() -> None:
    gc.unfreeze()


@pytest.fixture(scope="session", autouse=True)
def duckdb() -> Iterator[None]:
    """The instance that the lake's own questions share stays from test to test."""
    with closing(connect()):
        yield


@pytest.fixture(scope="session")
def archives() -> Path:
    """The folder of real snapshots."""
    folder = os.environ.get("TRAWL_TEST_ARCHIVES")
    if not folder:
        pytest.skip("TRAWL_TEST_ARCHIVES names no folder of real PokeAPI snapshots")
    return Path(folder)


@pytest.fixture(scope="session")
def s3() -> str:
    """The URL of an S3 server's bucket and prefix; its credentials are in the environment."""
    url = os.environ.get("TRAWL_TEST_S3")
    if not url:
        pytest.skip("TRAWL_TEST_S3 names no bucket, for example s3://bucket (with AWS_ENDPOINT_URL and keys set)")
    return url.rstrip("/")


@pytest.fixture(params=["folder", pytest.param("s3", marks=pytest.mark.s3)])
def lake_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A new lake of either form."""
    if request.param == "folder":
        return str(tmp_path / "lake")
    return f"{request.getfixturevalue('s3')}/{uuid.uuid4().hex}"


@dataclass
class World:
    """A generated API on loopback that can be moved to another day."""

    url: str
    app: ReplicaApp
    records: int
    seed: int

    def day(self, day: int) -> None:
        self.app.catalogue = generated(self.records, seed=self.seed, day=day)

    def serve(self, catalogue: Any) -> None:
        self.app.catalogue = catalogue


@pytest.fixture
def world() -> Iterator[World]:
    """Some 200 records on their day 0."""
    app = ReplicaApp(generated(200, seed=7, day=0))
    with running(app) as url:
        yield World(url, app, 200, 7)
