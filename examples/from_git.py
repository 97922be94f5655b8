"""A flow out of a Git repository, without a copy of it here: run at once, or deployed.

    python examples/from_git.py https://git.example.com/flows.git hello.py:hello
    python examples/from_git.py https://git.example.com/flows.git hello.py:hello --pool trawl

`Flow.from_source` clones the repository to look at the flow; the deployment clones it again for each run. So a run is as new
as the branch: docs/code-storage.md says when that is what you want.
"""

import argparse
from typing import Any

from prefect import Flow
from prefect.runner.storage import GitRepository


def pulled(url: str, entrypoint: str, branch: str = "main") -> Flow[..., Any]:
    """The flow, as it is on that branch now."""
    return Flow.from_source(source=GitRepository(url=url, branch=branch), entrypoint=entrypoint)


def main() -> None:
    """From the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("repository", help="its URL")
    parser.add_argument("entrypoint", help="FILE:FLOW in it")
    parser.add_argument("--branch", default="main")
    parser.add_argument("--pool", help="deploy to this work pool; without it the flow runs here")
    given = parser.parse_args()
    flow = pulled(given.repository, given.entrypoint, given.branch)
    if given.pool is None:
        print(flow())
    else:
        flow.deploy("from-source", work_pool_name=given.pool, print_next_steps=False)


if __name__ == "__main__":
    main()
