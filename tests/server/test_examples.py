"""The examples that need a server and processes of their own: what is served, and runs that talk to people."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.server.processes import PREFECT, Server, end, spawn, until

EXAMPLES = Path(__file__).parents[2] / "examples"
ROOT = EXAMPLES.parent
SERVED = "Ultimate%20PokeAPI%20Prefect%20Showcase/showcase-local-serve-deployment"


def ask(server: Server, path: str, body: object = None) -> Any:
    return server.ask("GET" if body is None else "POST", path, body)


def program(server: Server, name: str, *arguments: str, ends: int = 0) -> str:
    command = [sys.executable, str(EXAMPLES / name), *arguments]
    done = subprocess.run(command, check=False, env=server.env, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == ends, done.stdout + done.stderr
    return done.stdout + done.stderr


@contextmanager
def started(server: Server, log: Path, *command: str, **env: str) -> Iterator[Any]:
    process = spawn(list(command), server.env | env, log, ROOT)
    try:
        yield process
    finally:
        end(process)


@pytest.mark.parametrize("runner", ["threads", "processes", "dask"])
def test_every_runner_gives_the_same_and_names_what_failed(prefect_server: Server, runner: str) -> None:
    said = program(prefect_server, "runners.py", runner)
    assert "7: 16" in said
    assert "'failed': {0: '0 never comes to 1'}, 'longest': 111, 'last': 'done'" in said


@pytest.fixture(scope="module")
def served(prefect_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """`python examples/serve.py`, as long as the module lasts."""
    log = tmp_path_factory.mktemp("serve") / "log"
    env = {"PREFECT_RUNNER_POLL_FREQUENCY": "1"}
    with started(prefect_server, log, sys.executable, str(EXAMPLES / "serve.py"), **env) as process:
        until(lambda: process.poll() is not None or is_there(prefect_server, "report/report-local"), "the deployments")
        assert process.poll() is None, log.read_text()
        yield prefect_server


def is_there(server: Server, name: str) -> bool:
    try:
        return bool(ask(server, f"/deployments/name/{name}"))
    except httpx.HTTPStatusError as error:
        if error.response.status_code != 404:
            raise
        return False


def state_of(server: Server, run: str) -> str:
    return str(ask(server, f"/flow_runs/{run}")["state_name"])


def comes_to(server: Server, run: str, *names: str) -> None:
    """The run reaches one of these states; any other last state is a failure at once."""

    def there() -> bool:
        state = ask(server, f"/flow_runs/{run}")["state"]
        assert state["name"] in names or state["type"] not in {"FAILED", "CRASHED", "CANCELLED"}, state
        return state["name"] in names

    until(there, f"{run} in {names}")


def log_of(server: Server, run: str) -> str:
    found = ask(server, "/logs/filter", {"logs": {"flow_run_id": {"any_": [run]}}, "sort": "TIMESTAMP_ASC"})
    return "\n".join(line["message"] for line in found)


def begin(server: Server, path: str, **parameters: Any) -> str:
    found = ask(server, f"/deployments/name/{path}")
    return str(ask(server, f"/deployments/{found['id']}/create_flow_run", {"parameters": parameters})["id"])


def test_the_showcase_is_served_from_this_machine(served: Server) -> None:
    found = ask(served, f"/deployments/name/{SERVED}")
    assert found["tags"] == ["showcase", "local"]
    assert found["description"]
    assert re.match(r"\d+\.\d+\.\d+\+", found["version"])
    fields = found["parameter_openapi_schema"]["properties"]
    assert fields["report_length"]["enum"] == ["short", "full"]
    assert fields["count_runs_since"]["format"] == "date"
    run = begin(served, SERVED, pokemon_to_spotlight="eevee", max_pokemon_to_discover_in_showcase=3)
    comes_to(served, run, "Completed")
    until(lambda: "eevee in the spotlight" in log_of(served, run), "the run's log")
    assert ask(served, f"/flow_runs/{run}")["name"] == "showcase.eevee"


def test_several_deployments_are_served_by_one_process_with_schedules_of_their_own(served: Server) -> None:
    schedules = {each["slug"]: each for each in ask(served, "/deployments/name/report/report-local")["schedules"]}
    assert schedules["daily"]["schedule"]["timezone"] == "Europe/Berlin"
    assert schedules["weekly"]["parameters"] == {"detail": "full"}
    said = program(served, "trigger.py")
    assert "3 runs" in said
    assert "3 runs" in program(served, "trigger.py")
    found = ask(served, "/flow_runs/filter", {"flow_runs": {"tags": {"all_": ["triggered"]}}})
    assert len(found) == 3  # a repeated parent doubles nothing


def test_a_paused_run_waits_for_an_approval_and_a_word_changes_it(served: Server) -> None:
    run = begin(served, SERVED, enable_interactive_pause=True, max_pokemon_to_discover_in_showcase=3)
    comes_to(served, run, "Paused")
    refused = program(served, "interact.py", "approve", "--run", run, "--reason", "x", ends=0)
    assert f"{run} goes on" in refused
    until(lambda: "go_faster_please within 15 seconds" in log_of(served, run), "its wait for a word")
    assert "sent go_faster_please" in program(served, "interact.py", "faster", "--run", run)
    comes_to(served, run, "Completed")
    until(lambda: "in the spotlight" in log_of(served, run), "the run's log")
    log = log_of(served, run)
    assert "approve: x" in log
    assert "go_faster_please: 4 at a time from now on" in log


def test_a_wrong_answer_is_refused_and_the_run_stays_paused(served: Server) -> None:
    run = begin(served, SERVED, enable_interactive_pause=True, max_pokemon_to_discover_in_showcase=3)
    comes_to(served, run, "Paused")
    answer = ask(served, f"/flow_runs/{run}/resume", {"run_input": {"action": "dance", "reason": ""}})
    assert answer["status"] == "REJECT"
    assert state_of(served, run) == "Paused"
    program(served, "interact.py", "skip", "--run", run)
    comes_to(served, run, "Completed")
    until(lambda: "skip:" in log_of(served, run), "the run's log")


@pytest.mark.parametrize("wait", ["pause", "suspend"])
def test_what_was_done_before_people_were_waited_for_is_not_done_again(
    prefect_server: Server, tmp_path: Path, wait: str
) -> None:
    code = "import sys; sys.path.insert(0, 'examples'); from interact import long_work; long_work.serve('people')"
    with started(prefect_server, tmp_path / "log", sys.executable, "-c", code, PREFECT_RUNNER_POLL_FREQUENCY="1"):
        until(lambda: is_there(prefect_server, "long-work/people"), "the deployment")
        run = begin(prefect_server, "long-work/people", wait=wait)
        comes_to(prefect_server, run, {"pause": "Paused", "suspend": "Suspended"}[wait])
        ask(prefect_server, f"/flow_runs/{run}/resume", {})
        comes_to(prefect_server, run, "Completed")
        until(lambda: "step 2 is done here and now" in log_of(prefect_server, run), "the run's log")
    assert log_of(prefect_server, run).count("step 1 is done here and now") == 1


def test_without_a_build_the_image_that_is_there_is_deployed(prefect_server: Server) -> None:
    command = [*PREFECT, "work-pool", "create", "cluster", "--type", "kubernetes", "--overwrite"]
    subprocess.run(command, env=prefect_server.env, check=True, capture_output=True)
    program(prefect_server, "deploy.py", "--no-build", "--image", "trawl:1.2", "--pool", "cluster")
    name = "Ultimate%20PokeAPI%20Prefect%20Showcase/poke-showcase-docker-py-deploy"
    found = ask(prefect_server, f"/deployments/name/{name}")
    assert found["job_variables"]["image"] == "trawl:1.2"
    assert found["job_variables"]["env"] == {"PREFECT_LOGGING_LEVEL": "DEBUG"}
    assert found["entrypoint"] == "/opt/trawl/examples/showcase.py:showcase"
    assert found["tags"] == ["showcase", "docker"]
    assert is_there(prefect_server, "report/report-docker-py-deploy")  # several at once


def test_each_example_says_what_it_is(prefect_server: Server) -> None:
    for file in sorted([*EXAMPLES.glob("*.py"), *EXAMPLES.glob("leaving/*.py")]):
        assert file.read_text(encoding="utf-8").startswith('"""'), file.name
