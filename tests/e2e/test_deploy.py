"""`make deploy` and `make rollback` from a registry, by digest: what the last job of deploy.yml does, in its order."""

import os
import re
import shutil
import subprocess
import sys

import pytest
from cluster import CONTEXT, ROOT, Prefect, get, kubectl, port_forward, secret
from installing import VALUES, image, make, own_namespace

pytestmark = pytest.mark.long

REGISTRY, PORT = "trawl-test-registry", 5001
REPOSITORY = f"localhost:{PORT}/trawl"
NODE = f"{CONTEXT.removeprefix('kind-')}-control-plane"
NOWHERE = f"{REPOSITORY}@sha256:{'0' * 64}"


def docker(*arguments: str, given: str = "") -> str:
    done = subprocess.run(["docker", *arguments], input=given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def registry():
    """A registry beside the node, which pulls from it under the name that this machine pushes by."""
    if not CONTEXT.startswith("kind-"):
        pytest.skip("the registry is made known to a node of kind")
    docker("run", "--detach", "--name", REGISTRY, "--network=kind", f"--publish=127.0.0.1:{PORT}:5000", "registry:3")
    try:
        hosts = f"/etc/containerd/certs.d/localhost:{PORT}"
        docker("exec", NODE, "mkdir", "-p", hosts)
        mirror = f'[host."http://{REGISTRY}:5000"]\n'
        docker("exec", "--interactive", NODE, "tee", f"{hosts}/hosts.toml", given=mirror)
        yield
    finally:
        docker("rm", "--force", "--volumes", REGISTRY)


def pushed(revision: str) -> str:
    """The image of the first installation as another revision of the code would give it; its reference by digest."""
    tag = f"{REPOSITORY}:{revision}"
    docker("build", "--tag", tag, "-", given=f"FROM {image()}\nENV TRAWL_REVISION={revision}\n")
    try:
        found = re.search(r"digest: (sha256:\w{64})", docker("push", tag))
        assert found
        return f"{tag}@{found[1]}"
    finally:
        docker("image", "rm", "--force", tag)


def serving(namespace: str) -> tuple[str, str]:
    """The image of the worker, and the version that the deployments in Prefect are at: they move together."""
    [worker] = get("deployments", "-l", "app.kubernetes.io/component=worker", namespace=namespace)
    with port_forward("trawl-server", 4200, namespace=namespace) as address, Prefect(address, namespace) as prefect:
        found = prefect.deployment("refresh/refresh-pokeapi")
        run_id = prefect.start("check/self-check")
        assert prefect.wait(run_id)["state_type"] == "COMPLETED", prefect.logs(run_id)
        [job] = get("jobs", "-l", f"prefect.io/flow-run-id={run_id}", namespace=namespace)
    images = {
        one["spec"]["template"]["spec"]["containers"][0]["image"].partition("@")[2]
        for one in (worker, job)  # what serves, and what it starts
    }
    assert len(images) == 1
    return images.pop(), found["version"].partition("+")[2]


@pytest.mark.usefixtures("registry")
@pytest.mark.parametrize("helm", ["helm", "helm3"])
def test_a_release_is_deployed_upgraded_kept_when_the_next_one_fails_and_rolled_back(helm, tmp_path):
    found = shutil.which(helm)
    if found is None:
        pytest.skip(f"{helm} is not installed")
    (tmp_path / "helm").symlink_to(found)
    deploy, path = ("deploy", f"VALUES={VALUES}"), str(tmp_path)
    first, second = pushed("first"), pushed("second")
    with own_namespace("trawl-deployed") as namespace:
        installed = make(namespace, *deploy, f"IMAGE={first}", path=path)
        assert installed.returncode == 0, installed.stdout + installed.stderr
        assert serving(namespace) == (first.partition("@")[2], "first")

        upgraded = make(namespace, *deploy, f"IMAGE={second}", path=path)
        assert upgraded.returncode == 0, upgraded.stdout + upgraded.stderr
        assert "make rollback TO=1" in upgraded.stdout
        assert serving(namespace) == (second.partition("@")[2], "second")

        failed = make(namespace, *deploy, f"IMAGE={NOWHERE}", "TIMEOUT=90s", path=path)
        assert failed.returncode != 0
        assert "ErrImagePull" in failed.stdout
        assert "Revision 2 is what runs, as before" in failed.stderr
        assert serving(namespace) == (second.partition("@")[2], "second")

        listed = make(namespace, "rollback", path=path)
        assert listed.returncode != 0
        assert "TO must be one of these revisions" in listed.stderr
        back = make(namespace, "rollback", "TO=1", path=path)
        assert back.returncode == 0, back.stdout + back.stderr
        assert serving(namespace) == (first.partition("@")[2], "first")
        kubectl("wait", "pod", "--all", "--for=condition=Ready", "--timeout=60s", "-l",
                "app.kubernetes.io/component in (server,worker,postgres,minio)", namespace=namespace)  # fmt: skip


def test_an_example_has_its_image_built_by_docker_and_runs_from_it(prefect):
    if not CONTEXT.startswith("kind-"):
        pytest.skip("the image is loaded into a node of kind")
    built = "trawl:showcase"
    login = {"PREFECT_API_URL": f"{prefect.address}/api", "PREFECT_API_AUTH_STRING": secret("trawl-api")["auth-string"]}
    program = [sys.executable, "examples/deploy.py", "--image", built, "--base", image()]
    done = subprocess.run(program, cwd=ROOT, env=os.environ | login, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    try:
        subprocess.run(
            ["kind", "load", "docker-image", "--name", NODE.removesuffix("-control-plane"), built], check=True
        )
        run_id = prefect.start("report/report-docker-py-deploy", day="2026-01-02", detail="full")
        assert prefect.wait(run_id)["state_type"] == "COMPLETED", prefect.logs(run_id)
        [job] = get("jobs", "-l", f"prefect.io/flow-run-id={run_id}")
        assert job["spec"]["template"]["spec"]["containers"][0]["image"] == built
    finally:
        docker("image", "rm", "--force", built)
