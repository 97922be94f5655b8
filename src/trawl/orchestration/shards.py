"""Shards as tasks of Prefect's: in the flow's own process, or each as a flow run on the work pool.

A shard, 100 to 500 records, is the unit of Prefect's work: what the server is asked grows with shards, never with records.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any
from uuid import UUID

import httpx
from prefect import get_client, task
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterId,
    FlowRunFilterState,
    FlowRunFilterStateType,
    FlowRunFilterTags,
)
from prefect.client.schemas.objects import TERMINAL_STATES, FlowRun, State, StateType
from prefect.deployments import arun_deployment
from prefect.exceptions import ObjectNotFound, PrefectException
from prefect.states import Cancelling

from trawl.crawl import AT_ONCE, ShardWork
from trawl.lake import Outcome, SourceLake
from trawl.model import errors
from trawl.model.errors import ConfigurationError, Retriable, TrawlError

from .progress import counts_of
from .valve import Valve

__all__ = ["PodShards", "TaskShards", "cancel_shards", "tag_of"]

Log = logging.Logger | logging.LoggerAdapter[Any]
Finished = Callable[[], Awaitable[None]]

DEPLOYMENT = "crawl-shard/crawl-shard"
ATTEMPTS = 3  # of a shard whose pod is lost
_POLL = 2.0  # seconds between two looks at the shards that are under way
_LIVE = [kind for kind in StateType if kind not in TERMINAL_STATES and kind != StateType.CANCELLING]


def tag_of(run: UUID) -> str:
    """What marks the shards of a flow run, so that they end with it."""
    return f"shards-of:{run}"


class TaskShards:
    """Each shard is a task in the flow's process. Suspension and cancellation take effect between two of them."""

    at_once = AT_ONCE

    def __init__(self, source: str, log: Log, finished: Finished) -> None:
        self._source, self._log, self._finished = source, log, finished
        self._valve = Valve(source, self.at_once, log)

    async def fetch(self, work: ShardWork) -> Outcome:
        number = work.shard.number

        @task(name="fetch-shard", task_run_name=f"{self._source}.shard-{number}", persist_result=False)
        async def fetch_shard() -> Outcome:
            async with self._valve.slots(max(1, work.connections // self.at_once)) as connections:
                return await work.here(connections)

        outcome: Outcome = await fetch_shard()
        self._log.info("shard %s of %s: %s", number, work.run, counts_of(outcome.results))
        await self._finished()
        return outcome


class PodShards:
    """Each shard is a flow run of `crawl-shard` on the work pool, at most `pods` at a time.

    A shard whose pod was lost is repeated, alone. Its idempotency key is made of the run, the shard and the attempt: a
    parent that is repeated finds the flow runs that are there and starts none twice.
    """

    def __init__(
        self, lake: SourceLake, pods: int, parameters: Mapping[str, Any], parent: UUID, log: Log, finished: Finished
    ) -> None:
        self.at_once, self._lake, self._log, self._finished = pods, lake, log, finished
        self._parameters, self._parent = {**parameters, "source": lake.name, "pods": pods}, parent
        self._awaited: dict[UUID, asyncio.Future[FlowRun]] = {}
        self._watcher: asyncio.Task[None] | None = None

    async def fetch(self, work: ShardWork) -> Outcome:
        lost, attempt = 0, 0
        while True:
            attempt += 1
            started = datetime.now().astimezone()
            child = await self._start(work, attempt)
            if not _stale(child, started):
                child = await self._ended(child)
                if child.state is not None and child.state.is_completed():
                    break
                lost += 1
                self._judge(work, child, lost)
        found = await asyncio.to_thread(self._lake.runs.outcomes, work.run)
        if work.shard.number not in found:
            raise Retriable(
                f"shard {work.shard.number} of {work.run}: its flow run {child.name} is completed, and the lake has no "
                "outcome of it",
                remedy="check that flow runs and this one use the same lake (TRAWL_LAKE)",
            )
        outcome = found[work.shard.number]
        self._log.info(
            "shard %s of %s: %s (flow run %s)", outcome.shard, work.run, counts_of(outcome.results), child.name
        )
        await self._finished()
        return outcome

    async def _start(self, work: ShardWork, attempt: int) -> FlowRun:
        number = work.shard.number
        try:
            started: FlowRun = await arun_deployment(
                DEPLOYMENT,
                parameters=self._parameters | {"run": work.run, "shard": number},
                flow_run_name=f"{self._lake.name}.shard-{number}",
                idempotency_key=f"trawl-{work.run}-{number}-{attempt}",
                tags=[tag_of(self._parent)],
                timeout=0,
            )
        except ObjectNotFound:
            raise ConfigurationError(
                f"there is no deployment {DEPLOYMENT}, which fetches shards in pods of their own",
                remedy="run `trawl setup`; or run with pods: 1",
            ) from None
        return started

    def _judge(self, work: ShardWork, child: FlowRun, lost: int) -> None:
        """Raise, unless the shard is to be started again."""
        state: State[Any] | None = child.state
        said = f"shard {work.shard.number} of {work.run}: the flow run {child.name}"
        if state is None or state.is_crashed():
            why = "is lost" if state is None else f"crashed: {state.message}"
            if lost >= ATTEMPTS:
                raise Retriable(f"{said} {why}, {lost} times", remedy="look at its pods and their memory")
            self._log.warning("%s %s; it is started again (%s of %s)", said, why, lost + 1, ATTEMPTS)
            return
        if state.is_cancelled():
            raise Retriable(
                f"{said} was cancelled", remedy="start a refresh: it goes on with the shards that are finished"
            )
        kind = getattr(errors, state.name or "", None)
        if isinstance(kind, type) and issubclass(kind, TrawlError):
            raise kind(state.message or said)
        raise Retriable(f"{said} failed: {state.message}")

    async def _ended(self, child: FlowRun) -> FlowRun:
        """The flow run once it has ended; all that are awaited are asked for together."""
        ended: asyncio.Future[FlowRun] = asyncio.get_running_loop().create_future()
        self._awaited[child.id] = ended
        if self._watcher is None or self._watcher.done():
            self._watcher = asyncio.create_task(self._watch())
        try:
            return await ended
        finally:
            self._awaited.pop(child.id, None)

    async def _watch(self) -> None:
        told = False
        while self._awaited:
            await asyncio.sleep(_POLL)
            try:
                async with get_client() as client:
                    wanted = FlowRunFilter(id=FlowRunFilterId(any_=list(self._awaited)))
                    runs = {run.id: run for run in await client.read_flow_runs(flow_run_filter=wanted)}
            except (httpx.HTTPError, PrefectException) as error:
                if not told:
                    self._log.warning("the server cannot be asked about the shards (%s): it is asked again", error)
                told = True
                continue
            told = False
            for key, ended in list(self._awaited.items()):
                run = runs.get(key)
                if run is None:  # deleted by hand: as good as lost
                    run = FlowRun(id=key, flow_id=key, name="deleted")
                elif run.state is None or not run.state.is_final():
                    continue
                if not ended.done():
                    ended.set_result(run)


def _stale(child: FlowRun, asked: datetime) -> bool:
    """Whether a flow run came to its end in vain before this parent asked for it: another attempt follows it."""
    state = child.state
    return state is not None and state.is_final() and not state.is_completed() and state.timestamp < asked


async def cancel_shards(parent: UUID) -> int:
    """Cancel what is left of a flow run's shards; how many."""
    wanted = FlowRunFilter(
        tags=FlowRunFilterTags(all_=[tag_of(parent)]),
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=_LIVE)),
    )
    cancelled = 0
    async with get_client() as client:
        while runs := await client.read_flow_runs(flow_run_filter=wanted, limit=200):
            for run in runs:
                with suppress(ObjectNotFound):
                    await client.set_flow_run_state(run.id, Cancelling(message="the run that it belongs to has ended"))
                cancelled += 1
            if len(runs) < 200:
                break
    return cancelled
