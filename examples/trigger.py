"""A flow that starts deployments: work handed to other processes, or other machines, and never handed out twice.

    python examples/serve.py      # in another terminal: it serves `report-local`
    python examples/trigger.py

`run_deployment` makes a run of a deployment; a worker, or `serve`, picks it up. The idempotency key is what makes a repeated
parent safe: a key that the server has seen gives back the run that it stands for.
"""

from datetime import UTC, date, datetime, timedelta
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import FlowRun
from prefect.deployments import run_deployment
from prefect.states import Completed, Failed, State

DEPLOYMENT = "report/report-local"


@flow(flow_run_name="reports.{since}")
def reports(since: date, days: int = 3, timeout: float | None = None, deployment: str = DEPLOYMENT) -> State[Any]:
    """A run of the deployment for each day, all begun before any is waited for.

    Args:
        since: the first day.
        days: how many.
        timeout: seconds to wait for each; empty: until it ends; 0: not at all.
        deployment: flow and deployment.

    """
    wanted = [since + timedelta(days=number) for number in range(days)]
    for day in wanted:
        start(deployment, day)
    runs = [start(deployment, day, timeout=timeout) for day in wanted]  # the same runs, now waited for
    missing = [run.name for run in runs if run.state is None or not run.state.is_completed()]
    if missing and timeout != 0:
        return Failed(message=f"{len(missing)} of {days} are not complete: {', '.join(missing)}")
    return Completed(message=f"{len(runs)} runs", data=[str(run.id) for run in runs])


def start(deployment: str, day: date, timeout: float | None = 0) -> FlowRun:
    """The run for a day; a new one only if there is none."""
    return run_deployment(
        deployment,
        parameters={"day": day.isoformat()},
        idempotency_key=f"{deployment}/{day}",  # by what is to be done, not by who asks: a repeated parent finds them
        flow_run_name=f"report.{day}",
        timeout=timeout,
        poll_interval=2,
        tags=["triggered"],
    )


def later(deployment: str, day: date, hours: float, queue: str | None = None) -> FlowRun:
    """A run for a moment to come; on a queue of a work pool, where the deployment has one."""
    return run_deployment(
        deployment,
        parameters={"day": day.isoformat()},
        scheduled_time=datetime.now(UTC) + timedelta(hours=hours),
        timeout=0,
        work_queue_name=queue,
    )


def main() -> None:
    """Three days' reports."""
    print(reports(date(2026, 10, 1), return_state=True).message)


if __name__ == "__main__":
    main()
