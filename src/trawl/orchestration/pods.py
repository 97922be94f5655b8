"""A run's shards spread over pods: each pod is a flow run of `crawl-shard`, which fetches some of them.

The parent commits once, when all outcomes lie in the lake. Whichever process dies, what its shards have finished stays.
"""

import asyncio
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
from prefect import get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterId,
    FlowRunFilterState,
    FlowRunFilterStateType,
    FlowRunFilterTags,
)
from prefect.client.schemas.objects import TERMINAL_STATES, FlowRun, StateType
from prefect.deployments import arun_deployment
from prefect.exceptions import ObjectNotFound, PrefectException
from prefect.states import Cancelling

from trawl.crawl import Done, ShardRunner, ShardWork, count_of
from trawl.lake import Shard, SourceLake
from trawl.model import errors
from trawl.model.errors import ConfigurationError, Retriable, TrawlError

from .progress import counts_of
from .shards import Finished, Log

__all__ = ["PodShards", "cancel_pods", "shared_out"]

DEPLOYMENT = "crawl-shard/crawl-shard"
ATTEMPTS = 3  # of a shard whose pod is lost
POLL = 2.0  # seconds between two looks at the pods
_PAGE = 200  # what Prefect's API gives at a time
_LIVE = [kind for kind in StateType if kind not in TERMINAL_STATES and kind != StateType.CANCELLING]


@dataclass(slots=True)
class _Pod:
    """A flow run that fetches some shards."""

    id: UUID
    name: str
    shards: set[int]


def shared_out(shards: Iterable[Shard], pods: int) -> list[list[int]]:
    """Shards for so many pods, so that each has about the same bytes (and records, where none are known)."""
    groups: list[tuple[list[int], list[int]]] = [([], [0]) for _ in range(pods)]
    for shard in sorted(shards, key=lambda shard: (-_weight(shard), shard.number)):
        numbers, weight = min(groups, key=lambda group: group[1][0])
        numbers.append(shard.number)
        weight[0] += _weight(shard)
    return [sorted(numbers) for numbers, _ in groups if numbers]


def _weight(shard: Shard) -> int:
    return shard.bytes + 2_000 * shard.records  # a request costs about what two kilobytes do


class PodShards:
    """Has shards fetched in `pods` pods, and those of a lost pod that were not finished again, in a pod of their own.

    Args:
        parameters: what else `crawl-shard` is given, so that it reads the source as this run does.
        parent: the flow run whose end takes the pods with it.
        here: fetches what is too little for a pod.

    """

    def __init__(
        self,
        lake: SourceLake,
        pods: int,
        parameters: Mapping[str, Any],
        parent: UUID,
        log: Log,
        finished: Finished,
        here: ShardRunner,
    ) -> None:
        self._lake, self._pods, self._parent, self._log, self._finished = lake, pods, parent, log, finished
        self._here = here
        self._parameters = {**parameters, "source": lake.name, "pods": pods}
        self._lost: dict[int, int] = {}
        self._told = False

    async def fetch(self, works: Sequence[ShardWork], done: Done) -> None:
        run, left = works[0].run, {work.shard.number: work.shard for work in works}
        pods = await self._under_way(run, set(left))
        if len(works) == 1 and not pods:
            await self._here.fetch(works, done)  # a pod takes longer to start than most shards to fetch
            return
        taken: set[int] = set().union(*(pod.shards for pod in pods))
        for numbers in shared_out([shard for number, shard in left.items() if number not in taken], self._pods):
            pods.append(await self._start(run, numbers))
        while left:
            await asyncio.sleep(POLL)
            ended = await self._look(pods)  # first the pods, then what they have finished: nothing comes after an end
            for number in sorted(await asyncio.to_thread(self._lake.runs.finished, run) & left.keys()):
                if await self._take(run, number, done):
                    del left[number]
            for pod in [pod for pod in pods if pod.id in ended]:
                pods.remove(pod)
                if missing := sorted(pod.shards & left.keys()):
                    self._judge(pod, ended[pod.id], missing)
                    pods.append(await self._start(run, missing))

    async def _take(self, run: str, number: int, done: Done) -> bool:
        outcome = (await asyncio.to_thread(self._lake.runs.outcomes, run, {number})).get(number)
        if outcome is None:
            return False
        self._log.info("shard %s of %s: %s", number, run, counts_of(outcome.results))
        done(outcome)
        await self._finished()
        return True

    async def _under_way(self, run: str, wanted: set[int]) -> list[_Pod]:
        """The pods that an earlier parent of the run has started: they are waited for, and none is started twice."""
        found = await _read(FlowRunFilter(tags=FlowRunFilterTags(all_=[_tag_of_run(run)]), state=_live()))
        pods = [_Pod(child.id, child.name, set(child.parameters["shards"]) & wanted) for child in found]
        if pods := [pod for pod in pods if pod.shards]:
            self._log.info("%s of run %s are already running", ", ".join(pod.name for pod in pods), run)
        return pods

    async def _start(self, run: str, shards: Sequence[int]) -> _Pod:
        attempt = max(self._lost.get(number, 0) for number in shards)
        name = f"{self._lake.name}.shards-{_ranges(shards)}"
        what = hashlib.sha256(f"{run} {shards} {attempt} {self._parent}".encode()).hexdigest()[:24]
        try:
            child = await arun_deployment(
                DEPLOYMENT,
                parameters=self._parameters | {"run": run, "shards": list(shards)},
                flow_run_name=name,
                idempotency_key=f"trawl-{what}",  # a request that is sent again starts nothing twice
                tags=[tag_of(self._parent), _tag_of_run(run)],
                timeout=0,
            )
        except ObjectNotFound:
            raise ConfigurationError(
                f"there is no deployment {DEPLOYMENT}, which fetches shards in separate pods",
                remedy="run `trawl setup`; or run with pods: 1",
            ) from None
        self._log.info("flow run %s fetches %s", name, count_of(len(shards), "shard"))
        return _Pod(child.id, name, set(shards))

    async def _look(self, pods: Sequence[_Pod]) -> dict[UUID, FlowRun | None]:
        """The pods that have ended, by id; None for one that somebody deleted. While the server is away, none has."""
        try:
            found = {
                run.id: run for run in await _read(FlowRunFilter(id=FlowRunFilterId(any_=[pod.id for pod in pods])))
            }
        except (httpx.HTTPError, PrefectException) as error:
            if not self._told:
                self._log.warning("the server cannot be asked about the pods (%s): it is asked again", error)
            self._told = True
            return {}
        self._told = False
        runs = {pod.id: found.get(pod.id) for pod in pods}
        return {
            key: run for key, run in runs.items() if run is None or (run.state is not None and run.state.is_final())
        }

    def _judge(self, pod: _Pod, ended: FlowRun | None, missing: Sequence[int]) -> None:
        """Raise, unless what a pod has left is to be fetched by another one."""
        state = None if ended is None else ended.state
        said = f"the flow run {pod.name}"
        if state is not None and state.is_completed():
            raise Retriable(
                f"{said} is completed, and the lake has no outcome of its shards {_ranges(missing)}",
                remedy="check that all flow runs use the same lake (TRAWL_LAKE)",
            )
        if state is not None and state.is_cancelled():
            raise Retriable(f"{said} was cancelled", remedy="start a refresh: it continues with what is finished")
        if state is not None and state.is_failed():
            kind = getattr(errors, state.name or "", None)
            if isinstance(kind, type) and issubclass(kind, TrawlError):
                raise kind(state.message or said)
            raise Retriable(f"{said} failed: {state.message}")
        why = "was deleted" if state is None else f"is lost: {state.message}"
        for number in missing:
            self._lost[number] = self._lost.get(number, 0) + 1
        times = max(self._lost[number] for number in missing)
        if times >= ATTEMPTS:
            raise Retriable(f"{said} {why}, and so were {times - 1} before it", remedy="check its pod and its memory")
        self._log.warning("%s %s; shards %s are fetched again", said, why, _ranges(missing))


async def cancel_pods(parent: UUID) -> int:
    """Cancel what is left of a flow run's pods; how many."""
    cancelled = await _read(FlowRunFilter(tags=FlowRunFilterTags(all_=[tag_of(parent)]), state=_live()))
    async with get_client() as client:
        for run in cancelled:
            with suppress(ObjectNotFound):
                await client.set_flow_run_state(run.id, Cancelling(message="the run that it belongs to has ended"))
    return len(cancelled)


async def _read(wanted: FlowRunFilter) -> list[FlowRun]:
    found: list[FlowRun] = []
    async with get_client() as client:
        while page := await client.read_flow_runs(flow_run_filter=wanted, limit=_PAGE, offset=len(found)):
            found += page
            if len(page) < _PAGE:
                break
    return found


def tag_of(parent: UUID) -> str:
    """What marks the pods of a flow run, so that they end with it."""
    return f"pods-of:{parent}"


def _tag_of_run(run: str) -> str:
    return f"trawl-run:{run}"


def _live() -> FlowRunFilterState:
    return FlowRunFilterState(type=FlowRunFilterStateType(any_=_LIVE))


def _ranges(numbers: Sequence[int]) -> str:
    """`0-3,7` for 0, 1, 2, 3 and 7."""
    parts: list[list[int]] = []
    for number in sorted(numbers):
        if parts and number == parts[-1][-1] + 1:
            parts[-1] = [parts[-1][0], number]
        else:
            parts.append([number])
    return ",".join("-".join(map(str, part)) for part in parts)
