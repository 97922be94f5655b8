"""Further installations of the chart, each in a namespace of its own, from the image that runs in the first one."""

import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from cluster import CONTEXT, NAMESPACE, ROOT, Json, get, kubectl

VALUES = ROOT / "k8s" / "values-kind.yaml"
SCENARIOS = ROOT / "helm" / "trawl" / "ci"


def image() -> str:
    [worker] = get("deployments", "-l", "app.kubernetes.io/component=worker")
    found: str = worker["spec"]["template"]["spec"]["containers"][0]["image"]
    return found


def helm(*arguments: str, namespace: str) -> subprocess.CompletedProcess[str]:
    command = ["helm", "--kube-context", CONTEXT, "--namespace", namespace, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def make(namespace: str, *words: str, path: str = "") -> subprocess.CompletedProcess[str]:
    """`make WORDS` on an installation in the cluster; `path` goes before PATH."""
    command = ["make", *words, f"NAMESPACE={namespace}", f"KUBE_CONTEXT={CONTEXT}"]
    env = os.environ | {"PATH": os.pathsep.join(filter(None, (path, os.environ["PATH"])))}
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)


def apply(*objects: dict[str, Any], namespace: str) -> None:
    command = ["kubectl", "--context", CONTEXT, "--namespace", namespace, "apply", "-f", "-"]
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    subprocess.run(command, input=text, text=True, check=True, capture_output=True)


@contextmanager
def own_namespace(name: str) -> Iterator[str]:
    """A namespace under the strictest of Kubernetes' standards; what is in it goes with it."""
    kubectl("create", "namespace", name)
    kubectl("label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted")
    try:
        yield name
    finally:
        kubectl("delete", "namespace", name, "--timeout=300s")


@contextmanager
def let_in(guest: str, component: str) -> Iterator[None]:
    """Open a component of the first installation to another namespace: its policies let in its own clients alone."""
    peers = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": guest}}}]
    chosen = {"matchLabels": {"app.kubernetes.io/component": component}}
    policy = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": guest}}
    apply({**policy, "spec": {"podSelector": chosen, "ingress": [{"from": peers}]}}, namespace=NAMESPACE)
    try:
        yield
    finally:
        kubectl("delete", "networkpolicy", guest)


def install(namespace: str, *values: str, files: Sequence[object] = ()) -> None:
    """`helm upgrade --install --wait`, as anybody would, with the image of the first installation."""
    repository, tag = image().rsplit(":", 1)
    given = [f"image.repository={repository},image.tag={tag}", *values]
    done = helm(
        *("upgrade", "--install", "trawl", "helm/trawl", "--wait", "--wait-for-jobs", "--timeout=10m"),
        *(f"--values={file}" for file in (VALUES, *files)),
        *(f"--set-string={one}" for one in given),
        namespace=namespace,
    )
    pods = kubectl("get", "pods", namespace=namespace) if done.returncode else ""
    assert done.returncode == 0, f"{done.stderr}\n{pods}"


def helm_test(namespace: str) -> str:
    """What `helm test` says; it has to succeed."""
    done = helm("test", "trawl", "--logs", "--timeout=6m", namespace=namespace)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def ready(namespace: str) -> None:
    """Wait until each part is Ready again."""
    for kind in ("deployment", "statefulset"):
        for one in get(kind, namespace=namespace):
            kubectl("rollout", "status", f"{kind}/{one['metadata']['name']}", "--timeout=300s", namespace=namespace)


def asked(namespace: str, sql: str) -> list[Json]:
    """As `query`, inside: a worker finds its lake."""
    said = kubectl("exec", "deploy/trawl-worker", "--", "trawl", "query", sql, "--format", "jsonl", namespace=namespace)
    return [json.loads(line) for line in said.splitlines()]
