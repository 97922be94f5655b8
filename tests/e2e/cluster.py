"""The cluster that `make up` made, as the tests see it: from outside, with a user's means."""

import base64
import json
import os
import re
import subprocess
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import httpx

ROOT = Path(__file__).parents[2]
CONTEXT = os.environ.get("TRAWL_E2E_CONTEXT", "kind-trawl")
NAMESPACE = "trawl"

Json = dict[str, Any]

ENDED = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


def kubectl(*arguments: str, namespace: str = NAMESPACE) -> str:
    command = ["kubectl", "--context", CONTEXT, "--namespace", namespace, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def get(kind: str, *arguments: str, namespace: str = NAMESPACE) -> list[Json]:
    return json.loads(kubectl("get", kind, "-o", "json", *arguments, namespace=namespace))["items"]


def secret(name: str, namespace: str = NAMESPACE) -> dict[str, str]:
    data = json.loads(kubectl("get", "secret", name, "-o", "json", namespace=namespace))["data"]
    return {key: base64.b64decode(value).decode() for key, value in data.items()}


@contextmanager
def port_forward(service: str, port: int, namespace: str = NAMESPACE) -> Iterator[str]:
    """The address, on a free port of this machine, of a service in the cluster."""
    command = ["kubectl", "--context", CONTEXT, "-n", namespace, "port-forward", f"svc/{service}", f":{port}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            assert process.stdout
            line = process.stdout.readline()
            found = re.search(r"127\.0\.0\.1:(\d+)", line)
            assert found, line
            yield f"http://127.0.0.1:{found[1]}"
        finally:
            process.terminate()


class Prefect:
    """Prefect's API with the installation's own credentials."""

    def __init__(self, address: str, namespace: str = NAMESPACE) -> None:
        user, password = secret("trawl-api", namespace)["auth-string"].split(":", 1)
        self.address = address
        self.http = httpx.Client(base_url=f"{address}/api", auth=(user, password), timeout=30)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def get(self, path: str) -> Any:
        return self._read(self.http.get(path))

    def post(self, path: str, body: object) -> Any:
        return self._read(self.http.post(path, json=body))

    def patch(self, path: str, body: object) -> None:
        self.http.patch(path, json=body).raise_for_status()

    def delete(self, path: str) -> None:
        self.http.delete(path).raise_for_status()

    @staticmethod
    def _read(answer: httpx.Response) -> Any:
        assert answer.is_success, f"{answer.request.url}: {answer.status_code} {answer.text}"
        return answer.json()

    def deployment(self, name: str) -> Json:
        return self.get(f"/deployments/name/{name}")

    def start(self, name: str, /, more: Json | None = None, **parameters: object) -> str:
        body = {"parameters": parameters, **(more or {})}
        run = self.post(f"/deployments/{self.deployment(name)['id']}/create_flow_run", body)
        return run["id"]

    def cancel(self, run_id: str) -> None:
        self.post(f"/flow_runs/{run_id}/set_state", {"state": {"type": "CANCELLING"}})

    def wait(self, run_id: str, timeout: float = 180, states: Collection[str] = ENDED) -> Json:
        """The run when it has ended, or is in one of these states (types or names)."""
        deadline = time.monotonic() + timeout
        while not {(run := self.get(f"/flow_runs/{run_id}"))["state_type"], run["state_name"]} & {*states}:
            assert time.monotonic() < deadline, f"still {run['state_name']} after {timeout:.0f} s"
            time.sleep(0.5)
        return run

    def deploy(self, name: str, flow: str, entrypoint: str, **more: object) -> str:
        """A deployment of one of the examples in the image, as a person would make one; the runs' ids are of `start`."""
        made = self.post("/flows/", {"name": flow})
        step = {"prefect.deployments.steps.set_working_directory": {"directory": "/opt/trawl"}}
        body = {"name": name, "flow_id": made["id"], "entrypoint": entrypoint, "work_pool_name": "trawl", **more}
        self.post("/deployments/", {"pull_steps": [step], "enforce_parameter_schema": False, **body})
        return f"{flow}/{name}"

    def logs(self, run_id: str, says: str = "") -> str:
        """What a run and its subflows have said, once that has come: lines are sent in batches, the state at once."""
        deadline = time.monotonic() + 20
        while True:
            inner = self.post("/flow_runs/filter", {"flow_runs": {"parent_flow_run_id": {"any_": [run_id]}}})
            ids = [run_id, *(run["id"] for run in inner)]
            body = {"logs": {"flow_run_id": {"any_": ids}}, "sort": "TIMESTAMP_ASC"}
            text = "\n".join(line["message"] for line in self.post("/logs/filter", body))
            if says in text or time.monotonic() > deadline:
                return text
            time.sleep(0.5)
