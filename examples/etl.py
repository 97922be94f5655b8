"""Extract, transform, load: a pipeline whose steps are tasks, and whose last step is safe to repeat.

    python examples/etl.py --to pokemon.sqlite

Teaches which step deserves retries (the one that asks others), which a cache (none here: the API's answers are cheap),
and how to load so that a second run changes nothing: one transaction that replaces what is there.
"""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
from common import api, arguments, client
from pokemon import row_of
from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE


# NO_CACHE: a client among a task's inputs can be no part of a cache's key.
@task(task_run_name="extract.{name}", retries=3, retry_delay_seconds=[1, 5, 20], cache_policy=NO_CACHE)
async def extract(name: str, http: httpx.AsyncClient) -> dict[str, Any]:
    """What the API says of one Pokémon."""
    return (await http.get(f"pokemon/{name}/")).raise_for_status().json()


@task
def transform(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows, in the order of their ids. What is wrong here is wrong again: no retries."""
    return sorted((row_of(record) for record in records), key=lambda row: row["id"])


@task
def load(rows: list[dict[str, Any]], to: Path) -> int:
    """All rows, or none: whoever reads the table never sees half of it."""
    with closing(sqlite3.connect(to)) as database, database:
        database.execute(
            "CREATE TABLE IF NOT EXISTS pokemon (id INTEGER PRIMARY KEY, name TEXT, types TEXT, height_m REAL, weight_kg REAL)"
        )
        database.executemany("REPLACE INTO pokemon VALUES (:id, :name, :types, :height_m, :weight_kg)", rows)
    return len(rows)


@flow(name="etl", flow_run_name="etl.{to.name}")
async def etl(names: list[str], to: Path) -> int:
    """Extract side by side, transform at once, load at once. How many rows were loaded."""
    async with client() as http:
        records = await asyncio.gather(*(extract(name, http) for name in names))
    loaded = load(transform(list(records)), to)
    get_run_logger().info("%s rows are in %s", loaded, to)
    return loaded


def main() -> None:
    """From the command line."""
    parser = arguments(__doc__)
    parser.add_argument("--to", type=Path, default=Path("pokemon.sqlite"), help="the database (pokemon.sqlite)")
    given = parser.parse_args()
    with api(live=given.live):
        asyncio.run(etl(["pichu", "pikachu", "raichu"], given.to))


if __name__ == "__main__":
    main()
