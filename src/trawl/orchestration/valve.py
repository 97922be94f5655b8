"""The operator's valve: a global concurrency limit of Prefect's whose slots are a source's concurrent requests.

A process takes its slots once for all of its shards, and looks at the limit before each: a change is felt by the next
shard, and no request waits for the server. Whatever the server answers, the valve never ends a run.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self

from prefect import get_client
from prefect.client.schemas.responses import GlobalConcurrencyLimitResponse
from prefect.exceptions import ObjectNotFound

from .lease import FAULTS, SECONDS, Lease, Taken

Log = logging.Logger | logging.LoggerAdapter[Any]

LOOK = 5.0  # seconds between two looks at a limit that is closed
LOST = 2 * SECONDS  # after which slots that stay taken are held by no process: its lease had run out
FRESH = 1.0  # seconds for which a look is good: shards may be quicker


class Valve:
    """The limit of one source, in one process. An async context manager: it gives its slots back.

    Args:
        name: the limit's.
        processes: how many processes share the limit.
        at_once: how many shards are under way in this one.

    """

    def __init__(self, name: str, log: Log, *, processes: int, at_once: int) -> None:
        self.name, self._log, self._processes, self._at_once = name, log, processes, at_once
        self._told: set[str] = set()
        self._changing = asyncio.Lock()
        self._freed = asyncio.Condition()
        self._lease: Lease | None = None
        self._slots = self._taken = 0
        self._looked = 0.0
        self._waited: float | None = None  # since when

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._give_back()

    @asynccontextmanager
    async def slots(self, connections: int) -> AsyncIterator[int]:
        """How many requests a shard may have in flight, where the process may have `connections`."""
        async with self._changing:
            while (wait := await self._heed(connections)) is not None:  # noqa: ASYNC110  the server has to be asked
                await asyncio.sleep(wait)
        share = max(1, self._slots // self._at_once)
        async with self._freed:
            await self._freed.wait_for(lambda: not self._taken or self._taken + share <= self._slots)
            self._taken += share
        try:
            # All of them where the limit takes none away: the client has no more in flight, whichever shard they are of.
            yield connections if self._slots >= connections else share
        finally:
            async with self._freed:
                self._taken -= share
                self._freed.notify_all()

    async def _heed(self, connections: int) -> float | None:
        """Have as many slots as the limit allows now; else the seconds after which to try again: others have them."""
        now = time.monotonic()
        if self._slots and now - self._looked < FRESH:
            return None
        self._looked = now
        try:
            found = await self._open()
            slots = connections if found is None else self._possible(found, connections)
            if slots == self._slots:
                return None
            await self._give_back()
            self._slots = slots
            if found is not None:
                self._lease = await Lease.take(self.name, slots, self._log)
                self._waited = None
        except Taken as error:
            self._waited = self._waited or now
            if now - self._waited > LOST:
                self._once(
                    f"the slots of the limit {self.name} stay taken, by nobody who works: goes on, {self._slots} requests in "
                    f"flight; `prefect gcl update {self.name} --active-slots 0` gives them back"
                )
                return None
            self._slots = 0
            self._once(f"all slots of the limit {self.name} are taken: the run waits for others to end")
            return error.wait
        except FAULTS as error:
            self._slots = self._slots or connections
            self._once(f"the limit {self.name} cannot be asked ({error}): goes on, {self._slots} concurrent requests")
        return None

    def _possible(self, found: GlobalConcurrencyLimitResponse, connections: int) -> int:
        """A process' part of the limit; less while others, or a process that died, still have some of it."""
        mine = self._slots if self._lease is not None else 0
        free = found.limit - int(found.active_slots) + mine
        return max(1, min(connections, found.limit // self._processes, free))

    async def _give_back(self) -> None:
        lease, self._lease = self._lease, None
        if lease is not None:
            try:
                await lease.give_back()
            except FAULTS as error:
                self._once(f"the slots of {self.name} cannot be released ({error}): they expire by themselves")

    async def _open(self) -> GlobalConcurrencyLimitResponse | None:
        """The limit, once it is open; None where there is none."""
        while True:
            try:
                found = await self._read()
            except ObjectNotFound:
                self._once(
                    f"there is no limit {self.name}: only the source limits the concurrent requests; "
                    f"`trawl setup` makes it, or `prefect gcl create {self.name} --limit 10`"
                )
                return None
            if found.active and found.limit > 0:
                self._told -= {self._closed("0"), self._closed("inactive")}
                return found
            self._once(self._closed("0" if found.active else "inactive"))
            await asyncio.sleep(LOOK)

    def _closed(self, why: str) -> str:
        return f"the limit {self.name} is {why}: the run waits until it is opened"

    async def _read(self) -> GlobalConcurrencyLimitResponse:
        async with get_client() as client:
            return await client.read_global_concurrency_limit_by_name(self.name)

    def _once(self, message: str) -> None:
        if message not in self._told:
            self._told.add(message)
            self._log.warning(message)
