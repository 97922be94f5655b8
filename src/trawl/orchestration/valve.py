"""The operator's valve: a global concurrency limit of Prefect's whose slots are a source's requests in flight.

A shard takes its slots once, for all of its requests, and gives them back at its end: so a limit that was changed is felt
by the next shard, and no request waits for the server. Whatever the server answers, the valve never ends a run.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from prefect import get_client
from prefect.client.schemas.responses import GlobalConcurrencyLimitResponse
from prefect.concurrency.asyncio import concurrency
from prefect.exceptions import ObjectNotFound, PrefectException

from trawl.model.names import public_calls_name

Log = logging.Logger | logging.LoggerAdapter[Any]

_LOOK = 5.0  # seconds between two looks at a limit that is closed
_FAULTS = (httpx.HTTPError, PrefectException, TimeoutError, OSError, ValueError, RuntimeError)


class Valve:
    """The limit of one source, for one run.

    Attributes:
        shards_at_once: the run's shards that share the limit's slots.

    """

    def __init__(self, source: str, shards_at_once: int, log: Log) -> None:
        self.name, self.shards_at_once, self._log = public_calls_name(source), shards_at_once, log
        self._told: set[str] = set()

    @asynccontextmanager
    async def slots(self, connections: int) -> AsyncIterator[int]:
        """How many requests a shard may have in flight, at most `connections`: as many slots are taken meanwhile."""
        number, held = connections, None
        try:
            limit = await self._open()
            if limit is not None:
                number = max(1, min(connections, limit // self.shards_at_once))
                held = concurrency(self.name, occupy=number, raise_on_lease_renewal_failure=False)
                await held.__aenter__()
        except _FAULTS as error:
            held = None
            self._once(f"the limit {self.name} cannot be asked ({error}): goes on with {number} requests in flight")
        try:
            yield number
        finally:
            if held is not None:
                try:
                    await held.__aexit__(None, None, None)
                except _FAULTS as error:  # the lease runs out by itself
                    self._once(
                        f"the slots of {self.name} could not be given back ({error}): they run out by themselves"
                    )

    async def _open(self) -> int | None:
        """The limit, once it is open; None where there is none."""
        while True:
            try:
                found = await self._read()
            except ObjectNotFound:
                self._once(
                    f"there is no limit {self.name}: requests in flight are bounded by the source alone; "
                    f"`trawl setup` makes it, or `prefect gcl create {self.name} --limit 10`"
                )
                return None
            if found.active and found.limit > 0:
                self._told.clear()
                return found.limit
            why = "inactive" if not found.active else "0"
            self._once(f"the limit {self.name} is {why}: the run waits until somebody opens it")
            await asyncio.sleep(_LOOK)

    async def _read(self) -> GlobalConcurrencyLimitResponse:
        async with get_client() as client:
            return await client.read_global_concurrency_limit_by_name(self.name)

    def _once(self, message: str) -> None:
        if message not in self._told:
            self._told.add(message)
            self._log.warning(message)
