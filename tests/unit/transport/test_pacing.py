"""Requests are spaced evenly, and none starts before a cool-down is over."""

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from trawl.transport import CoolDown
from trawl.transport.pacing import Pacer

pytestmark = pytest.mark.xdist_group("waits")


def now() -> datetime:
    return datetime.now(UTC)


async def starts(rate: float | None, number: int) -> list[float]:
    pacer, loop = Pacer(rate), asyncio.get_running_loop()

    async def one() -> float:
        await pacer.turn()
        return loop.time()

    return sorted(await asyncio.gather(*(one() for _ in range(number))))


async def test_requests_are_spaced_evenly_without_a_burst() -> None:
    at = await starts(50, 11)
    assert min(later - earlier for earlier, later in pairwise(at)) > 0.019
    assert at[-1] - at[0] >= 0.199


async def test_idle_time_is_not_saved_up_for_a_burst() -> None:
    pacer, loop = Pacer(50), asyncio.get_running_loop()
    await pacer.turn()
    await asyncio.sleep(0.1)
    at = []
    for _ in range(4):
        await pacer.turn()
        at.append(loop.time())
    assert min(later - earlier for earlier, later in pairwise(at)) > 0.019


async def test_a_slow_rate_is_one_request_at_a_time() -> None:
    at = await starts(10, 2)
    assert at[1] - at[0] > 0.099


async def test_at_a_slower_pace_nobody_goes_by_the_old_one() -> None:
    pacer, loop = Pacer(100), asyncio.get_running_loop()
    at: list[float] = []

    async def one() -> None:
        await pacer.turn()
        at.append(loop.time())

    waiting = [asyncio.create_task(one()) for _ in range(6)]
    while len(at) < 3:
        await asyncio.sleep(0.001)
    changed = loop.time()
    await pacer.change(20)
    await asyncio.gather(*waiting)
    assert at[3] - changed > 0.049
    assert min(later - earlier for earlier, later in pairwise(at[3:])) > 0.049


async def test_unlimited_lets_all_through() -> None:
    at = await starts(None, 100)
    assert at[-1] - at[0] < 0.5


async def test_a_cool_down_is_waited_for() -> None:
    cool_down = CoolDown(now)
    begun = now()
    await cool_down.start(timedelta(seconds=0.1))
    await asyncio.gather(*(cool_down.over() for _ in range(3)))
    assert now() - begun >= timedelta(seconds=0.1)
    assert cool_down.until is None


async def test_a_cool_down_that_grows_meanwhile_is_waited_for_to_its_end() -> None:
    cool_down = CoolDown(now)
    begun = now()
    await cool_down.start(timedelta(seconds=0.05))
    waiting = asyncio.create_task(cool_down.over())
    await asyncio.sleep(0.02)
    cool_down.learn(begun + timedelta(seconds=0.15))
    await waiting
    assert now() - begun >= timedelta(seconds=0.15)


async def test_a_cool_down_never_shrinks_and_only_growth_is_published() -> None:
    instant = now()
    published: list[datetime] = []

    async def publish(until: datetime) -> None:
        published.append(until)

    cool_down = CoolDown(lambda: instant, publish)
    for seconds in (5, 3, 5, 7):
        await cool_down.start(timedelta(seconds=seconds))
    cool_down.learn(instant + timedelta(seconds=6))
    cool_down.learn(None)
    assert published == [instant + timedelta(seconds=seconds) for seconds in (5, 7)]
    assert cool_down.until == instant + timedelta(seconds=7)


async def test_a_past_cool_down_costs_nothing() -> None:
    cool_down = CoolDown(now)
    cool_down.learn(now() - timedelta(days=1))
    assert cool_down.until is None  # else whoever has its turn just then would lose it
    await asyncio.wait_for(cool_down.over(), 0.5)
    assert cool_down.until is None
