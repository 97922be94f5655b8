"""Results that outlive their run: where they lie, in which form, and who finds them again.

    python examples/results.py                                         # twice: the second time nothing is computed
    python examples/results.py --storage s3-bucket/minio-crawler-results   # where all pods find them

A cache is as shared as its storage: results in a folder of a pod die with it. `trawl setup` makes the bucket and its
block `minio-crawler-results`; PREFECT_DEFAULT_RESULT_STORAGE_BLOCK makes it everybody's default.
"""

import argparse
import time
from datetime import timedelta

from prefect import flow, task
from prefect.cache_policies import INPUTS, TASK_SOURCE


@task(
    # The task's own code belongs to the key: INPUTS alone would mix up two tasks that are given the same.
    cache_policy=TASK_SOURCE + INPUTS,
    cache_expiration=timedelta(hours=1),
    result_serializer="compressed/json",  # JSON that people can read, smaller; "pickle" takes any object, but no newer Python
    cache_result_in_memory=False,  # a large result need not stay here while the flow goes on
)
def table(rows: int) -> list[list[int]]:
    """Something worth keeping."""
    print("computing")
    return [[row * column for column in range(10)] for row in range(rows)]


@flow(log_prints=True, persist_result=True, result_serializer="json")
def keep(rows: int = 100) -> str:
    """Compute, or find what another process computed; says which."""
    begin = time.monotonic()
    state = table(rows, return_state=True)
    return f"{state.name}: {len(state.result())} rows in {time.monotonic() - begin:.2f} s"


def main() -> None:
    """From the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--storage", help="a block, as TYPE/NAME; without it the folder ~/.prefect/storage")
    parser.add_argument("--rows", type=int, default=100)
    given = parser.parse_args()
    # As a text the block is loaded when the flow runs; an object would be loaded when this file is imported.
    flow = keep.with_options(result_storage=given.storage) if given.storage else keep
    print(flow(given.rows))


if __name__ == "__main__":
    main()
