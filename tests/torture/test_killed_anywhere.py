"""SIGKILL at every boundary between two steps and at random moments, from outside. Nothing is lost, nothing appears twice."""

import json
import random
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from tests.crawling import ask
from tests.torture.conftest import Undisturbed, family_place, pokeapi_place
from tests.torture.victims import Place, difference, holdings, kill, known_holdings, known_log_rows, log_rows, until
from trawl.crawl import maintain
from trawl.lake import Lake
from trawl.replica import ENCOUNTERS

pytestmark = pytest.mark.xdist_group("killed anywhere")  # the last law counts what all the others did
SEED = 20_261_125
Happened = Callable[[], bool]
Moment = Callable[[Place], Happened]  # looks at the place as it is before, then tells when it is time


# -- the moments, seen in the lake's folder or at the API --------------------------------------------------


def found(pattern: str, number: int = 1) -> Moment:
    """So many new files of this form."""

    def moment(place: Place) -> Happened:
        before = set(place.folder.glob(pattern))
        return lambda: len(set(place.folder.glob(pattern)) - before) >= number

    return moment


def lease_taken(place: Place) -> Happened:
    file = place.folder / "lease.json"
    before = file.read_bytes() if file.exists() else None
    return lambda: file.exists() and file.read_bytes() != before


def lease_released(place: Place) -> Happened:
    taken, file = lease_taken(place), place.folder / "lease.json"

    def happened() -> bool:
        if not taken():
            return False
        lease = json.loads(file.read_bytes())
        return lease["expires_at"] == lease["taken_at"]

    return happened


def committed(place: Place) -> Happened:
    entries = place.folder / "log/_delta_log"
    before = len(list(entries.glob("*.json")))
    return lambda: len(list(entries.glob("*.json"))) > max(before, 1)


def plan_dropped(place: Place) -> Happened:
    done = committed(place)
    return lambda: done() and not list(place.folder.glob("plans/*/plan.json"))


def asked(number: int, delay: float = 0.0) -> Moment:
    """The n-th request, unanswered (nor is any other); or so many seconds after it was answered."""

    def moment(place: Place) -> Happened:
        arrived, over = threading.Event(), threading.Event()
        at: list[float] = []

        def on_request(n: int, _: str) -> None:
            if n == number:
                at.append(time.monotonic())
                arrived.set()
                if not delay:
                    over.wait(10)

        def happened() -> bool:
            if not arrived.is_set() or time.monotonic() < at[0] + delay:
                return False
            threading.Timer(0.05, over.set).start()
            return True

        place.gate.on_request = on_request
        return happened

    return moment


# -- the cases ---------------------------------------------------------------------------------------------


@dataclass
class Case:
    """A world's day, how its runs die one after the other, and how it came out."""

    name: str
    world: str
    day: int
    moments: list[Moment]
    command: str = "run"
    by_chance: bool = False  # the run may be over before its moment comes
    died: list[str] = field(default_factory=list)


def _cases() -> Iterator[Case]:
    steps: dict[str, Moment] = {
        "lease taken": lease_taken,
        "log made": found("log/_delta_log/*.json"),
        "token asked": asked(1),
        "first list asked": asked(2),
        "lists half asked": asked(6),
        "last list asked": asked(10),
        "shards stored": found("plans/*/shards.arrow"),
        "plan stored": found("plans/*/plan.json"),
        "first record asked": asked(11),
        "files of shard 0": found("log/kind=*/*/*-000000-*.parquet"),
        "files of shard 1": found("log/kind=*/*/*-000001-*.parquet"),
        "files of shard 2": found("log/kind=*/*/*-000002-*.parquet"),
        "outcome of a shard": found("plans/*/00000*.json"),
        "outcomes of two shards": found("plans/*/00000*.json", 2),
        "outcomes of all shards": found("plans/*/00000*.json", 3),
        "run's row written": found("log/kind=run/*/*.parquet"),
        "manifest written": found("runs/*.json"),
        "committed": committed,
        "plan dropped": plan_dropped,
        "lease released": lease_released,
    }
    for name, moment in steps.items():
        yield Case(f"first day, {name}", "pokeapi", 0, [moment])
        if name not in {"log made", "first list asked", "last list asked", "files of shard 1", "run's row written"}:
            yield Case(f"second day, {name}", "pokeapi", 1, [moment])
    chance = random.Random(SEED)
    for day in (0, 1):
        for number in range(4):
            moment = asked(chance.randrange(1, 630), chance.uniform(0.001, 0.3))
            yield Case(f"day {day}, random moment {number}", "pokeapi", day, [moment], by_chance=True)
    again = [asked(40), asked(40), asked(40)]
    yield Case("resumed and killed again and again", "family", 0, [*again, committed])
    yield Case("second day, resumed and killed again and again", "family", 1, [*again, found("runs/*.json")])
    yield Case(
        "resumed, killed while the plan is read", "family", 0, [found("plans/*/000003.json"), lease_taken, asked(1)]
    )
    for name, moment in {
        "lease taken": lease_taken,
        "one partition folded": found("log/kind=*/*/*-fold-*.parquet"),
        "some partitions folded": found("log/kind=*/*/*-fold-*.parquet", 8),
        "committed": committed,
        "lease released": lease_released,
    }.items():
        yield Case(f"maintain, {name}", "pokeapi", 1, [moment], command="maintain")


CASES = {case.name: case for case in _cases()}
WORLDS: dict[str, Callable[[Path, int], AbstractContextManager[Place]]] = {
    "pokeapi": pokeapi_place,
    "family": family_place,
}


def path_of(world: str, endpoint: str, key: str) -> str:
    return f"pokemon/{key}/{ENCOUNTERS.split('/')[1]}" if endpoint == "pokemon-encounters" else f"{endpoint}/{key}"


def torture(case: Case, lake: Path, whole: Undisturbed, name: str | Path) -> None:
    """Let the runs die, look at what they leave, and finish."""
    before = whole(case.day - 1) if case.day else None
    after = whole(case.day)
    if case.command == "maintain":
        before = after
    if before is not None:
        shutil.copytree(before, lake)
    source = case.world
    with WORLDS[case.world](lake, case.day) as place:
        allowed = [known_holdings(known, source) for known in (before, after) if known is not None]
        for moment in case.moments:
            happened = moment(place)
            process = place.process("maintain", source) if case.command == "maintain" else place.run(name)
            in_time = until(process, happened)
            assert in_time or (case.by_chance and process.returncode == 0), process.communicate()[1]
            said = kill(process)
            place.gate.forget()
            case.died.append(
                "killed" if process.returncode == -signal.SIGKILL else f"ended {process.returncode}: {said}"
            )
            if (place.folder / "log/_delta_log").exists():
                seen = holdings(lake, source)
                assert seen in allowed or not any(seen.values()), "a reader sees half a run"
        _finish(case, place, after)


def _finish(case: Case, place: Place, after: Path) -> None:
    source = case.world
    plans = [json.loads(file.read_bytes()) for file in place.folder.glob("plans/*/plan.json")]
    finished = {path_of(source, *record) for record in place.finished_shards()}
    snapshot = Lake(place.lake).source(source).log.snapshot()
    done = case.command == "maintain" or (snapshot is not None and snapshot.version == case.day + 1)
    if case.command == "maintain":
        maintain(Lake(place.lake), source)
    else:
        report = place.finish()
        again = finished & set(place.gate.asked)
        if done:
            assert source != "pokeapi" or place.gate.asked.total() == 1, "a run that is committed is repeated"
        else:
            assert not again, f"finished shards were fetched again: {sorted(again)[:5]}"
            assert not plans or report.run_id == plans[0]["run"], "an unfinished plan was not adopted"
            assert not difference(log_rows(place.lake, source), known_log_rows(after, source))
    assert holdings(place.lake, source) == known_holdings(after, source)
    assert not list(place.folder.glob("plans/*")), "something of a dead run's plan is left"
    assert Lake(place.lake).source(source).holder(datetime.now(UTC)) is None
    if source == "pokeapi":  # without a version token a run always has something to say
        statuses = [row["status"] for row in ask(place.lake, f"SELECT status FROM {source}.runs")]
        assert statuses.count("done") == case.day + 1


# -- the laws ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tortured(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    pokeapi_lakes: Undisturbed,
    family_lakes: Undisturbed,
    family_file: Path,
) -> Iterator[dict[str, Future[None]]]:
    """The chosen cases, two at a time: most of a case is a process of its own."""
    folder = tmp_path_factory.mktemp("tortured")
    chosen = [
        item.callspec.params["name"]
        for item in request.session.items
        if "tortured" in getattr(item, "fixturenames", ()) and hasattr(item, "callspec")
    ]
    for lakes in (pokeapi_lakes, family_lakes):
        lakes(1)
    names: dict[str, str | Path] = {"pokeapi": "pokeapi", "family": family_file}
    lakes = {"pokeapi": pokeapi_lakes, "family": family_lakes}
    with ThreadPoolExecutor(2) as pool:
        yield {
            name: pool.submit(
                partial(torture, CASES[name], folder / str(number), lakes[CASES[name].world], names[CASES[name].world])
            )
            for number, name in enumerate(chosen)
        }


@pytest.mark.parametrize("name", CASES)
def test_a_killed_run_leaves_the_lake_as_it_was_and_the_next_one_finishes_it(
    tortured: dict[str, Future[None]], name: str
) -> None:
    tortured[name].result()
    sys.stdout.write(f"seed {SEED}: {CASES[name].died}")


def test_fifty_died(tortured: dict[str, Future[None]]) -> None:
    if len(tortured) < len(CASES):
        pytest.skip("only some cases were chosen")
    for future in tortured.values():
        future.exception()
    assert sum(case.died.count("killed") for case in CASES.values()) >= 50
