"""The commands of docs/prefect-cli.md, each run as an operator would, against one real server."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.server.processes import PREFECT, Server, end, spawn, until

PAGE = Path(__file__).parents[2] / "docs" / "prefect-cli.md"
FLOW = """
from prefect import flow, get_run_logger
from prefect.artifacts import create_markdown_artifact

@flow(log_prints=True)
def hello(name: str = "you"):
    print(f"hello {name}")
    create_markdown_artifact("# hello", key="cli-hello")
"""
DEPLOYMENTS = """
prefect-version: 3.8.8
name: cli
pull:
  - prefect.deployments.steps.set_working_directory: {directory: FOLDER}
deployments:
  - {name: first, entrypoint: "hello.py:hello", work_pool: {name: cli}}
  - {name: second, entrypoint: "hello.py:hello", work_pool: {name: cli}}
"""
AUTOMATION = """
name: greet-again
description: ""
enabled: true
trigger: {type: event, posture: Reactive, expect: [cli.greeted], threshold: 1, within: 0}
actions: [{type: do-nothing}]
"""


class Shell:
    """An operator's shell: a folder, a server, and what was said."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.server, self.folder, self.env = server, folder, dict(server.env)

    def __call__(self, *command: str, code: int = 0, **env: str) -> str:
        done = subprocess.run(
            [*PREFECT, *command],
            check=False,
            env=self.env | {"PREFECT_PROFILES_PATH": str(self.folder / "profiles.toml"), "COLUMNS": "300"} | env,
            cwd=self.folder, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        said = done.stdout + done.stderr
        assert done.returncode == code, said
        return said

    def ask(self, path: str, body: object = None) -> Any:
        return self.server.ask("GET" if body is None else "POST", path, body)


@pytest.fixture(scope="module")
def prefect(prefect_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    folder = tmp_path_factory.mktemp("cli")
    (folder / "hello.py").write_text(FLOW)
    (folder / "deployments.yaml").write_text(DEPLOYMENTS.replace("FOLDER", str(folder)))
    (folder / "automation.yaml").write_text(AUTOMATION)
    return Shell(prefect_server, folder)


@pytest.fixture(scope="module")
def ran(prefect: Shell) -> Iterator[str]:
    """A pool, a worker, two deployments, and a run that has ended: its id."""
    prefect("work-pool", "create", "cli", "--type", "process")
    said = prefect("--no-prompt", "deploy", "--prefect-file", "deployments.yaml", "--name", "first")
    assert "hello/first" in said
    with pytest.raises(httpx.HTTPStatusError):
        prefect.ask("/deployments/name/hello/second")  # only the one that was named
    prefect("--no-prompt", "deploy", "--prefect-file", "deployments.yaml", "--all")
    worker = spawn(
        [*PREFECT, "worker", "start", "--pool", "cli", "--name", "cli-worker"],
        prefect.env | {"PREFECT_WORKER_QUERY_SECONDS": "1"}, prefect.folder / "worker.log", prefect.folder,
    )  # fmt: skip
    try:
        said = prefect("deployment", "run", "hello/first", "--param", "name=operator", "--watch")
        found = re.search(r"[0-9a-f]{8}-[0-9a-f-]{27}", said)
        assert found, said
        yield found[0]
    finally:
        end(worker)


def test_version_settings_and_profiles(prefect: Shell) -> None:
    assert "3.8.8" in prefect("version")
    prefect("profile", "create", "laptop")
    prefect("config", "set", "PREFECT_LOGGING_LEVEL=DEBUG", PREFECT_PROFILE="laptop")
    assert "PREFECT_LOGGING_LEVEL='DEBUG'" in prefect("config", "view", PREFECT_PROFILE="laptop")
    assert "DEBUG" not in prefect("config", "view", "--hide-sources", PREFECT_LOGGING_LEVEL="ERROR")
    assert "laptop" in prefect("profile", "ls")
    assert "PREFECT_LOGGING_LEVEL" in prefect("profile", "inspect", "laptop")
    prefect("--no-prompt", "profile", "delete", "laptop")


def test_blocks(prefect: Shell) -> None:
    assert "Source Config" in prefect("block", "register", "-m", "trawl.orchestration.blocks")
    (prefect.folder / "mine.py").write_text(
        "from prefect.blocks.core import Block\nclass Mine(Block):\n    size: int = 1\nMine().save('one', overwrite=True)\n"
    )
    assert "Mine" in prefect("block", "register", "-f", "mine.py")
    assert "mine/one" in prefect("block", "ls")
    assert "source-config" in prefect("block", "type", "ls")
    assert "size" in prefect("block", "inspect", "mine/one")


def test_limits_and_variables(prefect: Shell) -> None:
    prefect("gcl", "create", "cli-limit", "--limit", "10")
    prefect("gcl", "update", "cli-limit", "--limit", "3")
    assert "cli-limit" in prefect("gcl", "ls")
    assert "3" in prefect("gcl", "inspect", "cli-limit")
    prefect("variable", "set", "cli_variable", '{"a": 1}', "--tag", "cli", "--overwrite")
    assert "a" in prefect("variable", "get", "cli_variable")
    assert "Bad" not in prefect("variable", "ls")


def test_work_pools_and_queues(prefect: Shell, ran: str) -> None:
    assert "cli" in prefect("work-pool", "ls")
    assert "process" in prefect("work-pool", "inspect", "cli")
    template = prefect("work-pool", "get-default-base-job-template", "--type", "kubernetes")
    assert "job_configuration" in json.loads(template)
    prefect("work-queue", "create", "soon", "--pool", "cli", "--priority", "1")
    assert "soon" in prefect("work-queue", "ls", "--pool", "cli")
    assert "soon" in prefect("work-queue", "inspect", "soon", "--pool", "cli")


def test_deployments_and_runs(prefect: Shell, ran: str) -> None:
    assert "hello/second" in prefect("deployment", "ls")
    assert "hello.py:hello" in prefect("deployment", "inspect", "hello/first")
    assert ran in prefect("flow-run", "ls")
    assert "COMPLETED" in prefect("flow-run", "inspect", ran).upper()
    until(lambda: "hello operator" in prefect("flow-run", "logs", ran), "the run's log")
    assert "cli-hello" in prefect("artifact", "ls")
    assert "cli-hello" in prefect("artifact", "inspect", "cli-hello")
    said = prefect("deployment", "run", "hello/first", "--start-in", "2 hours")
    later = re.search(r"[0-9a-f]{8}-[0-9a-f-]{27}", said)
    assert later, said
    prefect("flow-run", "cancel", later[0])
    until(lambda: prefect.ask(f"/flow_runs/{later[0]}")["state_name"] == "Cancelled", "the cancellation")


def test_automations_and_events(prefect: Shell) -> None:
    prefect("automation", "create", "--from-file", "automation.yaml")
    assert "greet-again" in prefect("automation", "ls")
    assert "greet-again" in prefect("automation", "inspect", "greet-again")
    prefect("event", "emit", "cli.greeted", "--resource-id", "cli.test")

    def heard() -> bool:
        wanted = {"filter": {"event": {"name": ["cli.greeted"]}}, "limit": 5}
        return bool(prefect.ask("/events/filter", wanted)["events"])

    until(heard, "the event")


def test_shell_commands_as_flows(prefect: Shell) -> None:
    prefect("shell", "watch", "echo from a shell", "--flow-name", "echoed")
    until(lambda: "echoed" in prefect("flow", "ls"), "the flow")
    server = prefect.server
    serving = spawn(
        [*PREFECT, "shell", "serve", "echo served", "--flow-name", "served", "--deployment-name", "by-hand"],
        prefect.env, prefect.folder / "shell.log", prefect.folder,
    )  # fmt: skip
    try:
        until(lambda: httpx.get(f"{server.url}/deployments/name/served/by-hand").status_code == 200, "the deployment")
    finally:
        end(serving)


def test_init_writes_a_project_file(prefect: Shell, tmp_path: Path) -> None:
    shell = Shell(prefect.server, tmp_path)
    shell("--no-prompt", "init", "--name", "mine", "--recipe", "local")
    assert (tmp_path / "prefect.yaml").is_file()


def test_resources_move_between_profiles(prefect: Shell) -> None:
    for name in ("from", "to"):
        prefect("profile", "create", name)
        prefect("config", "set", f"PREFECT_API_URL={prefect.server.url}", PREFECT_PROFILE=name)
    prefect("variable", "set", "moves", "1", "--overwrite")
    said = prefect("--no-prompt", "transfer", "--from", "from", "--to", "to")
    assert re.search(r"variable/moves.*Already exists", said)  # both are this server


def test_a_database_is_reset_only_where_one_says_so(prefect: Shell, tmp_path: Path) -> None:
    env = {"PREFECT_HOME": str(tmp_path), "PREFECT_API_URL": ""}
    assert "reset" in prefect("server", "database", "reset", "-y", **env).lower()
    assert os.path.exists(tmp_path / "prefect.db")  # noqa: PTH110


@pytest.mark.parametrize(
    "command", [["dev", "start"], ["deploy", "--build"], ["deployment", "build"], ["agent", "start"]]
)
def test_what_an_installation_cannot_do_is_named(prefect: Shell, command: list[str]) -> None:
    done = subprocess.run(
        [*PREFECT, *command], check=False, env=prefect.env, cwd=prefect.folder, capture_output=True, timeout=60
    )
    assert done.returncode != 0
    assert f"`prefect {' '.join(command)}`" in PAGE.read_text(encoding="utf-8")


def test_every_command_on_the_page_is_run_here() -> None:
    tests = Path(__file__).read_text(encoding="utf-8")
    shown = set(re.findall(r"^\$ prefect ([a-z-]+)(?: ([a-z-]+))?", PAGE.read_text(encoding="utf-8"), re.MULTILINE))
    elsewhere = {("server", "start"), ("profile", "use")}  # by the fixture; by PREFECT_PROFILE
    nouns = {"version", "deploy", "init", "transfer"}  # commands of one word
    missing = [
        f"{first} {second}"
        for first, second in sorted(shown - elsewhere)
        if (f'"{first}"' if first in nouns else f'"{first}", "{second}"') not in tests
    ]
    assert missing == []
