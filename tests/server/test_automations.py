"""Automations on a real server: an event starts a run, and a run that gives no sign of life is ended."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.server.processes import Server, server, until

SETUP = """
sources: {pokeapi: {discover: [], refresh: [], maintain: []}}
watch: {stuck: 1m}
automations:
  ordered: {event: shop.order.placed, resource: "shop.*", run: refresh-pokeapi,
            parameters: {endpoints: ["{{ event.payload.kind }}"]}}
"""
TRAWL = [sys.executable, "-c", "import sys; sys.argv[0] = 'trawl'; from trawl.cli import main; main()"]


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator["Api"]:
    home = tmp_path_factory.mktemp("automations")
    # How late the server notices that something did not happen; the default is 5 s.
    with server(home) as made:
        file = home / "setup.yaml"
        file.write_text(SETUP)
        done = subprocess.run(
            [*TRAWL, "setup", "--config", str(file)], env=made.env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        yield Api(made, file)


class Api:
    def __init__(self, server: Server, file: Path) -> None:
        self.server, self.file = server, file

    def ask(self, verb: str, path: str, body: Any = None) -> Any:
        return self.server.ask(verb, path, body)

    def emit(self, event: str, resource: dict[str, str], payload: Any = None, related: Any = ()) -> None:
        """As any program can, with nothing but HTTP."""
        self.ask("POST", "/events", [
            {
                "id": str(uuid4()),
                "occurred": datetime.now(UTC).isoformat(),
                "event": event,
                "resource": resource,
                "related": list(related),
                "payload": payload or {},
            }
        ])  # fmt: skip

    def runs(self, deployment: str) -> list[dict[str, Any]]:
        filters = {"deployments": {"name": {"any_": [deployment]}}}
        found: list[dict[str, Any]] = self.ask("POST", "/flow_runs/filter", filters)
        return found

    def begin(self, state: str, tags: list[str]) -> str:
        flow = self.ask("POST", "/flows/", {"name": "any"})
        run: str = self.ask("POST", "/flow_runs/", {"flow_id": flow["id"], "tags": tags})["id"]
        for name in ("PENDING", state):
            self.ask("POST", f"/flow_runs/{run}/set_state", {"state": {"type": name}, "force": True})
            time.sleep(1)  # events that are milliseconds apart may be heard in another order; a real run's are not
        return run

    def beat(self, run: str, tags: list[str]) -> None:
        related = [{"prefect.resource.id": f"prefect.tag.{tag}", "prefect.resource.role": "tag"} for tag in tags]
        self.emit("prefect.flow-run.heartbeat", {"prefect.resource.id": f"prefect.flow-run.{run}"}, related=related)

    def state(self, run: str) -> str:
        found: str = self.ask("GET", f"/flow_runs/{run}")["state"]["type"]
        return found


def test_what_a_discovery_found_due_starts_that_sources_refresh(api: Api) -> None:
    before = len(api.runs("refresh-pokeapi"))
    resource = {"prefect.resource.id": "trawl.source.pokeapi", "prefect.resource.name": "pokeapi"}
    api.emit("trawl.discovery.due", {**resource, "prefect.resource.id": "trawl.source.another"}, {"source": "another"})
    api.emit("trawl.discovery.due", resource, {"source": "pokeapi", "counts": {"pokemon": 3}})
    until(lambda: len(api.runs("refresh-pokeapi")) > before, "the refresh")
    assert len(api.runs("refresh-pokeapi")) == before + 1


def test_a_program_outside_starts_a_run_with_what_its_event_says(api: Api) -> None:
    api.emit("shop.order.placed", {"prefect.resource.id": "shop.berlin"}, {"kind": "berry"})
    found = lambda: [run for run in api.runs("refresh-pokeapi") if run["parameters"].get("endpoints") == ["berry"]]  # noqa: E731
    until(lambda: bool(found()), "the run")
    assert found()[0]["parameters"]["sources"] == ["pokeapi"]


def test_runs_that_are_dead_or_stuck_are_ended_and_no_others(api: Api) -> None:
    """Two minutes: the windows are what they are for users, too."""
    mine, theirs = ["managed-by:trawl"], ["managed-by:somebody"]
    dead = api.begin("RUNNING", mine)
    healthy = api.begin("RUNNING", mine)
    done = api.begin("RUNNING", mine)
    others = api.begin("RUNNING", theirs)
    stuck, other_stuck = api.begin("PENDING", mine), api.begin("PENDING", theirs)
    for run, tags in ((dead, mine), (healthy, mine), (done, mine), (others, theirs)):
        api.beat(run, tags)
    api.ask("POST", f"/flow_runs/{done}/set_state", {"state": {"type": "COMPLETED", "name": "Held"}})

    next_beat = time.monotonic()

    def both() -> bool:
        nonlocal next_beat
        if time.monotonic() >= next_beat:
            api.beat(healthy, mine)
            next_beat += 20
        return api.state(dead) == api.state(stuck) == "CRASHED"

    until(both, "the end of the dead run and of the stuck one", patience=240)
    said = api.ask("GET", f"/flow_runs/{dead}")["state"]["message"]
    assert "No heartbeat for 90 s" in said
    assert [api.state(run) for run in (healthy, done, others, other_stuck)] == [
        "RUNNING",
        "COMPLETED",
        "RUNNING",
        "PENDING",
    ]


def test_prefect_deploy_makes_what_set_up_made(api: Api) -> None:
    """Set-up after it finds nothing to do, and nothing that it takes for a person's."""
    root = Path(__file__).parents[2]
    names = ("discover", "refresh", "maintain", "decide")
    for name in [*(f"{name}-pokeapi" for name in names), "crawl-shard"]:
        command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--name", name]
        done = subprocess.run(command, env=api.server.env, cwd=root, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    done = subprocess.run(
        [*TRAWL, "setup", "--dry-run"], env=api.server.env, cwd=root, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    deployments = json.dumps(
        [line for line in done.stderr.splitlines() if " deployment " in line or "    " in line], indent=1
    )
    assert deployments.count("/") >= 5
    assert "person" not in deployments, done.stderr
