"""The chart in its other shapes, each installed, tested, run, and restarted part by part."""

import base64
import logging
import subprocess
import time
import uuid

import httpx
import pytest
from cluster import NAMESPACE, Prefect, get, kubectl, port_forward, secret
from installing import SCENARIOS, apply, helm, helm_test, install, let_in, own_namespace, ready

pytestmark = pytest.mark.long


def whatever_restarts(namespace, question, timeout):
    """What Prefect's API answers, asked from the laptop, and anew while the server or the way to it is away."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            with port_forward("trawl-server", 4200, namespace=namespace) as address, Prefect(address, namespace) as api:
                return question(api)
        except (OSError, AssertionError, httpx.TransportError, subprocess.SubprocessError):
            if time.monotonic() > deadline:
                raise
            time.sleep(2)


def started(namespace, deployment="discover/discover-pokeapi", **parameters):
    once = {"idempotency_key": uuid.uuid4().hex}  # an answer that is lost must not mean two runs
    return whatever_restarts(namespace, lambda prefect: prefect.start(deployment, once, **parameters), 60)


def ended(namespace, run_id, timeout=300):
    return whatever_restarts(namespace, lambda prefect: prefect.wait(run_id, timeout)["state_type"], timeout)


def survives_a_restart_of_each_part(namespace, components):
    for component in components:
        run_id = started(namespace)
        kubectl("delete", "pod", "-l", f"app.kubernetes.io/component={component}", "--wait=false", namespace=namespace)
        assert ended(namespace, run_id) == "COMPLETED", component
        ready(namespace)


def test_high_availability():
    with own_namespace("trawl-available") as namespace:
        install(namespace, files=[SCENARIOS / "high-availability-values.yaml"])
        running = {pod["metadata"]["labels"]["app.kubernetes.io/component"] for pod in get("pods", namespace=namespace)}
        assert running >= {"server", "services", "valkey", "worker", "worker-quick", "postgres", "minio"}
        assert "completed: " in helm_test(namespace)
        run_id = started(namespace, "refresh/refresh-pokeapi")
        assert ended(namespace, run_id) == "COMPLETED"
        # Without what they share, the servers would lose task runs and events, and say nothing.
        with port_forward("trawl-server", 4200, namespace=namespace) as address, Prefect(address, namespace) as prefect:
            assert prefect.post("/task_runs/count", {"flow_runs": {"parent_flow_run_id": {"any_": [run_id]}}}) > 0
        survives_a_restart_of_each_part(namespace, ["services", "valkey", "postgres", "worker"])
        [server, *_] = get("pods", "-l", "app.kubernetes.io/component=server", namespace=namespace)
        run_id = started(namespace)
        kubectl("delete", "pod", server["metadata"]["name"], "--wait=false", namespace=namespace)
        assert ended(namespace, run_id) == "COMPLETED"


def test_stores_that_run_elsewhere():
    with own_namespace("stores"), own_namespace("trawl-external") as namespace:
        install_stores()
        secrets = {
            "my-api": {"auth-string": "me:secret-of-the-api"},
            "my-postgres": {"password": "secret-of-postgres"},
            "my-s3": {"access-key": "secret-user", "secret-key": "secret-of-minio"},
            "my-valkey": {"password": "secret-of-valkey"},
        }
        for name, data in secrets.items():
            encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
            body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": encoded}
            apply(body, namespace=namespace)
        install(namespace, files=[SCENARIOS / "external-values.yaml"])
        assert not get("statefulsets", namespace=namespace)
        assert {one["metadata"]["name"] for one in get("secrets", namespace=namespace)} >= secrets.keys()
        assert "completed: " in helm_test(namespace)


def install_stores():
    """Postgres, MinIO and Valkey as somebody else would run them."""
    script = "mkdir -p /data/my-lake /data/my-results && exec minio server /data --address :9000"
    for name, image, port, command, env in (
        ("postgres", "postgres:17", 5432, None, {"POSTGRES_USER": "trawl", "POSTGRES_PASSWORD": "secret-of-postgres"}),
        (
            *("minio", "pgsty/silo:RELEASE.2026-09-16T00-00-00Z", 9000, ["sh", "-c", script]),
            {"MINIO_ROOT_USER": "secret-user", "MINIO_ROOT_PASSWORD": "secret-of-minio", "HOME": "/tmp"},
        ),
        ("valkey", "valkey/valkey:8.1", 6379, ["valkey-server", "--requirepass", "secret-of-valkey"], {}),
    ):
        container = {
            "name": name,
            "image": image,
            "env": [{"name": key, "value": value} for key, value in env.items()],
            "readinessProbe": {"tcpSocket": {"port": port}, "periodSeconds": 1},
            "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
            "volumeMounts": [{"name": "data", "mountPath": "/data"}],
        }
        if command:
            container["command"] = command
        if name == "postgres":
            container["env"].append({"name": "PGDATA", "value": "/data/pg"})
            container["volumeMounts"].append({"name": "run", "mountPath": "/var/run/postgresql"})
        spec = {
            "securityContext": {"runAsNonRoot": True, "runAsUser": 999, "fsGroup": 999, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [container],
            "volumes": [{"name": "data", "emptyDir": {}}, {"name": "run", "emptyDir": {}}],
        }  # fmt: skip
        labels = {"app": name}
        template = {"metadata": {"labels": labels}, "spec": spec}
        deployment = {"selector": {"matchLabels": labels}, "template": template}
        service = {"selector": labels, "ports": [{"port": port}]}
        apply(
            {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": deployment},
            {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": service},
            namespace="stores",
        )
    ready("stores")


GUEST = """
server: {{external: {{url: "http://trawl-server.{host}.svc:4200/api"}}}}
existingSecrets: {{api: their-api}}
s3: {{resultsBucket: guest-results}}
defaultWorkPool: guest
workPools: {{trawl: null, guest: {{type: kubernetes, queues: [default]}}}}
sources: {{pokeapi: null}}
"""


def test_a_server_that_runs_elsewhere(tmp_path, prefect):
    """Worker, MinIO and bootstrap alone, on the first installation's server, in a pool of their own."""
    values = tmp_path / "guest.yaml"
    values.write_text(GUEST.format(host=NAMESPACE))
    with own_namespace("trawl-guest") as namespace, let_in(namespace, "server"):
        login = f"--from-literal=auth-string={secret('trawl-api')['auth-string']}"
        kubectl("create", "secret", "generic", "their-api", login, namespace=namespace)
        install(namespace, files=[values])
        components = {
            pod["metadata"]["labels"]["app.kubernetes.io/component"] for pod in get("pods", namespace=namespace)
        }
        assert components == {"worker", "bootstrap", "minio"}
        guest = prefect.deploy("e2e-guest", "keep", "examples/results.py:keep", work_pool_name="guest")
        run_id = prefect.start(guest, rows=12)
        assert prefect.wait(run_id)["state_type"] == "COMPLETED", prefect.logs(run_id)
        assert len(get("jobs", "-l", f"prefect.io/flow-run-id={run_id}", namespace=namespace)) == 1


def test_an_upgrade_that_does_not_come_up_is_rolled_back_and_serves_on():
    with own_namespace("trawl-upgrade") as namespace:
        install(namespace)
        before = {name: secret(name, namespace) for name in ("trawl-api", "trawl-postgres", "trawl-minio", "trawl-s3")}
        wrong = ("upgrade", "trawl", "helm/trawl", "--reuse-values", "--rollback-on-failure", "--timeout=90s")
        done = helm(*wrong, "--set-string=image.repository=registry.invalid/trawl", namespace=namespace)
        assert done.returncode != 0
        ready(namespace)
        assert "completed: " in helm_test(namespace)
        in_flight = started(namespace, "refresh/refresh-pokeapi", force=True, rate=50)
        of_run = f"prefect.io/flow-run-id={in_flight}"
        whatever_restarts(namespace, lambda prefect: prefect.wait(in_flight, 120, {"RUNNING"}), 120)
        install(namespace, "logLevel=DEBUG")
        assert {name: secret(name, namespace) for name in before} == before
        assert ended(namespace, in_flight) == "COMPLETED"
        assert len(get("pods", "-l", of_run, namespace=namespace)) == 1, "the run was begun anew"
        # Uninstalled and installed again, it finds what it left.
        run_id = started(namespace)
        assert ended(namespace, run_id) == "COMPLETED"
        debug = {"logs": {"flow_run_id": {"any_": [run_id]}, "level": {"le_": logging.DEBUG}}}
        assert whatever_restarts(namespace, lambda prefect: prefect.post("/logs/filter", debug), 60)
        for part in ("server", "worker"):
            assert "| DEBUG " in kubectl("logs", f"deployment/trawl-{part}", namespace=namespace), part
        assert helm("uninstall", "trawl", "--wait", namespace=namespace).returncode == 0
        install(namespace)
        assert {name: secret(name, namespace) for name in before} == before
        assert ended(namespace, run_id) == "COMPLETED"


def test_ten_servers_that_die_under_a_starting_run_crash_none():
    for _ in range(10):
        run_id = started(NAMESPACE)
        deadline = time.monotonic() + 60
        while not get("pods", "-l", f"prefect.io/flow-run-id={run_id}"):
            assert time.monotonic() < deadline
            time.sleep(0.2)
        kubectl("delete", "pod", "-l", "app.kubernetes.io/component=server", "--grace-period=0", "--force")
        kubectl("rollout", "status", "deployment/trawl-server", "--timeout=180s")
        assert ended(NAMESPACE, run_id) == "COMPLETED"


@pytest.mark.parametrize("component", ["postgres", "minio", "worker", "server", "flows"])
def test_whatever_dies_in_mid_run_the_lake_is_right_afterwards(component, query):
    records = "SELECT endpoint, key, payload FROM pokeapi.records ORDER BY ALL"
    before = query(records)
    run_id = started(NAMESPACE, "refresh/refresh-pokeapi", force=True, rate=60)
    deadline = time.monotonic() + 120
    while not [p for p in get("pods", "-l", f"prefect.io/flow-run-id={run_id}") if p["status"]["phase"] == "Running"]:
        assert time.monotonic() < deadline
        time.sleep(0.5)
    time.sleep(15)
    chosen = f"prefect.io/flow-run-id={run_id}" if component == "flows" else f"app.kubernetes.io/component={component}"
    kubectl("delete", "pod", "-l", chosen, "--grace-period=0", "--force")
    if ended(NAMESPACE, run_id, 400) != "COMPLETED":
        assert ended(NAMESPACE, started(NAMESPACE, "refresh/refresh-pokeapi"), 400) == "COMPLETED"
    ready(NAMESPACE)
    assert query(records) == before
