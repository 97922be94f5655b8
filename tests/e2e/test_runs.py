"""Flow runs as Kubernetes Jobs, and what they leave in the lake."""

import time

import httpx
import pytest
from cluster import Prefect, get, kubectl, port_forward


@pytest.fixture(scope="module")
def refreshed(prefect):
    """A run of refresh, triggered as by hand; forced, because another test may have crawled before."""
    return prefect.wait(prefect.start("refresh/refresh-pokeapi", force=True))


def job_of(run_id):
    jobs = get("jobs", "-l", f"prefect.io/flow-run-id={run_id}")
    assert len(jobs) == 1
    return jobs[0]


def test_a_triggered_run_completes_as_a_job(prefect, refreshed):
    assert refreshed["state_type"] == "COMPLETED", prefect.logs(refreshed["id"])
    job = job_of(refreshed["id"])
    kubectl("wait", f"job/{job['metadata']['name']}", "--for=condition=Complete", "--timeout=60s")
    assert job["spec"]["ttlSecondsAfterFinished"] >= 300
    assert "refresh of pokeapi" in prefect.logs(refreshed["id"], says="refresh of pokeapi")


def test_a_run_shows_its_report(prefect, refreshed):
    [inner] = prefect.post("/flow_runs/filter", {"flow_runs": {"parent_flow_run_id": {"any_": [refreshed["id"]]}}})
    assert inner["name"] == "refresh.pokeapi"
    artifacts = prefect.post("/artifacts/filter", {"artifacts": {"flow_run_id": {"any_": [inner["id"]]}}})
    shown = {artifact["key"]: artifact["data"] for artifact in artifacts}
    assert shown["refresh-pokeapi"].startswith("**pokeapi: done**")
    assert '"endpoint": "pokemon"' in shown["endpoints-pokeapi"]
    assert shown.keys() >= {"runs-pokeapi", "progress-pokeapi"}
    assert ("changes-pokeapi" in shown) != ("\n0 new, 0 changed, 0 gone" in shown["refresh-pokeapi"])


@pytest.mark.usefixtures("refreshed")
def test_the_lake_holds_what_the_source_serves(replica, query):
    held = query("SELECT endpoint, key, url, payload FROM pokeapi.records WHERE state = 'present'")
    rows = {(row["endpoint"], row["key"]): row for row in held}
    assert len(rows) == len(held)
    with httpx.Client(base_url=replica, timeout=30) as http:
        answers = {endpoint: http.get(f"/{endpoint}/?limit=100000") for endpoint in http.get("/").json()}
        # As in PokeAPI, the root also names what is no list: `meta`, and an endpoint that is not there.
        listings = {name: answer.json().get("results") for name, answer in answers.items() if answer.is_success}
        served = {
            (endpoint, item["url"].rstrip("/").rpartition("/")[2])
            for endpoint, items in listings.items()
            for item in items or ()
        }
        assert len(served) > 2000
        assert served == {of for of in rows if of[0] in listings}
        for endpoint, key in sorted(served):
            assert rows[endpoint, key]["payload"] == http.get(f"/{endpoint}/{key}/").text, f"{endpoint}/{key}"


@pytest.mark.usefixtures("refreshed")
def test_a_second_run_has_nothing_to_do(prefect, query):
    before = query("SELECT count(*) AS n FROM pokeapi.versions")
    run = prefect.wait(prefect.start("refresh/refresh-pokeapi"))
    assert run["state_type"] == "COMPLETED", prefect.logs(run["id"])
    assert query("SELECT count(*) AS n FROM pokeapi.versions") == before


RATE = 50


@pytest.mark.usefixtures("refreshed")
def test_over_three_pods_a_lost_one_costs_only_its_own_shards_and_the_rate_is_kept(prefect, query):
    records = "SELECT endpoint, key, payload FROM pokeapi.records ORDER BY ALL"
    before, began = query(records), time.time()
    run_id = prefect.start("refresh/refresh-pokeapi", force=True, pods=3, rate=RATE)

    def pods():
        body = {"flow_runs": {"tags": {"all_": [f"pods-of:{run_id}"]}}}
        return prefect.post("/flow_runs/filter", body)

    while not (running := [pod for pod in pods() if pod["state_type"] == "RUNNING"]):
        assert time.time() - began < 120, prefect.logs(run_id)
        time.sleep(0.5)
    kubectl("delete", "pod", "-l", f"prefect.io/flow-run-id={running[0]['id']}", "--grace-period=0", "--force")
    run = prefect.wait(run_id, timeout=400)
    assert run["state_type"] == "COMPLETED", prefect.logs(run_id)
    assert query(records) == before
    [report] = query("SELECT requests, duration_s FROM pokeapi.runs ORDER BY started_at DESC LIMIT 1")
    assert report["requests"] >= len(before)
    assert report["requests"] / report["duration_s"] <= RATE
    # An evicted pod's flow run is started again by Prefect, a killed one's shards by the parent.
    assert sum(pod["run_count"] for pod in pods()) == 4


def test_a_scheduled_run_completes_as_a_job(prefect):
    deployment = prefect.deployment("discover/discover-pokeapi")
    path = f"/deployments/{deployment['id']}/schedules"
    every_minute = {"schedule": {"cron": "* * * * *", "timezone": "UTC"}, "active": True, "slug": "e2e"}
    [made] = prefect.post(path, [every_minute])
    began = time.time()
    try:
        while True:
            body = {
                "deployments": {"id": {"any_": [deployment["id"]]}},
                "flow_runs": {"state": {"type": {"any_": ["COMPLETED", "FAILED", "CRASHED"]}}},
                "sort": "EXPECTED_START_TIME_DESC",
            }
            ended = [run for run in prefect.post("/flow_runs/filter", body) if run["auto_scheduled"]]
            if ended:
                break
            assert time.time() - began < 180, "no scheduled run ended within three minutes"
            time.sleep(1)
    finally:
        prefect.delete(f"{path}/{made['id']}")
    assert ended[0]["state_type"] == "COMPLETED", prefect.logs(ended[0]["id"])
    job_of(ended[0]["id"])


def test_a_server_that_restarts_crashes_no_run(prefect):
    """Prefect itself ends a run as Crashed whose pod starts while the server is away."""
    run_id = prefect.start("discover/discover-pokeapi")
    while not get("pods", "-l", f"prefect.io/flow-run-id={run_id}"):
        time.sleep(0.2)
    kubectl("delete", "pod", "-l", "app.kubernetes.io/component=server")
    kubectl("rollout", "status", "deployment/trawl-server", "--timeout=120s")
    with port_forward("trawl-server", 4200) as address, Prefect(address) as again:
        assert again.wait(run_id)["state_type"] == "COMPLETED", again.logs(run_id)
