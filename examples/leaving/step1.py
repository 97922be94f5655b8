"""Leaving another orchestrator, step 1: its job is tracked. Only the command that it starts changes.

    python examples/leaving/step1.py

The old schedule stays what starts it. From now on each run is recorded, and a failure is told to people.
"""

import sys
from pathlib import Path

import job
from prefect import flow
from prefect.blocks.notifications import SlackWebhook
from prefect.client.schemas.objects import Flow, FlowRun, State
from prefect.logging.loggers import flow_run_logger

ALERTS = "job-alerts"


def notify(flow: Flow, run: FlowRun, state: State) -> None:
    """Where the block is missing, the run's log alone says it."""
    try:
        slack = SlackWebhook.load(ALERTS, _sync=True)
    except ValueError:
        flow_run_logger(run, flow).warning("nobody is told of this: there is no block slack-webhook/%s", ALERTS)
        return
    slack.notify(f"{run.name}: {state.message}", subject="my_job failed", _sync=True)


@flow(name="my_job", on_failure=[notify], on_crashed=[notify])
def my_job(source: Path = job.SOURCE, to: Path = Path("orders-out.json")) -> int:
    """The whole job, as one."""
    return job.main(source, to)


if __name__ == "__main__":
    print(my_job(*map(Path, sys.argv[1:])), "orders")
