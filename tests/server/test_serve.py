"""`trawl serve` as a user has it: one process to start, one to stop, and a run in between."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.crawling import contents
from tests.server.processes import asked, free_port, until
from trawl.replica import GeneratedCatalogue, ReplicaApp, running

TRAWL = [sys.executable, "-c", "import sys; sys.argv[0] = 'trawl'; from trawl.cli import main; main()"]


class Served:
    """A `trawl serve` that runs, and what it said."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path, port: int) -> None:
        self.process, self.log, self.port = process, log, port

    @property
    def said(self) -> str:
        return self.log.read_text()

    def ask(self, path: str, body: object = None, verb: str = "POST") -> Any:
        return asked(verb, f"http://127.0.0.1:{self.port}/api{path}", body)

    def descendants(self) -> set[int]:
        """All that it started, and what that started."""
        parents = {}
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit():
                try:
                    parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                except OSError:
                    continue
        found = {self.process.pid}
        for _ in range(10):
            found |= {child for child, parent in parents.items() if parent in found}
        return found - {self.process.pid}


@contextmanager
def serving(folder: Path, *arguments: str, port: int, url: str, **env: str) -> Iterator[Served]:
    environment = {name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"}
    environment |= {"PREFECT_HOME": str(folder / "home"), "TRAWL_SOURCE_POKEAPI_BASE_URL": url, **env}
    environment |= {"PREFECT_WORKER_QUERY_SECONDS": "1"}
    log = folder / "said"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*TRAWL, "serve", "--port", str(port), "--lake", str(folder / "lake"), *arguments],
            env=environment,
            stdout=out,
            stderr=out,
            cwd=folder,
            start_new_session=True,
            preexec_fn=_heed_interrupts,  # noqa: PLW1509
        )
    try:
        yield Served(process, log, port)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def _heed_interrupts() -> None:
    """As from a terminal: what starts in the background of a script has Ctrl-C ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def alive(pids: set[int]) -> set[int]:
    return {pid for pid in pids if Path(f"/proc/{pid}").exists() and "Z" not in state(pid)}


def state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_it_serves_runs_what_is_asked_and_leaves_nothing_behind(number: int, code: int, tmp_path: Path) -> None:
    port = free_port()
    with (
        running(ReplicaApp(GeneratedCatalogue(300, seed=7, day=0))) as url,
        serving(tmp_path, port=port, url=url) as it,
    ):
        until(lambda: "Ctrl-C stops everything" in it.said or it.process.poll() is not None, "the start")
        assert f"Prefect's UI:  http://127.0.0.1:{port}" in it.said
        assert "refresh-pokeapi   23 3 * * * (UTC)" in it.said
        settings = httpx.get(f"http://127.0.0.1:{port}/ui-settings", timeout=30).json()
        assert settings["api_url"] == f"http://127.0.0.1:{port}/api"

        found = it.ask("/deployments/name/refresh/refresh-pokeapi", verb="GET")
        assert isinstance(found, dict)
        run = it.ask(f"/deployments/{found['id']}/create_flow_run", {"parameters": {"rate": "unlimited"}})
        assert isinstance(run, dict)

        def ended() -> bool:
            now = it.ask(f"/flow_runs/{run['id']}", verb="GET")
            assert isinstance(now, dict)
            run["state"] = now["state"]
            return now["state"]["type"] in {"COMPLETED", "FAILED", "CRASHED"}

        until(ended, "the run's end")
        assert run["state"]["type"] == "COMPLETED", run["state"]

        children = it.descendants()
        assert len(children) >= 2
        begun = time.monotonic()
        it.process.send_signal(number)
        assert it.process.wait(20) == code, it.said[-2000:]
        assert time.monotonic() - begun < 12
        assert not alive(children)
        assert len(contents(tmp_path / "lake")) > 200
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.0.0.1", port))


def test_a_taken_port_is_named_with_what_to_do(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with serving(tmp_path, port=port, url="http://127.0.0.1:1") as it:
            assert it.process.wait(60) == 2
            assert f"the port {port} cannot be used" in it.said
            assert f"--port {port + 1}" in it.said


def test_an_address_at_which_no_server_answers_is_named(tmp_path: Path) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}/api"
    with serving(tmp_path, port=free_port(), url="http://127.0.0.1:1", PREFECT_API_URL=nowhere) as it:
        assert it.process.wait(60) == 2
        assert "no Prefect server answers at PREFECT_API_URL" in it.said
        assert "unset PREFECT_API_URL" in it.said
