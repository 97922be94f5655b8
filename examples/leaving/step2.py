"""Leaving another orchestrator, step 2: its steps become tasks. Which one failed, and how long each took, is now seen.

    python examples/leaving/step2.py

Names say where a task belongs: parent.child. The old schedule still starts it.
"""

import sys
from pathlib import Path

import job
from prefect import flow, task
from step1 import notify

read = task(job.read, name="my_job.read", retries=2, retry_delay_seconds=1)
rename = task(job.rename, name="my_job.transform.rename")
write = task(job.write, name="my_job.write")


@flow(name="my_job", on_failure=[notify], on_crashed=[notify])
def my_job(source: Path = job.SOURCE, to: Path = Path("orders-out.json")) -> int:
    """The job, step by step."""
    return write(rename(read(source)), to)


if __name__ == "__main__":
    print(my_job(*map(Path, sys.argv[1:])), "orders")
