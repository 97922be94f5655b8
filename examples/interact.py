"""Runs that talk to people: what a run waits for, and the commands that give it that.

    python examples/showcase.py --interactive     # in one terminal; it pauses, and asks
    python examples/interact.py approve           # in another: resumes the newest run that is paused
    python examples/interact.py faster            # and sends it `go_faster_please`

A *paused* run keeps its process and waits in it. A *suspended* one ends its process, so it needs a deployment to come back
from; it begins again at the top, and tasks whose results were kept are not done once more (`long_work`, below).
"""

import argparse
from typing import Literal
from uuid import UUID

from essentials import query_flow_runs
from prefect import flow, get_run_logger, pause_flow_run, suspend_flow_run, task
from prefect.client.schemas.objects import FlowRun
from prefect.flow_runs import resume_flow_run
from prefect.input import send_input

FASTER = "go_faster_please"


@task(persist_result=True, task_run_name="step.{number}")
def step(number: int) -> int:
    """A piece of work whose result is kept for the rest of the run."""
    get_run_logger().info("step %s is done here and now", number)
    return number


@flow(persist_result=True)
def long_work(wait: Literal["pause", "suspend"] = "suspend", timeout: int = 3600) -> list[int]:
    """Two steps, and people in between. Nobody answers within `timeout` seconds: the run fails."""
    first = step(1)
    if wait == "pause":
        pause_flow_run(timeout=timeout)
    else:
        suspend_flow_run(timeout=timeout)
    return [first, step(2)]


def newest(*state_names: str) -> FlowRun:
    """The showcase's newest run in one of these states."""
    runs = query_flow_runs("showcase.", state_names=list(state_names))
    if not runs:
        raise SystemExit(f"no run of the showcase is {' or '.join(state_names)}: start one, with --interactive")
    return runs[0]


def approve(run: UUID | None = None, action: str = "approve", reason: str = "") -> UUID:
    """Resume a run that is paused, with what its form asks for. A wrong answer is refused, and the run stays paused."""
    found = run or newest("Paused").id
    resume_flow_run(found, run_input={"action": action, "reason": reason})
    return found


def faster(run: UUID | None = None) -> UUID:
    """Send a run that listens a word."""
    found = run or newest("Running").id
    send_input(FASTER, flow_run_id=found)
    return found


def main() -> None:
    """From the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["approve", "skip", "faster"])
    parser.add_argument("--run", type=UUID, help="the id of the run; without it the newest that waits")
    parser.add_argument("--reason", default="", help="for those who read the run later")
    given = parser.parse_args()
    if given.command == "faster":
        print(f"sent {FASTER} to {faster(given.run)}")
    else:
        print(f"{given.command}: {approve(given.run, given.command, given.reason)} goes on")


if __name__ == "__main__":
    main()
