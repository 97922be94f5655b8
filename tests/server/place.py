"""A server, an API and a lake for one test, and what is done with them."""

import asyncio
import os
import re
import signal
import subprocess
import threading
from collections import Counter
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from tests.server.processes import PREFECT, Server, until, worker
from trawl.lake import Lake
from trawl.replica import GeneratedCatalogue, ReplicaApp

RECORDS = 1_500


class Api:
    """The API of a replica: counts what is asked, and can keep the records of some paths waiting."""

    def __init__(self) -> None:
        self.replica = ReplicaApp(GeneratedCatalogue(RECORDS, seed=7, day=0))
        self.asked: Counter[str] = Counter()
        self.waiting: Counter[str] = Counter()
        self.signed: set[str] = set()
        self.held = re.compile("$^")
        self._free = threading.Event()

    def hold(self, pattern: str) -> None:
        self.held, self.waiting = re.compile(pattern), Counter()
        self._free.clear()

    def release(self) -> None:
        self.held = re.compile("$^")
        self._free.set()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            path = scope["path"].removeprefix("/api/v2/").strip("/")
            self.asked[path] += 1
            self.signed |= {value.decode() for name, value in scope["headers"] if name == b"authorization"}
            if self.held.fullmatch(path):
                self.waiting[path] += 1
                while self.held.fullmatch(path):
                    await asyncio.sleep(0.02)
        await self.replica(scope, receive, send)


class Place:
    """A server, an API, and a lake that is new for each test."""

    def __init__(self, server: Server, api: Api, url: str, root: Path) -> None:
        self.server, self.api, self.url, self.root = server, api, url, root
        self.lake: Path | str = root / "lake"
        self.working: subprocess.Popen[bytes] | None = None

    def kill_worker(self) -> None:
        """Outright, and alone: the runs that it has started are processes of their own."""
        assert self.working is not None
        os.kill(self.working.pid, signal.SIGKILL)
        self.working.wait()

    def worker(self) -> AbstractContextManager[subprocess.Popen[bytes]]:
        env = {"TRAWL_LAKE": str(self.lake), "TRAWL_SOURCE_POKEAPI_BASE_URL": self.url}
        return worker(self.server, "trawl", folder=self.root, **env)

    def prefect(self, *arguments: str) -> str:
        done = subprocess.run([*PREFECT, *arguments], env=self.server.env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-2000:] + done.stdout[-2000:]
        return done.stdout

    def start(self, *, flow: str = "refresh", state: Any = None, **parameters: Any) -> str:
        """Start a run, of a refresh if nothing else is said; its id."""
        wanted = {"sources": ["pokeapi"], "rate": "unlimited"} | parameters
        deployment = self.get(f"deployments/name/{flow}/{flow}-pokeapi")["id"]
        body = {"parameters": wanted, "state": state or {"type": "SCHEDULED"}}
        return str(self.post(f"deployments/{deployment}/create_flow_run", body)["id"])

    def get(self, path: str) -> Any:
        return self.server.ask("GET", path)

    def post(self, path: str, body: Any) -> Any:
        return self.server.ask("POST", path, body)

    def state(self, run: str) -> dict[str, Any]:
        return dict(self.get(f"flow_runs/{run}")["state"])

    def ended(self, run: str) -> dict[str, Any]:
        """The state of a run once it is final."""
        until(lambda: self.state(run)["type"] in {"COMPLETED", "FAILED", "CANCELLED", "CRASHED"}, "the end of the run")
        return self.state(run)

    def runs(self, flow: str = "refresh") -> list[str]:
        """The runs of a deployment that are, or were."""
        wanted = {"deployments": {"name": {"any_": [f"{flow}-pokeapi"]}}, "sort": "ID_DESC"}
        return [str(run["id"]) for run in self.post("flow_runs/filter", wanted)]

    def pods(self, run: str) -> list[dict[str, Any]]:
        return list(
            self.post("flow_runs/filter", {"flow_runs": {"tags": {"all_": [f"pods-of:{run}"]}}, "sort": "ID_DESC"})
        )

    def keeps_waiting(self, pod: dict[str, Any]) -> bool:
        """Whether records of a pod's shards are among those that the API keeps waiting."""
        run, shards = pod["parameters"]["run"], pod["parameters"]["shards"]
        runs = Lake(self.lake).source("pokeapi").runs
        priors = (prior for shard in shards for prior in runs.read_shard(run, shard))
        return any(self.api.held.fullmatch(f"{prior.endpoint}/{prior.key}") for prior in priors)

    def log(self, run: str) -> str:
        """What the flow runs of a run's sources have said."""
        inner = self.post("flow_runs/filter", {"flow_runs": {"parent_flow_run_id": {"any_": [run]}}})
        run = inner[0]["id"] if inner else run
        lines = self.post(
            "logs/filter", {"logs": {"flow_run_id": {"any_": [run]}}, "sort": "TIMESTAMP_ASC", "limit": 200}
        )
        return "\n".join(line["message"] for line in lines)


def processes_of(run: str) -> list[int]:
    """The processes that execute a flow run."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and f"PREFECT__FLOW_RUN_ID={run}".encode() in (folder / "environ").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue
    return found
