"""The world that runs are killed in, and lakes of it that nobody disturbed."""

import json
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.crawling import generated
from tests.torture.victims import Place, place
from trawl.replica import ReplicaApp
from trawl.sources import load_source, parse_source

SEED = 7
RECORDS = 620  # as many as make two shards of the listed records and one of their children
ENDPOINTS = (
    *("item", "move", "pokemon-species", "pokemon-color", "pokemon", "location-area", "move-ailment"),
    *("evolution-chain", "machine", "pokemon-encounters"),
)


def pokeapi_place(lake: Path, day: int) -> AbstractContextManager[Place]:
    """The shipped source over a day of the generated world."""
    flags = [word for endpoint in ENDPOINTS for word in ("--endpoint", endpoint)]
    options = {"endpoints": ENDPOINTS}
    return place(
        lake, ReplicaApp(generated(RECORDS, seed=SEED, day=day)), load_source("pokeapi"), flags=flags, options=options
    )


# -- a family of seven generations: as many shards, one after the other ------------------------------------

GENERATIONS = "abcdefg"
FAMILY = "name: family\nbase_url: https://h\nendpoints:\n  a: {list: {path: a}, detail: {path: 'a/{key}'}}\n" + "".join(
    f"  {child}: {{parent: {parent}, detail: {{path: '{{parent.next}}'}}, contract: {{type: any}}}}\n"
    for parent, child in pairwise(GENERATIONS)
)


class Family:
    """Records whose children's paths only they tell. On day 1 some changed, some are gone, some came."""

    def __init__(self, day: int) -> None:
        keys = range(24) if day == 0 else range(3, 30)
        self.bodies: dict[str, Any] = {"a": [{"id": key} for key in keys]}
        for here, below in zip(GENERATIONS, [*GENERATIONS[1:], "z"], strict=True):
            for key in keys:
                self.bodies[f"{here}/{key}"] = {
                    "id": key,
                    "next": f"{below}/{key}",
                    "word": "new" if day and key % 5 == 0 else "old",
                }

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            body = self.bodies.get(scope["path"].removeprefix("/api/v2/"))
            headers = [(b"content-type", b"application/json")]
            await send({"type": "http.response.start", "status": 404 if body is None else 200, "headers": headers})
            await send({"type": "http.response.body", "body": json.dumps(body).encode()})


@pytest.fixture(scope="session")
def family_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("family") / "family.yaml"
    file.write_text(FAMILY)
    return file


def family_place(lake: Path, day: int) -> AbstractContextManager[Place]:
    more: dict[str, Any] = {"flags": ["--force"], "options": {"force": True}} if day else {}
    return place(lake, Family(day), parse_source(FAMILY, "family.yaml"), **more)


# -- what nobody disturbed ---------------------------------------------------------------------------------

Undisturbed = Callable[[int], Path]


def undisturbed(folder: Path, at: Callable[[Path, int], AbstractContextManager[Place]]) -> Undisturbed:
    """Lakes after day 0 and after days 0 and 1, each made when it is first wanted."""

    @cache
    def lake(day: int) -> Path:
        made = folder / f"day-{day}"
        if day:
            shutil.copytree(lake(day - 1), made)
        with at(made, day) as whole:
            assert whole.finish().status == "done"
        return made

    return lake


@pytest.fixture(scope="session")
def pokeapi_lakes(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    return undisturbed(tmp_path_factory.mktemp("pokeapi"), pokeapi_place)


@pytest.fixture(scope="session")
def family_lakes(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    return undisturbed(tmp_path_factory.mktemp("family"), family_place)
