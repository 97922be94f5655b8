"""Tasks side by side: in threads, in processes, on a Dask cluster; and everything that a future can do.

    python examples/runners.py threads
    python examples/runners.py processes
    python examples/runners.py dask           # pip install 'trawl[dask]'
    python examples/runners.py ray            # pip install 'trawl[ray]', where Ray has a wheel for your Python

`task()` runs here and now. `task.submit()` and `task.map()` hand it to the flow's task runner and return *futures*.
Threads wait well (files, requests of synchronous clients); processes, Dask and Ray compute. Async tasks that share a
client need no runner: `asyncio.gather`, as the showcase does.
"""

import argparse
from typing import Any

from prefect import allow_failure, flow, get_run_logger, task, unmapped
from prefect.futures import as_completed
from prefect.task_runners import ProcessPoolTaskRunner, TaskRunner, ThreadPoolTaskRunner

RUNNERS = ("threads", "processes", "dask", "ray")


def runner(name: str) -> TaskRunner[Any]:
    """The task runner of this name, with two workers."""
    if name == "threads":
        return ThreadPoolTaskRunner(max_workers=2)
    if name == "processes":
        return ProcessPoolTaskRunner(max_workers=2)
    if name == "dask":
        from prefect_dask import DaskTaskRunner  # noqa: PLC0415  only where it is installed

        # A cluster of its own, as long as the flow lasts; `address="tcp://..."` takes one that is there.
        return DaskTaskRunner(cluster_kwargs={"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None})
    from prefect_ray import RayTaskRunner  # noqa: PLC0415

    return RayTaskRunner(init_kwargs={"num_cpus": 2})


@task(task_run_name="steps.{number}")
def steps(number: int, most: int) -> int:
    """How many steps a number takes down to 1 (halve the even, take 3n+1 of the odd)."""
    if number < 1:
        raise ValueError(f"{number} never comes to 1")
    taken = 0
    while number != 1:
        number, taken = number // 2 if number % 2 == 0 else 3 * number + 1, taken + 1
        if taken > most:
            raise ValueError(f"more than {most} steps")
    return taken


@task
def longest(found: list[int]) -> int:
    """Of those that came to an end; an exception is none."""
    return max(value for value in found if isinstance(value, int))


@task
def say(text: str) -> str:
    """The last word."""
    return text


@flow
def side_by_side(numbers: list[int]) -> dict[str, Any]:
    """Each number on its own, then what they have in common. What fails is named."""
    # A list is mapped, element by element; what is for all of them is `unmapped`.
    futures = steps.map(numbers, unmapped(1_000))
    name_of = {future.task_run_id: number for future, number in zip(futures, numbers, strict=True)}
    found: dict[int, int] = {}
    failed: dict[int, str] = {}
    for future in as_completed(list(futures)):  # the first to finish comes first
        value = future.result(timeout=60, raise_on_failure=False)
        number = name_of[future.task_run_id]
        if isinstance(value, BaseException):
            failed[number] = str(value)
        else:
            found[number] = value
    if failed:
        get_run_logger().warning("%s of %s failed: %s", len(failed), len(numbers), failed)
    most = longest.submit(list(found.values()))
    last = say.submit("done", wait_for=[most])  # an order without a value that is handed on
    return {"found": found, "failed": failed, "longest": most.result(), "last": last.result()}


@flow
def whatever_happens(numbers: list[int]) -> int:
    """A task whose input failed does not run (`NotReady`), unless failures are allowed: then it gets the exception.

    In threads and processes; the runner of prefect-dask 0.3.7 takes no notice of `allow_failure`.
    """
    futures = steps.map(numbers, unmapped(1_000))
    return longest.submit(allow_failure(futures)).result()


def main() -> None:
    """From the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runner", choices=RUNNERS, nargs="?", default="threads")
    # `with_options`: the same flow, run elsewhere.
    elsewhere = side_by_side.with_options(task_runner=runner(parser.parse_args().runner))
    print(elsewhere([6, 7, 27, 0]))


if __name__ == "__main__":  # (processes import this file anew)
    main()
