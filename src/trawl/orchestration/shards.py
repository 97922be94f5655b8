"""Shards as tasks of Prefect's: in the flow's own process, or in flow runs on the work pool.

A shard, 100 to 500 records, is the unit of Prefect's work: what the server is asked grows with shards, never with records.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from prefect import task

from trawl.crawl import AT_ONCE, Done, ShardWork, side_by_side
from trawl.lake import Outcome
from trawl.sources import SourceCrawler

from .progress import counts_of
from .valve import Valve

__all__ = ["Finished", "Log", "TaskShards"]

Log = logging.Logger | logging.LoggerAdapter[Any]
Finished = Callable[[], Awaitable[None]]
"""Called when a shard is done, to show how far the run is."""


class TaskShards:
    """Each shard is a task in the flow's process: a suspended or cancelled run ends between two of them.

    Args:
        crawler: whose limit the shards' requests count for.
        processes: how many processes share that limit.
        at_once: how many shards are under way in this one.

    """

    def __init__(
        self, crawler: SourceCrawler, log: Log, finished: Finished, *, processes: int = 1, at_once: int = AT_ONCE
    ) -> None:
        self._source, self._limit = crawler.source_name, crawler.get_gcl_name()
        self._log, self._finished, self._at_once = log, finished, at_once
        self._processes = processes

    async def fetch(self, works: Sequence[ShardWork], done: Done) -> None:
        async def each(work: ShardWork) -> None:
            outcome = await self._task(work, valve)
            self._log.info("shard %s of %s: %s", outcome.shard, work.run, counts_of(outcome.results))
            done(outcome)
            await self._finished()

        async with Valve(self._limit, self._log, processes=self._processes, at_once=self._at_once) as valve:
            await side_by_side(works, each, self._at_once)

    async def _task(self, work: ShardWork, valve: Valve) -> Outcome:
        @task(name="fetch-shard", task_run_name=f"{self._source}.shard-{work.shard.number}", persist_result=False)
        async def fetch_shard() -> Outcome:
            async with valve.slots(work.connections) as connections:
                return await work.here(connections)

        outcome: Outcome = await fetch_shard()
        return outcome
