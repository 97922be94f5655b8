"""Whether an installation works: the flow `check`, and the command that starts it as a run like any other and waits for it.

python -m trawl.orchestration.checking [--timeout SECONDS]
"""

import argparse
import asyncio
import logging
import sys
import time
from typing import Any

from prefect import flow, get_client, get_run_logger
from prefect.artifacts import acreate_table_artifact
from prefect.client.schemas.filters import LogFilter, LogFilterFlowRunId
from prefect.client.schemas.objects import State
from prefect.client.schemas.sorting import LogSort
from prefect.deployments import arun_deployment
from prefect.exceptions import ObjectNotFound
from prefect.states import Completed, Failed

from trawl.crawl import count_of, examine
from trawl.model.health import Health, Level
from trawl.sources import source_names

from .configured import configured_crawler
from .running import open_lake
from .secrets import secret_loader

__all__ = ["check", "main"]

DEPLOYMENT = "check/self-check"
_LEVELS = {Level.OK: logging.INFO, Level.WARNING: logging.WARNING, Level.WRONG: logging.ERROR}


@flow
async def check(sources: list[str] | None = None) -> State[Any]:
    """Look at what a crawl needs: the machine, the lake, and each source's API (some five requests per source).

    It fails if a crawl would, and says what is wrong and what to do.

    Args:
        sources: The sources to ask; empty means all.

    """
    log = get_run_logger()
    lake = await asyncio.to_thread(open_lake)
    found: list[Health] = []
    for name in sources or source_names():
        crawler = await configured_crawler(name, log)
        loader = await secret_loader(crawler)
        async for finding in examine([crawler], lake, load_block=loader):
            if finding not in found:  # machine and lake are the same for all sources
                found.append(finding)
                remedy = f"; {finding.remedy}" if finding.remedy else ""
                log.log(_LEVELS[finding.level], "%s: %s: %s%s", finding.area, finding.subject, finding.message, remedy)
    rows = [{"area": f.area, "what": f.subject, "is": f.level, "found": f.message, "do": f.remedy or ""} for f in found]
    await acreate_table_artifact(rows, key="self-check", description="What a crawl needs")
    wrong = [finding for finding in found if finding.level is Level.WRONG]
    if wrong:
        first = wrong[0]
        return Failed(message=f"{count_of(len(wrong), 'finding')}: {first.area}: {first.subject}: {first.message}")
    return Completed(message=f"{count_of(len(found), 'point')} checked: all of them well")


async def trial(timeout: float) -> int:
    """Start the deployment, print what its run says, and wait; 1 if it does not complete."""
    try:
        run = await arun_deployment(DEPLOYMENT, timeout=0, as_subflow=False)
    except ObjectNotFound:
        return _fail(f"there is no deployment {DEPLOYMENT}: set-up has not run to its end; see the bootstrap Job's log")
    _say(f"flow run {run.name} of {DEPLOYMENT}")
    deadline, said, last = time.monotonic() + timeout, 0, ""
    async with get_client() as client:
        while True:
            run = await client.read_flow_run(run.id)
            state = (run.state and run.state.name) or ""
            if state != last:
                _say(f"state: {state}")
                last = state
            ended = run.state is not None and run.state.is_final()
            if ended:
                await asyncio.sleep(2)  # its last lines come a moment after its state
            only = LogFilter(flow_run_id=LogFilterFlowRunId(any_=[run.id]))
            lines = await client.read_logs(only, offset=said, limit=200, sort=LogSort.TIMESTAMP_ASC)
            for line in lines:
                _say(f"  {line.message}")
            said += len(lines)
            if ended:
                break
            if time.monotonic() > deadline:
                return _fail(_stuck(last, timeout))
            await asyncio.sleep(1)
    assert run.state is not None
    if not run.state.is_completed():
        return _fail(f"the run is {last}: {run.state.message}")
    _say(f"completed: {run.state.message}")
    return 0


def _stuck(state: str, timeout: float) -> str:
    after = f"the run is {state or 'nowhere'} after {timeout:.0f} s: "
    if state in {"Scheduled", "Late"}:
        return after + "no worker takes it; see the worker's log, and that its pool and queue are not paused"
    if state in {"Pending", "Submitting", "InfrastructurePending"}:
        return after + "its pod does not start; `kubectl describe` its Job and pod: an image, a quota, a policy"
    return after + "see its log in the UI"


def _say(message: str) -> None:
    sys.stdout.write(message + "\n")
    sys.stdout.flush()


def _fail(message: str) -> int:
    sys.stderr.write(f"trawl: {message}\n")
    return 1


def main() -> int:
    """Run the trial from the command line."""
    parser = argparse.ArgumentParser(prog="python -m trawl.orchestration.checking", allow_abbrev=False)
    parser.add_argument("--timeout", type=float, default=300.0, metavar="SECONDS", help="how long the run may take")
    return asyncio.run(trial(parser.parse_args().timeout))


if __name__ == "__main__":
    sys.exit(main())
