"""`python -m bench.installation`: what an installation costs in the cluster that `make up` made; the table of cluster.md.

It stands apart from the other benches: it needs a cluster, and half an hour of it.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import yaml

from bench import machine
from bench.report import Section

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "e2e"))

from cluster import NAMESPACE, Prefect, kubectl, port_forward  # noqa: E402
from installing import apply, image, install, own_namespace  # noqa: E402

RECORDS = 20_000
LATENCY = "0.1s"
RATE = 1_000
"""Requests per second: more than a source's own connections (4) reach at that latency, so that it alone decides."""

SLOW = "slow"
"""The name of the replica that answers late."""

OWN = "trawl-bench"
CREATED = "POST /api/deployments/ID/create_flow_run"


def bench(rounds: int, refreshes: int, records: int) -> Section:
    """All of it, one after the other: nothing else should run on the machine."""
    section = Section("cluster", "Measured", "python -m bench.installation", machine.describe(), rounds)
    ready, first, begun, done = [], [], [], []
    for number in range(rounds):
        print(f"cluster: installation {number + 1} of {rounds}", flush=True)
        with own_namespace(OWN) as namespace:
            start = time.monotonic()
            install(namespace)
            ready.append(time.monotonic() - start)
            print(f"  {ready[-1]:.1f} s", flush=True)
    installation = "helm upgrade --install trawl helm/trawl --wait --wait-for-jobs, in an empty namespace"
    section.add("images loaded → all Ready, stores and set-up included", ready, "s", installation, "≤ 40")
    with _prefect(NAMESPACE) as prefect:
        for number in range(rounds):
            print(f"cluster: discovery {number + 1} of {rounds}", flush=True)
            _settled(prefect)
            line, begin, end = _run(prefect, NAMESPACE, "discover/discover-pokeapi")
            print(f"  {line:.1f} s to its first line, {begin:.1f} s to its beginning, {end:.1f} s in all", flush=True)
            first.append(line)
            begun.append(begin)
            done.append(end)
    section.add("discover: created → first line of its pod", first, "s", CREATED, "≤ 4")
    section.add("discover: created → Running", begun, "s", CREATED)
    section.add("discover: created → Completed", done, "s", CREATED)
    with tempfile.TemporaryDirectory() as folder:
        one, three = _pods(refreshes, records, Path(folder))
    said = f"refresh, force: true, rate: {RATE}, {records:,} records, {LATENCY} an answer"
    section.add("refresh with one pod: created → Completed", one, "s", said, code=False)
    section.add("refresh with three pods: created → Completed", three, "s", said, code=False)
    shares = [three / one for one, three in zip(one, three, strict=True)]
    section.add("**three pods : one pod**", shares, "times", "both, in the same round", "≤ 0.45", code=False)
    return section


@contextmanager
def _prefect(namespace: str) -> Iterator[Prefect]:
    with port_forward("trawl-server", 4200, namespace=namespace) as address, Prefect(address, namespace) as prefect:
        yield prefect


def _settled(prefect: Prefect) -> None:
    """Wait until nothing runs: what a discovery finds starts a refresh, and a source has one writer."""
    busy = {"flow_runs": {"state": {"type": {"any_": ["PENDING", "RUNNING", "CANCELLING"]}}}}
    time.sleep(10)
    while prefect.post("/flow_runs/count", busy):
        time.sleep(1)


def _run(
    prefect: Prefect, namespace: str, deployment: str, timeout: float = 1_200, **parameters: object
) -> list[float]:
    """Seconds from a run's creation to the first line of its pod, to its beginning and to its end."""
    run_id = prefect.start(deployment, **parameters)
    run = prefect.wait(run_id, timeout)
    assert run["state_type"] == "COMPLETED", run["state"]
    created = datetime.fromisoformat(run["created"])
    lines = kubectl("logs", "--timestamps", "-l", f"prefect.io/flow-run-id={run_id}", "--tail=-1", namespace=namespace)
    first = datetime.fromisoformat(lines.split(maxsplit=1)[0][:26]).replace(tzinfo=UTC)
    moments = [first, *(datetime.fromisoformat(run[name]) for name in ("start_time", "end_time"))]
    return [(moment - created).total_seconds() for moment in moments]


def _pods(rounds: int, records: int, folder: Path) -> tuple[list[float], list[float]]:
    """What a refresh of an API that answers late takes with one pod and with three, in turns."""
    one, three = [], []
    with _slow_api(records) as url, own_namespace(OWN) as namespace:
        # All pods share the limit of requests in flight: twelve slots are four for each.
        values = folder / "values.yaml"
        values.write_text(yaml.safe_dump({"sources": {"pokeapi": {"baseUrl": url, "publicCalls": 12}}}))
        install(namespace, files=[values])
        with _prefect(namespace) as prefect:
            print("cluster: a first refresh, of records that are all new", flush=True)
            _run(prefect, namespace, "refresh/refresh-pokeapi")
            for number in range(rounds):
                print(f"cluster: refresh {number + 1} of {rounds} with three pods and with one", flush=True)
                for pods, found in ((3, three), (1, one)):
                    *_, end = _run(prefect, namespace, "refresh/refresh-pokeapi", force=True, rate=RATE, pods=pods)
                    found.append(end)
                    print(f"  {pods}: {found[-1]:.1f} s", flush=True)
    return one, three


@contextmanager
def _slow_api(records: int) -> Iterator[str]:
    """Beside the replica of `make up`, one like it with more records and a latency."""
    objects = [one for one in yaml.safe_load_all((ROOT / "k8s/replica.yaml").read_text()) if one["kind"] != "Namespace"]
    for one in objects:
        one["metadata"]["name"] = SLOW
    service, deployment = objects
    chosen = {"app.kubernetes.io/name": SLOW}
    service["spec"]["selector"] = deployment["spec"]["selector"]["matchLabels"] = chosen
    deployment["spec"]["template"]["metadata"]["labels"] = chosen
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    world = ["--generate", str(records), "--fault", f"latency={LATENCY}"]
    container["command"] = ["trawl", "replica", *world, "--host", "0.0.0.0", "--port", "8000"]
    container["image"], container["resources"]["limits"]["memory"] = image(), "2Gi"
    namespace = service["metadata"]["namespace"]
    apply(*objects, namespace=namespace)
    try:
        kubectl("rollout", "status", f"deployment/{SLOW}", "--timeout=180s", namespace=namespace)
        yield f"http://{SLOW}.{namespace}/api/v2"
    finally:
        kubectl("delete", "deployment,service", SLOW, namespace=namespace)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.installation", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="so many installations and discoveries (3)")
    parser.add_argument("--refreshes", type=int, default=1, help="so many refreshes with each number of pods (1)")
    parser.add_argument("--records", type=int, default=RECORDS, help="records of the API that answers late (20,000)")
    chosen = parser.parse_args()
    try:
        print(bench(chosen.rounds, chosen.refreshes, chosen.records).markdown())
    except subprocess.CalledProcessError as error:
        print(f"{error}\n{error.stderr}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
