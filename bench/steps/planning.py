"""Planning as the engine does it, stage by stage."""

import itertools
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from bench.steps import lakes
from trawl.lake import EndpointRule, Lake, Planner, Token

_DAY = timedelta(days=1)


def plan(lake: str, now: str, *, due: bool, records: int, rows_per_file: int) -> dict[str, Any]:
    """Plan a run over a lake of `bench.steps.lakes`. The seconds in all and by stage."""
    moment = datetime.fromisoformat(now)
    part = Lake(lake).source(lakes.SOURCE)
    rules = [EndpointRule(name, 0, due, True, _DAY, 6 * _DAY) for name in lakes.ENDPOINTS]
    listings = [lakes.listing(name, records, rows_per_file) for name in lakes.ENDPOINTS] if due else []
    seen = moment - (timedelta(minutes=10) if due else 30 * _DAY)
    token = Token("v2" if due else "v1", seen, _DAY, 0.01)
    marks = [("", time.perf_counter())]

    def mark(name: str) -> None:
        marks.append((name, time.perf_counter()))

    planner = Planner(part.log.snapshot(), moment)
    planner.read()
    mark("the latest rows")
    counts = planner.decide(rules, listings, token=token, force=False)
    mark("deciding")
    number = sum(count.due for count in counts.values())
    if number != (records if due else 0):
        raise RuntimeError(f"{number} of {records} records are due")
    result: dict[str, Any] = {}
    if due:
        planner.cut()
        shards = planner.shards()
        mark("cutting")
        path = Path(lake, lakes.SOURCE, "plans", "bench", "shards.arrow")
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            planner.write_shards(file)
        mark("storing the shards")
        middle = len(shards) // 2
        start = time.perf_counter()
        priors = part.runs.read_shard("bench", middle)
        result = {"read": time.perf_counter() - start, "shards": len(shards)}
        assert len(priors) == shards[middle][1]
    planner.close()
    stages = {name: at - before for (_, before), (name, at) in itertools.pairwise(marks)}
    return result | {"seconds": sum(stages.values()), "stages": stages}
