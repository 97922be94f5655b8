"""A server may close a connection that was kept just as a request goes out over it: nobody's failure."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
import pytest
from loopback import client_of, reply

from trawl.model.errors import BudgetSpent, Retriable
from trawl.transport import Client

ONCE = {"requests": {"attempts": 1}}
KEPT = reply(body=b'{"a": 1}').replace(b"connection: close\r\n", b"")


@dataclass
class Closing:
    """Answers once on each connection, and closes it when the next request has come; from `deaf` on it never answers."""

    abort: bool
    deaf: int = 1_000
    connections: int = 0
    at: list[float] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            await self._asked(reader)
            if self.connections < self.deaf:
                writer.write(KEPT)
                await writer.drain()
                await self._asked(reader)
            if self.abort:
                writer.transport.abort()
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()

    async def _asked(self, reader: asyncio.StreamReader) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.at.append(asyncio.get_running_loop().time())


@asynccontextmanager
async def closing(
    *, abort: bool = False, deaf: int = 1_000, rate: float | None = None, budget: int | None = None
) -> AsyncIterator[tuple[Client, Closing]]:
    found = Closing(abort, deaf)
    server = await asyncio.start_server(found.serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with client_of(url, rate=rate, budget=budget, **ONCE) as client:
        yield client, found
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize("abort", [False, True])
async def test_a_race_that_is_lost_costs_no_attempt_but_a_request(abort: bool) -> None:
    async with closing(abort=abort) as (client, server):
        for _ in range(4):
            assert (await client.get("x")).body == b'{"a": 1}'
        assert client.traffic.requests == len(server.at) == 7
        assert client.traffic.retries == 0
        assert server.connections == 4


async def test_the_second_try_waits_for_its_turn() -> None:
    async with closing(rate=20) as (client, server):
        for _ in range(3):
            await client.get("x")
        gaps = [after - before for before, after in zip(server.at, server.at[1:], strict=False)]
        assert len(gaps) == 4
        assert all(gap >= 0.04 for gap in gaps)


async def test_the_second_try_is_paid_from_the_budget() -> None:
    async with closing(budget=2) as (client, server):
        await client.get("x")
        with pytest.raises(BudgetSpent):
            await client.get("x")
        assert client.traffic.requests == len(server.at) == 2


@pytest.mark.parametrize("abort", [False, True])
async def test_a_failure_on_a_new_connection_is_one(abort: bool) -> None:
    async with closing(abort=abort, deaf=1) as (client, server):
        for _ in range(2):
            with pytest.raises(Exception, match="connection"):
                await client.get("x")
        assert len(server.at) == server.connections == 2


async def test_whoever_loses_the_race_and_then_is_not_answered_has_failed_once() -> None:
    async with closing(deaf=2) as (client, server):
        await client.get("x")
        with pytest.raises(Retriable, match="closed without an answer"):
            await client.get("x")
        assert len(server.at) == 3


async def test_what_may_have_been_done_is_not_sent_a_second_time() -> None:
    async with closing() as (client, server):
        await client.http.get("x")
        with pytest.raises(httpx.RemoteProtocolError, match="closed without an answer"):
            await client.http.post("x")
        assert len(server.at) == 2
        assert (await client.http.put("x")).json() == {"a": 1}
