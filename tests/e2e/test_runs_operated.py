"""What an operator does with runs: change their pods, cancel, suspend, resume, overtake."""

import subprocess
import time

import pytest
from cluster import CONTEXT, NAMESPACE, get, kubectl


@pytest.fixture(scope="module")
def keep(prefect):
    """An example whose result is cached."""
    return prefect.deploy("e2e-results", "keep", "examples/results.py:keep")


@pytest.fixture(scope="module")
def long_work(prefect):
    """An example that waits for people, between two steps whose results are kept."""
    return prefect.deploy("e2e-interact", "long-work", "examples/interact.py:long_work")


@pytest.fixture
def paused_pool(prefect):
    prefect.patch("/work_pools/trawl", {"is_paused": True})
    yield
    prefect.patch("/work_pools/trawl", {"is_paused": False})


def pods_of(run_id):
    return [pod for pod in get("pods", "-l", f"prefect.io/flow-run-id={run_id}") if not is_over(pod)]


def is_over(pod):
    return pod["status"]["phase"] in {"Succeeded", "Failed"} or "deletionTimestamp" in pod["metadata"]


def gone(run_id, timeout=60):
    deadline = time.monotonic() + timeout
    while pods_of(run_id):
        assert time.monotonic() < deadline, "the pod is still there"
        time.sleep(1)


def in_worker(*command):
    return kubectl("exec", "deploy/trawl-worker", "--", *command)


def test_job_variables_of_a_run_are_those_of_its_job(prefect, keep):
    variables = {"memory_limit": "777Mi", "cpu_request": "123m", "env": {"E2E_WORD": "here"}, "finished_job_ttl": 1234}
    run_id = prefect.start(keep, {"job_variables": variables}, rows=3)
    assert prefect.wait(run_id)["state_type"] == "COMPLETED", prefect.logs(run_id)
    [job] = get("jobs", "-l", f"prefect.io/flow-run-id={run_id}")
    [container] = job["spec"]["template"]["spec"]["containers"]
    assert container["resources"]["limits"]["memory"] == "777Mi"
    assert container["resources"]["requests"]["cpu"] == "123m"
    assert {"name": "E2E_WORD", "value": "here"} in container["env"]
    assert job["spec"]["ttlSecondsAfterFinished"] == 1234
    assert job["spec"]["activeDeadlineSeconds"] == 21600
    assert job["spec"]["backoffLimit"] == 0


def test_a_result_that_one_pod_kept_is_found_by_the_next(prefect, keep):
    rows = int(time.time())  # never asked before
    said = []
    for _ in range(2):
        run_id = prefect.start(keep, rows=rows % 1000 + 10)
        assert prefect.wait(run_id)["state_type"] == "COMPLETED", prefect.logs(run_id)
        said.append(prefect.logs(run_id, says="Finished in state"))
    assert "computing" in said[0]
    assert "Finished in state Cached" in said[1]
    assert "computing" not in said[1]


def test_a_run_is_cancelled_before_a_worker_has_it(prefect, keep, paused_pool):
    run_id = prefect.start(keep)
    in_worker("prefect", "flow-run", "cancel", run_id)
    assert prefect.wait(run_id, 60)["state_type"] == "CANCELLED"
    assert not pods_of(run_id)


def test_a_run_is_cancelled_while_its_pod_cannot_start(prefect, keep):
    """Prefect's worker leaves that to the server, which would take five minutes by default."""
    run_id = prefect.start(keep, {"job_variables": {"image": "registry.invalid/none:1"}})
    prefect.wait(run_id, 60, {"InfrastructurePending"})
    while not pods_of(run_id):
        time.sleep(0.5)
    prefect.cancel(run_id)
    assert prefect.wait(run_id, 120)["state_type"] == "CANCELLED"
    gone(run_id)


def test_a_run_is_cancelled_while_it_works(prefect):
    run_id = prefect.start("refresh/refresh-pokeapi", force=True, rate=1)
    prefect.wait(run_id, 90, {"RUNNING"})
    prefect.cancel(run_id)
    assert prefect.wait(run_id, 120)["state_type"] == "CANCELLED"
    gone(run_id)


def test_a_suspended_run_gives_its_pod_back_and_what_it_did_is_not_done_again(prefect, long_work):
    run_id = prefect.start(long_work, wait="suspend")
    prefect.wait(run_id, 90, {"Suspended"})
    gone(run_id)
    prefect.post(f"/flow_runs/{run_id}/resume", {})
    assert prefect.wait(run_id, 120)["state_type"] == "COMPLETED", prefect.logs(run_id)
    assert prefect.logs(run_id, says="Finished in state").count("step 1 is done here and now") == 1
    assert len(get("jobs", "-l", f"prefect.io/flow-run-id={run_id}")) == 2


def test_a_paused_run_keeps_its_pod(prefect, long_work):
    run_id = prefect.start(long_work, wait="pause")
    prefect.wait(run_id, 90, {"Paused"})
    assert len(pods_of(run_id)) == 1
    prefect.post(f"/flow_runs/{run_id}/resume", {})
    assert prefect.wait(run_id, 120)["state_type"] == "COMPLETED", prefect.logs(run_id)
    assert len(get("jobs", "-l", f"prefect.io/flow-run-id={run_id}")) == 1


def test_the_urgent_queue_overtakes_the_other(prefect, keep):
    prefect.patch("/work_pools/trawl", {"is_paused": True, "concurrency_limit": 1})
    try:
        ordinary = [prefect.start(keep, rows=5) for _ in range(2)]
        urgent = prefect.start(keep, {"work_queue_name": "high-priority"}, rows=6)
        prefect.patch("/work_pools/trawl", {"is_paused": False})
        begun = {run_id: prefect.wait(run_id)["start_time"] for run_id in [*ordinary, urgent]}
        assert begun[urgent] == min(begun.values())
    finally:
        prefect.patch("/work_pools/trawl", {"is_paused": False, "concurrency_limit": None})


def test_two_workers_take_no_run_twice_and_one_that_dies_stops_none(prefect, keep):
    kubectl("scale", "deployment/trawl-worker", "--replicas=2")
    try:
        kubectl("rollout", "status", "deployment/trawl-worker", "--timeout=180s")
        runs = [prefect.start(keep, rows=number) for number in range(4)]
        for run_id in runs[:2]:
            prefect.wait(run_id, 120, {"InfrastructurePending", "RUNNING", "COMPLETED"})
        workers = get("pods", "-l", "app.kubernetes.io/component=worker")
        kubectl("delete", "pod", workers[0]["metadata"]["name"], "--grace-period=0", "--force")
        for run_id in runs:
            assert prefect.wait(run_id, 240)["state_type"] == "COMPLETED", prefect.logs(run_id)
            assert len(get("jobs", "-l", f"prefect.io/flow-run-id={run_id}")) == 1
    finally:
        kubectl("scale", "deployment/trawl-worker", "--replicas=1")


def test_the_event_of_a_discovery_starts_the_refresh(prefect):
    def triggered():
        runs = prefect.post("/flow_runs/filter", {"deployments": {"name": {"any_": ["refresh-pokeapi"]}}})
        return {run["id"] for run in runs if not run["auto_scheduled"]}

    before = triggered()
    event = ("trawl.discovery.due", "--resource-id", "trawl.source.pokeapi", "--payload", '{"due": 1}')
    in_worker("prefect", "event", "emit", *event)
    deadline = time.monotonic() + 60
    while not (new := triggered() - before):
        assert time.monotonic() < deadline, "no refresh was started"
        time.sleep(1)
    [run_id] = new
    assert prefect.wait(run_id)["state_type"] == "COMPLETED", prefect.logs(run_id)


def test_the_lake_is_reached_from_inside():
    assert "pokeapi" in in_worker("trawl", "status")
    assert "pokemon" in in_worker("trawl", "query", "SELECT DISTINCT endpoint FROM pokeapi.records", "--format", "csv")


def test_helm_test_runs_a_real_flow():
    command = ["helm", "--kube-context", CONTEXT, "-n", NAMESPACE, "test", "trawl", "--logs"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "completed: " in done.stdout
