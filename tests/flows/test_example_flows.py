"""The examples, each doing what its first lines say."""

import asyncio
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import backfill
import essentials
import etl
import first_flow
import job
import pytest
import results
import runners
import step1
import step2
import step4
import transactions
import trigger
import variables
from prefect import flow, get_client, get_run_logger, tags
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId, TaskRunFilter, TaskRunFilterFlowRunId
from prefect.client.schemas.objects import FlowRun, State, TaskRun
from prefect.exceptions import MissingContextError
from prefect.utilities.callables import parameter_schema

from trawl.replica import ReplicaApp

pytestmark = [
    pytest.mark.xdist_group("prefect"),
    pytest.mark.usefixtures("replica"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def run_of(state: State[Any]) -> FlowRun:
    with get_client(sync_client=True) as client:
        return client.read_flow_run(state.state_details.flow_run_id)


def tasks_of(state: State[Any], number: int) -> dict[str, TaskRun]:
    """The task runs of a flow run, by name, once there are so many."""
    wanted = TaskRunFilter(flow_run_id=TaskRunFilterFlowRunId(any_=[state.state_details.flow_run_id]))
    found: dict[str, TaskRun] = {}
    with get_client(sync_client=True) as client:
        for _ in range(100):
            found = {run.name: run for run in client.read_task_runs(task_run_filter=wanted)}
            if len(found) >= number and all(run.state and run.state.is_final() for run in found.values()):
                break
            time.sleep(0.1)
    return found


# -- a first flow ------------------------------------------------------------------------------------------


def test_a_flow_is_called_as_a_function_is() -> None:
    assert first_flow.hello() == "pikachu is 0.4 m tall"


def test_a_failure_that_is_expected_keeps_its_cause_and_does_not_end_the_flow() -> None:
    assert first_flow.states() == "pikachu: Completed; missingno: Failed, because of HTTPStatusError 404"


def test_a_404_is_not_tried_again(replica: ReplicaApp) -> None:
    before = replica.stats.requests
    assert first_flow.hello("missingno", return_state=True).is_failed()
    assert replica.stats.requests - before == 1


def test_what_passes_is_tried_again(replica: ReplicaApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRAWL_SOURCE_POKEAPI_BASE_URL", "http://127.0.0.1:1")
    fetch = first_flow.fetch.with_options(retry_delay_seconds=0)

    @flow
    def ask() -> State[Any]:
        return fetch("pikachu", return_state=True)

    state = ask(return_state=True)
    assert state.is_failed()
    (run,) = tasks_of(state, 1).values()
    assert run.run_count == 3


def test_of_several_states_one_failure_fails_the_flow() -> None:
    state = first_flow.several(["pikachu", "missingno"], return_state=True)
    assert (state.is_failed(), state.message) == (True, "1/2 states failed.")


def test_subflows_are_runs_of_their_own() -> None:
    state = first_flow.parent(return_state=True)
    assert state.result() == ["bulbasaur is 0.7 m tall", "eevee is 0.3 m tall"]
    assert len(tasks_of(state, 2)) == 2  # each subflow, as the parent sees it
    with get_client(sync_client=True) as client:
        wanted = FlowRunFilter.model_validate({"parent_flow_run_id": {"any_": [str(state.state_details.flow_run_id)]}})
        assert len(client.read_flow_runs(flow_run_filter=wanted)) == 2


async def test_where_a_loop_runs_already_as_in_a_notebook_an_async_flow_is_awaited() -> None:
    assert await first_flow.hello_async(["pichu", "raichu"]) == ["pichu", "raichu"]
    begun = first_flow.hello_async(["pichu"])
    with pytest.raises(RuntimeError, match="running event loop"):
        asyncio.run(begun)
    begun.close()


def test_outside_of_a_run_there_is_no_run_logger() -> None:
    with pytest.raises(MissingContextError):
        get_run_logger()


def test_a_pipeline_loads_the_same_rows_however_often(tmp_path: Path) -> None:
    to = tmp_path / "pokemon.sqlite"
    for _ in range(2):
        assert asyncio.run(etl.etl(["raichu", "pichu"], to)) == 2
    with closing(sqlite3.connect(to)) as database:
        assert database.execute("SELECT * FROM pokemon").fetchall() == [
            (26, "raichu", "electric", 0.8, 30.0),
            (172, "pichu", "electric", 0.3, 2.0),
        ]


# -- tasks side by side --------------------------------------------------------------------------------------


def test_tasks_in_threads_give_all_and_name_what_failed() -> None:  # (the other runners: tests/server)
    found = runners.side_by_side.with_options(task_runner=runners.runner("threads"))([6, 7, 27, 0])
    assert found["found"] == {6: 8, 7: 16, 27: 111}


def test_a_task_whose_input_failed_runs_only_where_failures_are_allowed() -> None:
    assert runners.whatever_happens([6, 27, 0]) == 111


def program(name: str, *arguments: str, folder: Path | None = None) -> str:
    """What an example says, run as a program against the tests' server."""
    from prefect.settings import get_current_settings

    env = get_current_settings().to_environment_variables(exclude_unset=True)
    import os

    command = [sys.executable, str(Path(runners.__file__).parent / name), *arguments]
    done = subprocess.run(
        command, check=False, env=os.environ | env, capture_output=True, text=True, timeout=120, cwd=folder
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


# -- transactions, variables, results ----------------------------------------------------------------------------


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_transaction_that_fails_leaves_nothing_and_one_that_holds_is_not_repeated(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    assert transactions.publish(folder, "7", {"a": "short", "b": "x" * 2_000}, return_state=True).is_failed()
    assert names(folder) == []
    assert transactions.publish(folder, "7", {"a": "short", "b": "x"}) == "published"
    assert names(folder) == ["a.txt", "b.txt"]
    (folder / "a.txt").unlink()
    assert transactions.publish(folder, "7", {"a": "short", "b": "x"}) == "was published"
    assert names(folder) == ["b.txt"]
    assert (tmp_path / "results" / "edition-7").is_file()  # where another process finds it


def test_the_rollback_hook_takes_away_what_was_written(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    transaction = transactions.Transaction()
    transaction.set("paths", [tmp_path / "a.txt", tmp_path / "never.txt"])
    transactions.take_away(transaction)
    assert "a.txt" not in names(tmp_path)


def test_two_that_ask_at_once_are_answered_by_one_computation(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert transactions.at_once(7, log) == [49] * 2
    assert log.read_text() == "7\n"


def test_variables_are_json_and_have_fallbacks() -> None:
    assert variables.settings() == {
        "greeting": "Hello",
        "sizes": {"small": 3, "large": [10, 25]},
        "missing": "a fallback",
    }
    assert asyncio.run(variables.settings_async()) == "Hello, async"


def test_a_result_is_found_by_another_process(tmp_path: Path) -> None:
    assert results.keep(17).startswith("Completed: 17 rows")
    assert program("results.py", "--rows", "17").startswith("Cached: 17 rows")


# -- tags, runs found again, backfills ------------------------------------------------------------------------------


def test_work_that_is_finished_is_skipped_for_the_day() -> None:
    stores = ["cerulean", "lavender"]
    with tags("env:pro"):
        assert essentials.import_stores(stores, broken=["lavender"]) == ["cerulean"]
        state = essentials.import_stores(stores, broken=[], return_state=True)
    assert state.result() == ["lavender"]
    (found,) = essentials.query_flow_runs("import.lavender", "pro", ["Completed"])
    assert {"env:pro", "store:lavender"} <= set(found.tags)
    assert essentials.query_flow_runs("import.lavender", "test") == []


def test_runs_are_found_from_an_instant_on_past_a_page_and_in_async_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(essentials, "PAGE", 2)

    @flow(flow_run_name="found.{number}")
    async def found(number: int) -> list[str]:
        return await essentials.aupdate_tags([f"number:{number}"])

    begin = datetime.now(UTC)
    for number in range(5):
        assert asyncio.run(found(number)) == [f"number:{number}"]
    names = [f"found.{number}" for number in range(5)]
    assert sorted(run.name for run in essentials.query_flow_runs("found.", start_time_min=begin)) == names
    newest, *_ = asyncio.run(essentials.aquery_flow_runs("found.", start_time_min=begin))
    assert newest.name == "found.4"
    assert essentials.query_flow_runs("found.", start_time_min=datetime.now(UTC) + timedelta(hours=1)) == []
    with pytest.raises(ValueError, match="time zone"):
        essentials.query_flow_runs(start_time_min=datetime(2026, 1, 1))  # noqa: DTZ001


def test_a_backfill_runs_each_day_once_and_names_days_that_failed() -> None:
    first = backfill.backfill(date(2025, 3, 1), date(2025, 3, 2), return_state=True)
    assert first.result() == ["Saturday 2025-03-01, week 09", "Sunday 2025-03-02, week 09"]
    assert backfill.backfill(date(2025, 3, 1), date(2025, 3, 3), return_state=True).message == "1 days reported"
    tomorrow = datetime.now(UTC).date() + timedelta(days=1)
    failed = backfill.backfill(tomorrow, tomorrow, return_state=True)
    assert (failed.is_failed(), failed.message) == (True, f"1 days failed: {tomorrow}")


def test_the_form_of_a_day_has_a_date_picker_and_a_drop_down() -> None:
    fields = parameter_schema(backfill.report).properties
    assert (fields["day"]["format"], fields["day"]["default"]) == ("date", "2026-01-01")
    assert (fields["detail"]["enum"], fields["detail"]["default"]) == (["short", "full"], "short")


# -- deployments that flows start -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def deployment(prefect: None) -> str:
    """A deployment on a pool that nobody works for."""
    from prefect.client.schemas.actions import WorkPoolCreate

    with get_client(sync_client=True) as client:
        client.create_work_pool(WorkPoolCreate(name="nobody", type="process"))
        flow_id = client.create_flow(backfill.report)
        client.create_deployment(
            flow_id,
            "nobody",
            work_pool_name="nobody",
            parameter_openapi_schema=parameter_schema(backfill.report).model_dump(),
        )
    return "report/nobody"


def test_a_repeated_parent_starts_nothing_twice(deployment: str) -> None:
    runs = [trigger.reports(date(2026, 10, 1), 2, 0, deployment) for _ in range(2)]
    assert runs[0] == runs[1]
    assert len(set(runs[0])) == 2
    with get_client(sync_client=True) as client:
        found = client.read_flow_runs(flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=runs[0])))
    assert {run.name for run in found} == {"report.2026-10-01", "report.2026-10-02"}
    assert all("triggered" in run.tags for run in found)


def test_a_run_that_does_not_come_to_its_end_in_time_is_named(deployment: str) -> None:
    state = trigger.reports(date(2026, 11, 1), 1, 0.1, deployment, return_state=True)
    assert (state.is_failed(), "report.2026-11-01" in str(state.message)) == (True, True)


def test_a_run_for_later_waits_in_its_queue(deployment: str) -> None:
    with get_client(sync_client=True) as client:
        client._client.post("/work_pools/nobody/queues/", json={"name": "soon"}).raise_for_status()
    run = trigger.later(deployment, date(2026, 12, 1), hours=2, queue="soon")
    assert run.state is not None
    assert run.state.is_scheduled()
    assert run.work_queue_name == "soon"
    assert run.expected_start_time is not None
    assert run.expected_start_time - datetime.now(UTC) > timedelta(minutes=110)


# -- leaving another orchestrator ---------------------------------------------------------------------------------------


def test_each_step_of_leaving_does_what_the_old_job_does(tmp_path: Path) -> None:
    assert job.main(to=tmp_path / "old.json") == 2
    assert step1.my_job(to=tmp_path / "one.json") == 2
    state = step2.my_job(to=tmp_path / "two.json", return_state=True)
    assert state.result() == 2
    assert len({(tmp_path / f"{name}.json").read_text() for name in ("old", "one", "two")}) == 1
    with get_client(sync_client=True) as client:
        assert client.read_flow(run_of(state).flow_id).name == "my_job"
    ran = {name.rpartition("-")[0] for name in tasks_of(state, 3)}
    assert ran == {"my_job.read", "my_job.transform.rename", "my_job.write"}
    assert step4.SCHEDULE.active is False


def test_from_the_first_step_on_a_failure_tells_people(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for step in (step1, step2):
        caplog.clear()
        assert step.my_job(source=tmp_path / "missing.json", return_state=True).is_failed()
        assert "there is no block slack-webhook/job-alerts" in caplog.text
