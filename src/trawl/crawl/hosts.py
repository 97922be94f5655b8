"""A run among other runs that ask the same host: through the lake they share its rate and its cool-downs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta

from trawl.lake import HostBoard, Lake
from trawl.model.config import host_of
from trawl.model.errors import LakeError
from trawl.transport import Client, CoolDown

from .planning import Context
from .progress import count_of
from .tasks import in_thread

POLL = 5.0  # seconds between two looks at the board
_NOTICED = POLL + 1  # seconds until every other run has seen that one more is there


class SharedHost:
    """The host of one run.

    The rate belongs to the host: runs at the same time each keep to an equal part of it, so that together they never
    exceed what the most careful of their sources allows.

    A shard in a process of its own (`parts` of them work at once) keeps to its part of its run's share. It never gives that
    back: the process that has planned the run does, when all of it is done.

    Attributes:
        cool_down: shared by all requests of the run, and with the other runs.

    """

    def __init__(self, context: Context, lake: Lake, *, parts: int | None = None) -> None:
        self._context, self._parts = context, parts
        self._board = HostBoard(lake.store, host_of(context.target.base_url), context.clock)
        self._runs = 1
        self._told: datetime | None = None
        self.cool_down = CoolDown(context.clock, self._publish)

    @asynccontextmanager
    async def joined(self, client: Client) -> AsyncIterator[None]:
        """Take a share for as long as the context lasts; the first request waits until all others have noticed."""
        rate = self._context.target.requests_per_second
        await self._look(client)
        try:
            if self._runs > 1 and self._parts is None:  # the others have noticed a shard's run long ago
                await asyncio.sleep(_NOTICED)
            poll = asyncio.create_task(self._keep_looking(client))
            try:
                yield
            finally:
                poll.cancel()
                await asyncio.wait([poll])  # else it might take the share once more
        finally:
            if rate is not None and self._parts is None:
                with suppress(LakeError):  # it runs out by itself
                    await asyncio.to_thread(self._board.leave, self._context.run)

    async def learn(self) -> None:
        """Learn of a cool-down that another run has met."""
        self.cool_down.learn(await asyncio.to_thread(self._board.cool_down))

    async def _keep_looking(self, client: Client) -> None:
        while True:
            await asyncio.sleep(POLL)
            with suppress(LakeError):  # politeness never stops a run
                await self._look(client)

    async def _look(self, client: Client) -> None:
        await self.learn()
        rate = self._context.target.requests_per_second
        if rate is None:
            return
        shares = await in_thread(self._board.share, self._context.run, rate)
        part = min(share.rate for share in shares) / len(shares) / (self._parts or 1)
        if len(shares) != self._runs:
            self._runs = len(shares)
            others = "alone with" if len(shares) == 1 else f"one of {count_of(len(shares), 'run')} at"
            self._context.progress.say(f"{others} the host: {part:g} requests per second")
        await client.pace(part)

    async def _publish(self, until: datetime) -> None:
        """Tell people and the other runs, in whole seconds: requests that are refused together say it once."""
        until = until.replace(microsecond=0) + timedelta(seconds=1)
        if self._told is not None and until <= self._told:
            return
        self._told = until
        self._context.progress.warn(f"the API asks for a pause until {until:%H:%M:%S} UTC")
        with suppress(LakeError):  # this run keeps to it in any case
            await asyncio.to_thread(self._board.publish, until)
