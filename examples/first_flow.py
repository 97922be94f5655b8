"""A first flow, and what becomes of its tasks: states, causes, retries, subflows, tasks that call tasks, and async.

    python examples/first_flow.py

A flow is a function whose runs Prefect records; a task is a step of it. Both are called as functions are. Each run of
either ends in a *state*; `return_state=True` hands over the state in place of the value, and then nothing is raised.
"""

import asyncio
from typing import Any

import httpx
from common import address, api, arguments, client
from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun


def may_pass(task: Any, run: TaskRun, state: State) -> bool:
    """What is not there will not be there in a second: only other failures are tried again."""
    error = state.result(raise_on_failure=False)
    return not (isinstance(error, httpx.HTTPStatusError) and error.response.status_code == 404)


@task(task_run_name="fetch.{name}", retries=2, retry_delay_seconds=1, retry_condition_fn=may_pass)
def fetch(name: str) -> dict[str, Any]:
    """One Pokémon. A single request needs nothing but httpx; for many see `hello_async`."""
    return httpx.get(f"{address()}/pokemon/{name}/").raise_for_status().json()


@task
def metres(record: dict[str, Any]) -> float:
    """PokeAPI gives decimetres."""
    return record["height"] / 10


@task
def describe(record: dict[str, Any]) -> str:
    """A task may call a task: both are seen on their own."""
    return f"{record['name']} is {metres(record)} m tall"


@flow
def hello(name: str = "pikachu") -> str:
    """Two tasks, one after the other."""
    return describe(fetch(name))


@flow
def states(good: str = "pikachu", bad: str = "missingno") -> str:
    """A failure that is expected does not end the flow: its state keeps the cause."""
    fine = fetch(good, return_state=True)
    failed = fetch(bad, return_state=True)
    cause = failed.result(raise_on_failure=False)
    return f"{good}: {fine.name}; {bad}: {failed.name}, because of {type(cause).__name__} {cause.response.status_code}"


@flow
def several(names: list[str]) -> list[State]:
    """A flow that returns states has failed if one of them has: "1/2 states failed."."""
    return [fetch(name, return_state=True) for name in names]


@flow
def parent() -> list[str]:
    """A flow that calls flows: each is a run of its own, with its own page, retries and parameters."""
    return [hello("bulbasaur"), hello("eevee")]


@flow
async def hello_async(names: list[str]) -> list[str]:
    """Requests side by side, over one client. In a notebook: `await hello_async([...])`."""
    async with client() as http:
        return list(await asyncio.gather(*(fetch_name(name, http) for name in names)))


@task(task_run_name="fetch.{name}", cache_policy=NO_CACHE)  # a client cannot be part of a cache's key
async def fetch_name(name: str, http: httpx.AsyncClient) -> str:
    """A task may be async too; the client is the flow's."""
    return (await http.get(f"pokemon/{name}/")).raise_for_status().json()["name"]


def main() -> None:
    """All of them, one after the other."""
    with api(live=arguments(__doc__).parse_args().live):
        print(hello())
        print(states())
        print(several(["pikachu", "missingno"], return_state=True).message)
        print(parent())
        print(asyncio.run(hello_async(["pichu", "raichu"])))


if __name__ == "__main__":
    main()
