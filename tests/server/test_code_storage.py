"""Code that a run pulls: from a repository, and (where there is one) from an S3 server."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.server.processes import PREFECT, Server, end, spawn, until

FOLDER = Path(__file__).parents[2] / "examples" / "code_storage"


def sh(*command: str, cwd: Path, **env: str) -> str:
    done = subprocess.run(
        command, check=False, cwd=cwd, env=os.environ | env, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A bare repository that holds the flow."""
    root = tmp_path_factory.mktemp("git")
    work, bare = root / "work", root / "flows.git"
    work.mkdir()
    (work / "hello.py").write_text((FOLDER / "hello.py").read_text())
    sh("git", "init", "--quiet", "--initial-branch", "main", cwd=work)
    sh("git", "add", ".", cwd=work)
    sh("git", "-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "--quiet", "-m", "flow", cwd=work)
    sh("git", "clone", "--quiet", "--bare", str(work), str(bare), cwd=root)
    return f"file://{bare}"


@pytest.fixture(scope="module")
def pulling(prefect_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A worker in an empty folder: it has no code but what its runs pull."""
    home = tmp_path_factory.mktemp("worker")
    sh(*PREFECT, "work-pool", "create", "pulling", "--type", "process", cwd=home, **prefect_server.env)
    command = [*PREFECT, "worker", "start", "--pool", "pulling"]
    worker = spawn(command, prefect_server.env | {"PREFECT_WORKER_QUERY_SECONDS": "1"}, home / "log", home)
    try:
        yield prefect_server
    finally:
        end(worker)


def run(server: Server, name: str) -> str:
    """Run a deployment to its end; the log."""
    found = server.ask("GET", f"deployments/name/pulled/{name}")
    begun = server.ask("POST", f"deployments/{found['id']}/create_flow_run", {})

    def state() -> dict[str, Any]:
        return dict(server.ask("GET", f"flow_runs/{begun['id']}")["state"])

    until(lambda: state()["type"] in {"COMPLETED", "FAILED", "CRASHED"}, "the run's end")
    assert state()["type"] == "COMPLETED", state()
    wanted = {"logs": {"flow_run_id": {"any_": [begun["id"]]}}}

    def log() -> str:
        return "\n".join(line["message"] for line in server.ask("POST", "logs/filter", wanted))

    until(lambda: "hello you" in log(), "the run's log")
    return log()


def test_a_flow_from_a_repository_runs_here_and_as_a_deployment(pulling: Server, repository: str) -> None:
    program = [sys.executable, str(FOLDER.parent / "from_git.py"), repository, "hello.py:hello"]
    assert "hello you" in sh(*program, cwd=pulling.home, **pulling.env)
    sh(*program, "--pool", "pulling", cwd=pulling.home, **pulling.env)
    assert "hello you" in run(pulling, "from-source")


def test_a_pull_step_clones_the_repository(pulling: Server, repository: str) -> None:
    env = pulling.env | {"POOL": "pulling", "REPOSITORY": repository}
    sh(*PREFECT, "--no-prompt", "deploy", "--name", "from-git", cwd=FOLDER, **env)
    assert "hello you" in run(pulling, "from-git")


@pytest.mark.s3
def test_a_pull_step_takes_the_code_out_of_a_bucket(pulling: Server, s3: str) -> None:
    bucket = s3.removeprefix("s3://").partition("/")[0]
    env = pulling.env | {"POOL": "pulling", "BUCKET": bucket}
    sh(*PREFECT, "--no-prompt", "deploy", "--name", "from-s3", cwd=FOLDER, **env)
    assert "hello you" in run(pulling, "from-s3")
