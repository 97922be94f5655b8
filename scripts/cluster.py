"""An installation in a cluster, as `make backup`, `make restore` and `make rotate` see it: through kubectl alone."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]


class Refused(SystemExit):
    """Why it is not done, and what to do."""

    def __init__(self, *lines: str) -> None:
        super().__init__("\n".join(lines))


@dataclass(frozen=True, slots=True)
class Cluster:
    """A release in a namespace; kubectl's context unless another is named."""

    release: str
    namespace: str
    context: str = ""

    @classmethod
    def of_environment(cls) -> "Cluster":
        env = os.environ.get
        return cls(env("RELEASE") or "trawl", env("NAMESPACE") or "trawl", env("KUBE_CONTEXT") or "")

    def kubectl(self, *words: str, given: str | None = None, shown: bool = False) -> str:
        """What kubectl says. Raises Refused with its own words."""
        context = ["--context", self.context] if self.context else []
        command = ["kubectl", *context, "--namespace", self.namespace, *words]
        done = subprocess.run(  # noqa: S603
            command,
            input=given,
            stdout=None if shown else subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        if done.returncode:
            raise Refused(f"kubectl {words[0]} {words[1] if words[1:] else ''}: {done.stderr.strip()}")
        return done.stdout or ""

    def objects(self, kind: str, component: str = "") -> list[Json]:
        """The release's objects of a kind, by name."""
        labels = f"app.kubernetes.io/instance={self.release}" + (
            f",app.kubernetes.io/component={component}" if component else ""
        )
        found: list[Json] = json.loads(self.kubectl("get", kind, "--selector", labels, "--output", "json"))["items"]
        return sorted(found, key=name_of)

    def deployments(self, *components: str) -> list[Json]:
        """Those of `server`, `services` or `worker` (all pools' workers)."""
        return [
            one
            for one in self.objects("deployments")
            if any(part == of or part.startswith(f"{of}-") for part in [component_of(one)] for of in components)
        ]

    def secret(self, kind: str) -> str:
        """The name of the Secret that the chart made."""
        names = [name for name in map(name_of, self.objects("secrets")) if name.endswith(f"-{kind}")]
        if not names:
            raise Refused(
                f"Release {self.release!r} in namespace {self.namespace!r} has made no Secret for {kind}.",
                "  If it is your own (existingSecrets), change it where it comes from; docs/cluster.md, 'Rotate a secret',",
                "  says what else is to be done.",
            )
        return names[0]

    def runs(self) -> list[str]:
        """The flow runs that have a pod now."""
        pods = json.loads(
            self.kubectl("get", "pods", "--selector", "app.kubernetes.io/component=flows", "--output", "json")
        )["items"]
        return [
            pod["metadata"]["labels"].get("prefect.io/flow-run-name", name_of(pod))
            for pod in pods
            if pod["status"].get("phase") in {"Pending", "Running"}
        ]

    def refuse_running(self, why: str) -> None:
        """Raises Refused where flow runs are running, unless FORCE says that they may be lost."""
        if (running := self.runs()) and not os.environ.get("FORCE"):
            raise Refused(
                f"These flow runs are running, and {why}: {', '.join(running)}",
                "  Wait until they have ended, or add FORCE=1: what they lose is made good by the next run.",
            )

    @contextmanager
    def stopped(self, *components: str) -> Iterator[None]:
        """Nothing of these runs meanwhile; afterwards, whatever came between, they run again."""
        found = self.deployments(*components)
        replicas = {name_of(one): int(one["spec"].get("replicas", 1)) or 1 for one in found}
        say(f"stop {', '.join(replicas)}")
        try:
            for name in replicas:
                self.kubectl("scale", f"deployment/{name}", "--replicas=0")
            for one in found:
                self._gone(one)
            yield
        finally:
            say(f"start {', '.join(replicas)}")
            for name, number in replicas.items():
                self.kubectl("scale", f"deployment/{name}", f"--replicas={number}")

    def _gone(self, deployment: Json) -> None:
        deadline = time.monotonic() + 180
        while self.kubectl("get", "pods", f"--selector={selector_of(deployment)}", "--output=name").strip():
            if time.monotonic() > deadline:
                raise Refused(f"the pods of {name_of(deployment)} do not end: kubectl -n {self.namespace} get pods")
            time.sleep(1)

    def restart(self, kind: str, *components: str) -> None:
        """Restart what there is of these, and wait until it is back."""
        found = (
            self.deployments(*components)
            if kind == "deployment"
            else [o for c in components for o in self.objects(kind, c)]
        )
        for one in found:
            say(f"restart {name_of(one)}")
            self.kubectl("rollout", "restart", f"{kind}/{name_of(one)}")
        self.ready(kind, found)

    def ready(self, kind: str, found: list[Json]) -> None:
        for one in found:
            self.kubectl("rollout", "status", f"{kind}/{name_of(one)}", "--timeout=600s")

    def set_up_again(self) -> None:
        """Run the set-up Job once more as it is: a Job cannot be started twice, so it is made again."""
        jobs = self.objects("jobs", "bootstrap")
        if not jobs:
            raise Refused(f"Release {self.release!r} has no set-up Job: `helm upgrade` makes it.")
        newest = max(jobs, key=lambda job: str(job["metadata"]["creationTimestamp"]))
        say(f"run {name_of(newest)} again")
        self.kubectl("replace", "--force", "--filename=-", given=json.dumps(anew(newest)))
        self.finish(name_of(newest))

    def finish(self, job: str, timeout: float = 3600) -> None:
        """Wait for a Job's end and show its log. Raises Refused where it has failed."""
        deadline = time.monotonic() + timeout
        while True:
            conditions = json.loads(self.kubectl("get", "job", job, "--output", "json"))["status"].get("conditions", [])
            ended = {one["type"] for one in conditions if one["status"] == "True"}
            if ended & {"Complete", "Failed"}:
                break
            if time.monotonic() > deadline:
                raise Refused(
                    f"{job} has not ended after {timeout:.0f} s: kubectl -n {self.namespace} describe job {job}"
                )
            time.sleep(1)
        pods = json.loads(
            self.kubectl("get", "pods", f"--selector=batch.kubernetes.io/job-name={job}", "--output=json")
        )
        for pod in pods["items"]:
            for container in [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]:
                self._show(name_of(pod), container["name"])
        if "Failed" in ended:
            raise Refused(f"{job} has failed, for the reason above.")

    def _show(self, pod: str, container: str) -> None:
        try:
            sys.stdout.write(self.kubectl("logs", pod, f"--container={container}"))
        except Refused:  # it never began
            return
        sys.stdout.flush()

    def job_of(self, suffix: str) -> Json:
        """The Job that one of the chart's CronJobs would make, under a name of its own."""
        found = [one for one in self.objects("cronjobs") if name_of(one).endswith(f"-{suffix}")]
        if not found:
            raise Refused(
                f"Release {self.release!r} in namespace {self.namespace!r} has no CronJob for this.",
                "  Is that the release (RELEASE, NAMESPACE, KUBE_CONTEXT), and its chart recent enough?",
            )
        template = found[0]["spec"]["jobTemplate"]
        name = f"{name_of(found[0])}-{time.strftime('%Y%m%d%H%M%S', time.gmtime())}"
        return {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": name, "labels": template["metadata"].get("labels", {})},
            "spec": {**template["spec"], "ttlSecondsAfterFinished": 86_400},
        }

    def run(self, job: Json) -> None:
        """Make a Job, and see it through."""
        say(f"job {name_of(job)}")
        self.kubectl("create", "--filename=-", given=json.dumps(job))
        self.finish(name_of(job))


def anew(job: Json) -> Json:
    """A Job without what belongs to the one that ran."""
    kept = ("name", "labels", "annotations")
    spec = {key: value for key, value in job["spec"].items() if key != "selector"}
    template = json.loads(json.dumps(spec["template"]))
    own = ("controller-uid", "job-name")
    for labels in (template["metadata"]["labels"], metadata := job["metadata"].get("labels", {})):
        for key in [key for key in labels if key.rpartition("/")[2] in own]:
            del labels[key]
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {key: job["metadata"][key] for key in kept if key in job["metadata"]} | {"labels": metadata},
        "spec": {**spec, "template": template},
    }


def name_of(item: Json) -> str:
    return str(item["metadata"]["name"])


def component_of(item: Json) -> str:
    return str(item["metadata"]["labels"].get("app.kubernetes.io/component", ""))


def selector_of(deployment: Json) -> str:
    return ",".join(f"{key}={value}" for key, value in deployment["spec"]["selector"]["matchLabels"].items())


def say(text: str) -> None:
    bold, plain = ("\033[1m", "\033[0m") if sys.stdout.isatty() else ("", "")
    sys.stdout.write(f"{bold}==> {text}{plain}\n")
    sys.stdout.flush()
