"""Slots of a global concurrency limit, taken for as long as a process works.

Prefect's own `concurrency()` starts a thread and a client for each use, and must be left by the task that entered it. A
run's shards are tasks that share one lease: it is renewed in the run's own loop.
"""

import asyncio
import logging
from contextlib import suppress
from http import HTTPStatus
from typing import Any, Self
from uuid import UUID

import httpx
from prefect import get_client
from prefect.exceptions import PrefectException

SECONDS = 60.0  # after which the slots of a process that died are free again
_LONGEST_WAIT = 10.0
FAULTS = (httpx.HTTPError, PrefectException, TimeoutError, OSError, ValueError, RuntimeError)
"""What asking the server may raise."""


class Taken(Exception):
    """All slots are taken. `wait`: seconds after which another try makes sense."""

    def __init__(self, wait: float) -> None:
        super().__init__(wait)
        self.wait = wait


class Lease:
    """Some slots of a limit. `give_back` ends it; else it runs out by itself."""

    def __init__(self, key: UUID, log: logging.Logger | logging.LoggerAdapter[Any]) -> None:
        self._key, self._log = key, log
        self._keeper = asyncio.create_task(self._keep())

    @classmethod
    async def take(cls, limit: str, slots: int, log: logging.Logger | logging.LoggerAdapter[Any]) -> Self:
        """Take slots now. Raises Taken where not enough of them are free, and one of FAULTS."""
        async with get_client() as client:
            try:
                answer = await client.increment_concurrency_slots_with_lease([limit], slots, "concurrency", SECONDS)
            except httpx.HTTPStatusError as error:
                if error.response.status_code != HTTPStatus.LOCKED:
                    raise
                asked = error.response.headers.get("Retry-After", "")
                wait = float(asked) if asked.replace(".", "", 1).isdigit() else 1.0
                raise Taken(min(max(wait, 0.1), _LONGEST_WAIT)) from None
        return cls(UUID(answer.json()["lease_id"]), log)

    async def give_back(self) -> None:
        self._keeper.cancel()
        with suppress(asyncio.CancelledError):
            await self._keeper
        async with get_client() as client:
            await client.release_concurrency_slots_with_lease(self._key)

    async def _keep(self) -> None:
        told = False
        while True:
            await asyncio.sleep(SECONDS / 3)
            try:
                async with get_client() as client:
                    await client.renew_concurrency_lease(self._key, SECONDS)
            except FAULTS as error:
                if not told:
                    self._log.warning("the slots of the limit could not be renewed (%s): the run goes on", error)
                told = True
            else:
                told = False
