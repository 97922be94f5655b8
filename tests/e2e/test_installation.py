"""What `make up` installed: admitted, protected, open to its user, and unchanged by a second time."""

import json
import os
import shutil
import subprocess

import httpx
import pytest
from cluster import NAMESPACE, ROOT, get, kubectl, port_forward, secret

SECRETS = ("trawl-api", "trawl-postgres", "trawl-minio", "trawl-s3")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def test_every_pod_is_restricted():
    [namespace] = [n for n in get("namespaces") if n["metadata"]["name"] == NAMESPACE]
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    pods = get("pods")
    assert {"server", "worker", "postgres", "minio", "bootstrap"} <= {
        pod["metadata"]["labels"].get("app.kubernetes.io/component") for pod in pods
    }
    for pod in pods:
        spec, name = pod["spec"], pod["metadata"]["name"]
        assert spec["securityContext"]["runAsNonRoot"] is True, name
        assert spec["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault", name
        for container in spec["containers"] + spec.get("initContainers", []):
            security = container["securityContext"]
            assert security["allowPrivilegeEscalation"] is False, name
            assert security["capabilities"]["drop"] == ["ALL"], name
            assert security["readOnlyRootFilesystem"] is True, name


def test_only_the_worker_has_a_token():
    for pod in get("pods"):
        mounts = {mount["mountPath"] for c in pod["spec"]["containers"] for mount in c.get("volumeMounts", [])}
        has_token = "/var/run/secrets/kubernetes.io/serviceaccount" in mounts
        assert has_token == (pod["metadata"]["labels"].get("app.kubernetes.io/component") == "worker")


def test_no_secret_stands_in_plain_text():
    secrets = {value for name in SECRETS for value in secret(name).values() if len(value) >= 16}
    passwords = secrets | {value.partition(":")[2] for value in secrets if ":" in value}
    assert len(passwords) == 5
    for kind in ("pods", "jobs", "deployments", "statefulsets", "replicasets", "configmaps", "events"):
        text = kubectl("get", kind, "-o", "yaml")
        for password in passwords:
            assert password not in text, kind


def test_the_api_asks_who_is_there(prefect):
    with httpx.Client(base_url=f"{prefect.address}/api") as anyone:
        assert anyone.get("/ready").status_code == 200
        assert anyone.post("/flow_runs/filter", json={}).status_code == 401
    prefect.post("/flow_runs/filter", {})


@pytest.mark.skipif(not CHROMIUM, reason="Chromium is not installed")
def test_the_ui_loads_in_a_browser(tmp_path):
    with port_forward("trawl-server", 4200) as address:
        command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        command += [f"--user-data-dir={tmp_path}", "--virtual-time-budget=20000", "--dump-dom", f"{address}/"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    # What the page's own script has put there after it asked the API how to sign in.
    assert 'type="password"' in done.stdout, done.stdout[-2000:]


def test_a_second_make_up_changes_nothing_that_it_should_not(prefect):
    limit = "/v2/concurrency_limits/pokeapi-public-calls"
    discover = prefect.deployment("discover/discover-pokeapi")
    [schedule] = [s for s in discover["schedules"] if s["slug"] == "discover"]
    prefect.patch(limit, {"limit": 7})
    prefect.patch(f"/deployments/{discover['id']}/schedules/{schedule['id']}", {"active": False})
    before = standing()
    try:
        done = subprocess.run(["make", "up"], cwd=ROOT, env=os.environ, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        assert standing() == before
        assert prefect.get(limit)["limit"] == 7
        again = prefect.deployment("discover/discover-pokeapi")
        assert again["id"] == discover["id"]
        assert [s["active"] for s in again["schedules"] if s["slug"] == "discover"] == [False]
    finally:
        prefect.patch(limit, {"limit": 10})
        prefect.patch(f"/deployments/{discover['id']}/schedules/{schedule['id']}", {"active": True})


def standing() -> str:
    """The Secrets, volumes and pods that are there, by what tells that one was replaced."""
    return json.dumps(
        {
            "secrets": {n: secret(n) for n in SECRETS},
            "claims": {c["metadata"]["name"]: c["metadata"]["uid"] for c in get("pvc")},
            "pods": {
                p["metadata"]["name"]: p["metadata"]["uid"]
                for p in get("pods", "-l", "app.kubernetes.io/managed-by!=prefect")
            },
        },
        sort_keys=True,
        indent=1,
    )
