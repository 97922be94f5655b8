"""What several pods gain where the API is what a run waits for."""

import json
import sys

from bench import machine
from bench.measure import replica, served, step
from bench.options import Options
from bench.report import Section

RECORDS, LATENCY = 40_000, "0.1s"


def bench(options: Options) -> Section:
    """The same refresh in one pod and in three, in turn, each from the moment at which it was asked for."""
    rounds = options.rounds or 3
    section = Section("pods", "A refresh over three pods", options.command, machine.describe(), rounds)
    records = options.sized(RECORDS, 1_000)
    seconds: dict[int, list[float]] = {1: [], 3: []}
    begun: list[float] = []
    home = options.folder / "prefect"
    home.mkdir()
    with replica("--generate", str(records), "--fault", f"latency={LATENCY}") as url:
        serve = json.dumps({"home": str(home), "url": url})
        with served([sys.executable, "-m", "bench.steps", "pods:serve", serve]) as server:
            step("pods:refresh", server=server, home=str(home), pods=3)  # what is stored is the same for all
            for number in range(rounds):
                print(f"pods: round {number + 1} of {rounds}", flush=True)
                for pods, found in seconds.items():
                    result = step("pods:refresh", server=server, home=str(home), pods=pods).result
                    found.append(result["seconds"])
                    begun.append(result["started"])
    for pods, found in seconds.items():
        section.add(f"{pods} pod{'s' * (pods > 1)}", found, "s", f"the flow refresh, force, pods: {pods}", code=False)
    ratios = [three / one for one, three in zip(seconds[1], seconds[3], strict=True)]
    section.add("**3 pods : 1 pod**", ratios, "times", "both, in the same round", "≤ 0.45", code=False)
    section.add("asked for until the run begins", begun, "s", "the worker's poll, a process, imports", code=False)
    section.notes.append(
        f"{records:,} generated records that have not changed (304), each answer {LATENCY} late; 20 concurrent requests a "
        "pod. A pod is a process of a worker on the same machine, so all of them share its cores; the start of the pods "
        "is part of their time."
    )
    return section
