"""Slots of a global concurrency limit, taken for as long as a process works.

Prefect's own `concurrency()` starts a thread and a client for each use, and must be left by the task that entered it. A
run's shards are tasks that share one lease: it is renewed in the run's own loop.
"""

import asyncio
import logging
import time
from contextlib import suppress
from http import HTTPStatus
from typing import Any, Self
from uuid import UUID

import httpx
from prefect import get_client
from prefect.exceptions import PrefectException

SECONDS = 60.0  # after which the slots of a process that died are free again
_SHORTEST_WAIT, _LONGEST_WAIT = 1.0, 10.0
FAULTS = (httpx.HTTPError, PrefectException, TimeoutError, OSError, ValueError, RuntimeError)
"""What asking the server may raise."""


Log = logging.Logger | logging.LoggerAdapter[Any]


class Taken(Exception):
    """All slots are taken. `wait`: seconds after which another try makes sense."""

    def __init__(self, wait: float) -> None:
        super().__init__(wait)
        self.wait = wait


class Lease:
    """Some slots of a limit. `give_back` ends it; else it runs out by itself.

    A server keeps leases in its memory, and the slots that they stand for in its database: one that was started anew
    knows no lease and counts its slots for ever. Such slots stay this process' own, and are given back without a lease.
    """

    def __init__(self, limit: str, slots: int, key: UUID, log: Log) -> None:
        self._limit, self._slots, self._log = limit, slots, log
        self._key: UUID | None = key
        self._since = time.monotonic()
        self._keeper = asyncio.create_task(self._keep())

    @classmethod
    async def take(cls, limit: str, slots: int, log: Log) -> Self:
        """Take slots now. Raises Taken where not enough of them are free, and one of FAULTS."""
        return cls(limit, slots, await _take(limit, slots), log)

    async def give_back(self) -> None:
        self._keeper.cancel()
        with suppress(asyncio.CancelledError):
            await self._keeper
        if self._key is not None:
            await self._renew()
        async with get_client() as client:
            if self._key is not None:
                await client.release_concurrency_slots_with_lease(self._key)
            else:
                seconds = time.monotonic() - self._since
                await client.release_concurrency_slots([self._limit], self._slots, seconds)

    async def _keep(self) -> None:
        told = False
        while self._key is not None:
            await asyncio.sleep(SECONDS / 3)
            try:
                await self._renew()
            except FAULTS as error:
                if not told:
                    self._log.warning("the slots of %s could not be renewed (%s): the run goes on", self._limit, error)
                told = True
            else:
                told = False

    async def _renew(self) -> None:
        assert self._key is not None
        try:
            async with get_client() as client:
                await client.renew_concurrency_lease(self._key, SECONDS)
        except httpx.HTTPStatusError as error:
            if error.response.status_code != HTTPStatus.GONE:
                raise
            try:
                self._key = await _take(self._limit, self._slots)
            except Taken:  # by nobody but this process
                self._key = None


async def _take(limit: str, slots: int) -> UUID:
    async with get_client() as client:
        try:
            answer = await client.increment_concurrency_slots_with_lease([limit], slots, "concurrency", SECONDS)
        except httpx.HTTPStatusError as error:
            if error.response.status_code != HTTPStatus.LOCKED:
                raise
            asked = error.response.headers.get("Retry-After", "")
            wait = float(asked) if asked.replace(".", "", 1).isdigit() else 1.0
            raise Taken(min(max(wait, _SHORTEST_WAIT), _LONGEST_WAIT)) from None
    return UUID(answer.json()["lease_id"])
