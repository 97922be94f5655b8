"""Who reaches whom: tried from pods, with addresses that stand for the public internet and a cloud's metadata service."""

import json
import subprocess
import uuid
from collections.abc import Iterator

import pytest
from cluster import CONTEXT, NAMESPACE, get, kubectl
from installing import apply, image

NODE = f"{CONTEXT.removeprefix('kind-')}-control-plane"
PUBLIC, METADATA = "203.0.113.10", "169.254.169.254"
PROBE = """
import json, socket, sys
reached = {}
for target in sys.argv[1:]:
    host, port = target.rsplit(":", 1)
    try:
        socket.create_connection((host, int(port)), timeout=3).close()
        reached[target] = True
    except OSError:
        reached[target] = False
print(json.dumps(reached))
"""


def reached_from(namespace: str, labels: dict[str, str], *targets: str) -> dict[str, bool]:
    """Which addresses a pod with these labels can connect to."""
    name = f"probe-{uuid.uuid4().hex[:8]}"
    container = {
        "name": "probe",
        "image": image(),
        "command": ["python", "-c", PROBE, *targets],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    spec = {"restartPolicy": "Never", "automountServiceAccountToken": False, "containers": [container]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels}, "spec": spec}
    apply(pod, namespace=namespace)
    try:
        wait = ("wait", f"pod/{name}", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=120s")
        kubectl(*wait, namespace=namespace)
        return json.loads(kubectl("logs", name, namespace=namespace))
    finally:
        kubectl("delete", "pod", name, "--wait=false", namespace=namespace)


def docker(*arguments: str) -> None:
    subprocess.run(["docker", *arguments], check=True, capture_output=True, text=True)


@pytest.fixture(scope="module")
def outside() -> Iterator[None]:
    """A host at a public address and one at the metadata service's, both reached through the node."""
    listen = "import http.server as h; h.ThreadingHTTPServer(('', 80), h.SimpleHTTPRequestHandler).serve_forever()"
    made: list[tuple[str, ...]] = []
    try:
        for address in (PUBLIC, METADATA):
            network = f"trawl-e2e-{address.replace('.', '-')}"
            docker("network", "create", "--subnet", f"{address.rpartition('.')[0]}.0/24", network)
            made.append(("network", "rm", network))
            run = ("run", "--detach", "--user", "0", "--network", network, "--ip", address, "--name", network)
            docker(*run, "trawl:latest", "python", "-c", listen)
            made.append(("rm", "--force", network))
            docker("network", "connect", network, NODE)
            made.append(("network", "disconnect", "--force", network, NODE))
        yield
    finally:
        for undo in reversed(made):
            docker(*undo)


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[str]:
    name = f"trawl-stranger-{uuid.uuid4().hex[:6]}"
    kubectl("create", "namespace", name)
    yield name
    kubectl("delete", "namespace", name, "--wait=false")


def services(*names: str) -> list[str]:
    return [f"{name}.{NAMESPACE}.svc:{port}" for name, port in (each.split(":") for each in names)]


STORES = services("trawl-postgres:5432", "trawl-minio:9000", "trawl-minio:9001")


@pytest.mark.usefixtures("outside")
def test_a_stranger_reaches_no_store(elsewhere):
    control = [f"{PUBLIC}:80", f"{METADATA}:80"]  # nothing but the policies stands in a stranger's way
    found = reached_from(elsewhere, {}, *STORES, *services("trawl-server:4200"), *control)
    assert {target for target, reached in found.items() if reached} == set(control)


def test_a_pod_beside_the_stores_reaches_none_either():
    found = reached_from(NAMESPACE, {"app.kubernetes.io/component": "flows"}, *STORES)  # of no release
    assert not any(found.values()), found


@pytest.mark.usefixtures("outside")
def test_a_flow_reaches_the_internet_and_its_stores_and_no_private_address():
    labels = {"app.kubernetes.io/instance": "trawl", "app.kubernetes.io/component": "flows"}
    [kubernetes] = [s for s in get("services", namespace="default") if s["metadata"]["name"] == "kubernetes"]
    [node] = get("nodes")
    address = next(a["address"] for a in node["status"]["addresses"] if a["type"] == "InternalIP")
    allowed = [f"{PUBLIC}:80", *services("trawl-server:4200", "trawl-minio:9000"), "pokeapi.trawl-replica:80"]
    denied = [f"{METADATA}:80", *services("trawl-postgres:5432", "trawl-minio:9001")]
    denied += [f"{kubernetes['spec']['clusterIP']}:443", f"{address}:6443"]
    found = reached_from(NAMESPACE, labels, *allowed, *denied)
    assert {target for target, reached in found.items() if reached} == set(allowed), found


def test_no_pod_may_run_as_root():
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "root"},
        "spec": {"containers": [{"name": "root", "image": image(), "securityContext": {"runAsUser": 0}}]},
    }
    command = ["kubectl", "--context", CONTEXT, "-n", NAMESPACE, "apply", "--dry-run=server", "-f", "-"]
    done = subprocess.run(command, input=json.dumps(pod), text=True, check=False, capture_output=True)
    assert done.returncode != 0
    assert 'violates PodSecurity "restricted' in done.stderr
