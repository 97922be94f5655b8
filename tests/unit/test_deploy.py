"""`make deploy` and `make rollback`, with stand-ins for Helm and kubectl: what they are asked, and what is said about it.

That Helm and a cluster do what they are asked is the business of a real cluster, not of these tests.
"""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DIGEST = "sha256:" + "0123abcd" * 8
IMAGE = f"registry.example:5000/some/trawl:sha-1@{DIGEST}"
HEADING = "REVISION\tUPDATED                 \tSTATUS    \tCHART      \tAPP VERSION\tDESCRIPTION"

HELM = r"""#!/usr/bin/env bash
echo "helm $*" >>"$STAND_IN/calls"
case " $* " in
  *" version "*) cat "$STAND_IN/version" ;;
  *" history "*) cat "$STAND_IN/history" 2>/dev/null || { echo "Error: release: not found" >&2; exit 1; } ;;
  *" upgrade "*)
    [ -e "$STAND_IN/upgrade-fails" ] || exit 0
    # Not before the pod that fails was looked at twice.
    for _ in $(seq 200); do
      [ "$(grep -c '^kubectl .* logs ' "$STAND_IN/calls")" -lt 2 ] || break
      sleep 0.05
    done
    rm -f "$STAND_IN/pods"
    exit 1 ;;
  *" test "*) [ ! -e "$STAND_IN/test-fails" ] ;;
esac
"""

KUBECTL = r"""#!/usr/bin/env bash
echo "kubectl $*" >>"$STAND_IN/calls"
case " $* " in
  *" get namespace "*) cat "$STAND_IN/namespace" >&2; [ ! -s "$STAND_IN/namespace" ] ;;
  *" get events "*) echo "trawl-setup-1   Failed   Error: ImagePullBackOff" ;;
  *" get pods "*) cat "$STAND_IN/pods" 2>/dev/null ;;
  *" logs "*) echo "sources.pokeapi.rate: 'quick' is no rate" ;;
esac
"""


@dataclass(frozen=True)
class Ended:
    code: int
    said: str
    calls: list[str]

    def helm(self, verb: str) -> list[str]:
        return [call for call in self.calls if call.startswith("helm ") and f" {verb} " in f"{call} "]


class Cluster:
    """What the stand-ins answer."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state(version="v4.3.1", namespace="", calls="")
        for name, script in (("helm", HELM), ("kubectl", KUBECTL)):
            (folder / name).write_text(script)
            (folder / name).chmod(0o755)

    def state(self, **files: str) -> None:
        for name, text in files.items():
            (self.folder / name.replace("_", "-")).write_text(text)

    def history(self, *statuses: str) -> None:
        rows = [
            f"{number}       \tFri Nov 27 12:00:00 2026\t{status:10}\ttrawl-0.1.0\t0.1.0      \tUpgrade complete"
            for number, status in enumerate(statuses, 1)
        ]
        self.state(history="\n".join([HEADING, *rows, ""]))

    def run(self, command: str, **settings: str) -> Ended:
        kept = {name: os.environ[name] for name in ("HOME", "LANG", "TMPDIR") if name in os.environ}
        path = f"{self.folder}:{os.environ['PATH']}"
        done = subprocess.run(
            [ROOT / "scripts" / "deploy", command],
            env={**kept, "PATH": path, "STAND_IN": str(self.folder), "POLL": "0.05", **settings},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return Ended(done.returncode, done.stdout, (self.folder / "calls").read_text().splitlines())


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    return Cluster(tmp_path)


class TestDeploying:
    @pytest.mark.parametrize(
        ("version", "flag"),
        [("v3.14.4", "--atomic"), ("v3.22.0", "--atomic"), ("v4.3.1", "--rollback-on-failure")],
    )
    def test_rolls_back_by_the_flag_that_this_helm_has(self, cluster, version, flag):
        cluster.state(version=version)
        done = cluster.run("deploy", IMAGE=IMAGE)
        assert done.code == 0, done.said
        [call] = done.helm("upgrade")
        assert {"--install", "--wait", "--wait-for-jobs"} <= set(call.split())
        assert [word for word in call.split() if word in ("--atomic", "--rollback-on-failure")] == [flag]

    def test_names_the_image_by_digest(self, cluster):
        [call] = cluster.run("deploy", IMAGE=IMAGE).helm("upgrade")
        assert "image.repository=registry.example:5000/some/trawl " in call
        assert "image.tag=sha-1 " in call
        assert f"image.digest={DIGEST} " in call

    def test_takes_the_port_of_a_registry_for_no_tag(self, cluster):
        [call] = cluster.run("deploy", IMAGE=f"localhost:5001/trawl@{DIGEST}").helm("upgrade")
        assert "image.repository=localhost:5001/trawl " in call
        assert "image.tag" not in call

    @pytest.mark.parametrize("image", ["", "trawl", "ghcr.io/a/b:1.0", "ghcr.io/a/b@sha256:abc", f"@{DIGEST}"])
    def test_without_a_digest_asks_the_cluster_nothing(self, cluster, image):
        done = cluster.run("deploy", IMAGE=image)
        assert done.code == 1
        assert f"IMAGE is needed, by digest, and is '{image}'" in done.said
        assert done.calls == []

    def test_a_file_of_values_that_is_not_there_asks_the_cluster_nothing(self, cluster):
        done = cluster.run("deploy", IMAGE=IMAGE, VALUES="no/such.yaml")
        assert (done.code, done.calls) == (1, [])
        assert "VALUES names no file: no/such.yaml" in done.said

    def test_passes_on_what_it_is_told(self, cluster):
        done = cluster.run(
            "deploy",
            IMAGE=IMAGE,
            RELEASE="mine",
            NAMESPACE="elsewhere",
            KUBE_CONTEXT="far",
            TIMEOUT="3m",
            VALUES="k8s/values-kind.yaml",
            HELM_ARGS="--set-string logLevel=DEBUG",
        )
        [call] = done.helm("upgrade")
        assert call.startswith("helm --kube-context far --namespace elsewhere upgrade --install mine helm/trawl ")
        assert "--values k8s/values-kind.yaml " in call
        assert "--timeout 3m " in call
        assert "--set-string logLevel=DEBUG " in call
        kubectl = [one for one in done.calls if one.startswith("kubectl")]
        assert all(one.startswith("kubectl --context far --namespace elsewhere ") for one in kubectl)

    def test_tests_the_release_afterwards(self, cluster):
        cluster.history("deployed")
        done = cluster.run("deploy", IMAGE=IMAGE)
        verbs = [call.split()[3] for call in done.calls if call.startswith("helm --namespace")]
        assert [verb for verb in verbs if verb != "history"] == ["upgrade", "test"]
        assert done.code == 0
        assert "make rollback TO=1" in done.said

    def test_a_failed_upgrade_says_why_and_what_runs(self, cluster):
        cluster.history("superseded", "deployed")
        cluster.state(
            upgrade_fails="", pods="trawl-setup-1   0/1   Error   0   5s\ntrawl-server-0   1/1   Running   0   9m\n"
        )
        done = cluster.run("deploy", IMAGE=IMAGE)
        assert done.code == 1
        assert "ImagePullBackOff" in done.said
        assert "The last words of trawl-setup-1" in done.said
        assert "'quick' is no rate" in done.said
        assert "trawl-server-0" not in done.said
        assert "Revision 2 is what runs, as before." in done.said
        assert done.helm("test") == []

    def test_a_failed_first_installation_says_so(self, cluster):
        cluster.state(upgrade_fails="", pods="trawl-setup-1   0/1   Error   0   5s\n")
        done = cluster.run("deploy", IMAGE=IMAGE)
        assert done.code == 1
        assert "It was the first, so Helm has removed it." in done.said

    def test_a_version_that_fails_its_tests_goes_back(self, cluster):
        cluster.history("superseded", "deployed")
        cluster.state(test_fails="")
        done = cluster.run("deploy", IMAGE=IMAGE)
        assert done.code == 1
        [call] = done.helm("rollback")
        assert "rollback trawl 2 --wait --wait-for-jobs" in call
        assert "fails its tests" in done.said
        assert "Revision 2 is what runs again." in done.said

    @pytest.mark.parametrize(
        ("statuses", "remedy"),
        [(["pending-install"], "helm uninstall trawl"), (["deployed", "pending-upgrade"], "make rollback TO=1")],
    )
    def test_what_was_cut_off_half_way_is_named_with_the_remedy(self, cluster, statuses, remedy):
        cluster.history(*statuses)
        done = cluster.run("deploy", IMAGE=IMAGE)
        assert done.code == 1
        assert "cut off half way" in done.said
        assert remedy in done.said
        assert done.helm("upgrade") == []

    def test_a_namespace_that_is_not_there_is_made(self, cluster):
        cluster.state(namespace='Error from server (NotFound): namespaces "trawl" not found')
        done = cluster.run("deploy", IMAGE=IMAGE)
        assert "kubectl --namespace trawl create namespace trawl" in done.calls
        assert done.code == 0

    def test_an_account_of_one_namespace_is_enough(self, cluster):
        cluster.state(namespace='Error from server (Forbidden): namespaces "trawl" is forbidden')
        done = cluster.run("deploy", IMAGE=IMAGE)
        assert done.code == 0
        assert not [call for call in done.calls if "create" in call]

    def test_a_cluster_that_does_not_answer_is_named(self, cluster):
        cluster.state(namespace="The connection to the server localhost:8080 was refused")
        done = cluster.run("deploy", IMAGE=IMAGE, KUBECONFIG="/some/where")
        assert done.code == 1
        assert "KUBECONFIG is '/some/where'" in done.said
        assert "localhost:8080 was refused" in done.said
        assert done.helm("upgrade") == []


class TestGoingBack:
    def test_is_to_the_revision_named(self, cluster):
        cluster.history("superseded", "failed", "deployed")
        done = cluster.run("rollback", TO="1")
        assert done.code == 0, done.said
        [call] = done.helm("rollback")
        assert "rollback trawl 1 --wait --wait-for-jobs --timeout" in call
        assert done.helm("test")

    @pytest.mark.parametrize("revision", ["", "4", "0", "latest", "REVISION"])
    def test_to_none_or_to_an_unknown_one_lists_what_there_is(self, cluster, revision):
        cluster.history("superseded", "deployed")
        done = cluster.run("rollback", TO=revision)
        assert done.code == 1
        assert "deployed" in done.said
        assert f"is '{revision}'" in done.said
        assert done.helm("rollback") == []

    def test_of_nothing_says_so(self, cluster):
        done = cluster.run("rollback", TO="1")
        assert done.code == 1
        assert "There is no release 'trawl' in namespace 'trawl'" in done.said


@pytest.mark.parametrize("helm", [name for name in ("helm", "helm3") if shutil.which(name)])
def test_a_dry_run_renders_every_pod_with_the_image_by_digest(helm, tmp_path):
    (tmp_path / "helm").symlink_to(shutil.which(helm) or "")
    done = subprocess.run(
        ["make", "--silent", "deploy", f"IMAGE={IMAGE}", "DRY_RUN=1", "HELM_ARGS=--kube-version 1.29.0"],
        cwd=ROOT,
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    images = [
        container["image"]
        for manifest in yaml.safe_load_all(done.stdout)
        if manifest and "template" in manifest.get("spec", {})
        for container in manifest["spec"]["template"]["spec"]["containers"]
        if container["image"].startswith("registry.example")
    ]
    assert len(images) >= 4
    assert set(images) == {IMAGE}
