"""Prefect's features in one flow, on a handful of Pokémon: the tour that docs/tutorial.md walks through.

    python examples/showcase.py                                # offline, against a replica
    python examples/showcase.py --pokemon eevee --max 5
    python examples/showcase.py --interactive                  # waits for you: see examples/interact.py
    python examples/showcase.py --live                         # PokeAPI itself, at its own pace

It asks for at most 25 records. A whole API is `trawl run`'s, or the deployment `refresh-pokeapi`.
"""

import asyncio
import os
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any, Literal

import httpx
from common import api, arguments
from essentials import aquery_flow_runs
from pokemon import artifact_key, evolutions, report, row_of, sprite_of, types_of
from prefect import Task, flow, get_run_logger, pause_flow_run, task, unmapped
from prefect.artifacts import (
    acreate_image_artifact,
    acreate_link_artifact,
    acreate_markdown_artifact,
    acreate_progress_artifact,
    acreate_table_artifact,
    aupdate_progress_artifact,
)
from prefect.blocks.notifications import SlackWebhook
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import Flow, FlowRun, State
from prefect.events import emit_event
from prefect.futures import PrefectFuture, as_completed
from prefect.input import RunInput, receive_input
from prefect.logging.loggers import flow_run_logger
from prefect.runtime import flow_run
from prefect.states import Completed
from prefect.task_runners import ThreadPoolTaskRunner
from prefect.transactions import Transaction, atransaction
from prefect.variables import Variable
from prefect_aws import S3Bucket
from pydantic import Field, StringConstraints

import trawl
from trawl.orchestration.configured import configured_crawler
from trawl.orchestration.tasks import (
    MOST,
    discover_all_item_ids_for_source,
    fetch_and_save_item_details_for_source,
    lasting,
)
from trawl.orchestration.valve import Valve
from trawl.sources import SourceCrawler
from trawl.transport import base_url_of, http_client, is_private

GREETING = "pokeapi_showcase_greeting"
FASTER = "go_faster_please"
ALERTS = "showcase-alerts"  # a SlackWebhook block; without it failures are logged alone
VERSION = f"{trawl.__version__}+{os.environ.get('TRAWL_REVISION', 'unknown')}"


class ApprovalInput(RunInput):
    """What the run asks of a person: the UI makes a form of it."""

    action: Literal["approve", "skip"]
    reason: str = Field(default="", description="For those who read the run later.")


# -- hooks: called at a change of state; what they raise is logged, and does not change the run ----------------


def say_running(flow: Flow, run: FlowRun, state: State) -> None:
    """At the beginning, and again at each retry."""
    flow_run_logger(run, flow).info("%s runs", run.name)


def say_completed(flow: Flow, run: FlowRun, state: State) -> None:
    """At a good end."""
    flow_run_logger(run, flow).info("%s has come to its end: %s", run.name, state.message or state.name)


async def notify_failure(flow: Flow, run: FlowRun, state: State) -> None:
    """At a failure or a crash: tell people, if anybody has said where."""
    try:
        slack = await SlackWebhook.aload(ALERTS)
    except ValueError:
        flow_run_logger(run, flow).warning("nobody is told of this: there is no block slack-webhook/%s", ALERTS)
        return
    await slack.notify(f"{state.message}", subject=f"{run.name} is {state.name}")


def say_cancelled(flow: Flow, run: FlowRun, state: State) -> None:
    """When somebody has cancelled the run."""
    flow_run_logger(run, flow).warning("%s was cancelled; what is saved stays saved", run.name)


# -- tasks ----------------------------------------------------------------------------------------------------


@task(task_run_name="species.{name}", retries=2, retry_delay_seconds=2, cache_policy=NO_CACHE)
async def fetch_species(name: str, url: str, client: httpx.AsyncClient) -> dict[str, Any]:
    """A species by the address that the Pokémon names. The client moves it to where this process asks."""
    return (await client.get(url)).raise_for_status().json()


@task(
    task_run_name="evolution-chain",
    retries=2,
    retry_delay_seconds=2,
    # Named by what is asked, and where: a client in the inputs would never be the same twice.
    cache_key_fn=lambda _, given: f"evolution-chain/{given['client'].base_url.host}/{given['url']}".replace(":", ""),
    cache_expiration=timedelta(hours=6),
    result_serializer="json",
)
async def fetch_evolution_chain(url: str, client: httpx.AsyncClient) -> dict[str, Any]:
    """An evolution chain, with all of its branches; for six hours the one that was fetched before."""
    return (await client.get(url)).raise_for_status().json()


@task(task_run_name="row.{record[name]}", persist_result=False)
def describe(record: dict[str, Any], source_name: str) -> dict[str, Any]:
    """A row of the table, and an event that automations can wait for. No request: so it may be mapped to threads."""
    name = record["name"]
    emit_event(
        "showcase.pokemon.processed",
        resource={"prefect.resource.id": f"{source_name}.pokemon.{name}", "prefect.resource.name": name},
        payload={"id": record["id"], "name": name, "types": types_of(record)},
    )
    return row_of(record)


@task(task_run_name="artifacts.{name}", persist_result=False)
async def publish(name: str, markdown: str, sprite: str, url: str, rows: list[dict[str, Any]]) -> str:
    """The four artifacts of a spotlight. Returns the key of the report."""
    key = artifact_key("pokemon-spotlight-report", name)
    await acreate_markdown_artifact(markdown, key=key, description=f"The spotlight on {name}")
    await acreate_table_artifact(rows, key="pokemon-showcase-sample-table", description="What the showcase has seen")
    await acreate_link_artifact(url, link_text=name, key="spotlight-pokemon-api-link", description="Where it is")
    await acreate_image_artifact(sprite, key=artifact_key("pokemon-sprite", name), description=f"{name} by itself")
    return key


@publish.on_commit
def say_published(transaction: Transaction) -> None:
    """Once everything in the transaction has come to a good end."""
    print(f"published, as {transaction.get('name')} is complete")


@publish.on_rollback
def say_withdrawn(transaction: Transaction) -> None:
    """If anything after it in the transaction has failed."""
    print(f"the report on {transaction.get('name')} does not count: the run could not be completed")


# -- the flow -------------------------------------------------------------------------------------------------


@flow(
    name="Ultimate PokeAPI Prefect Showcase",
    description="Discovers a few Pokémon, fetches them, and puts one of them into the spotlight.",
    version=VERSION,
    flow_run_name="showcase.{pokemon_to_spotlight}",
    retries=1,
    retry_delay_seconds=30,
    timeout_seconds=3600,
    log_prints=True,
    persist_result=True,
    result_serializer="compressed/json",
    task_runner=ThreadPoolTaskRunner(max_workers=4),
    on_running=[say_running],
    on_completion=[say_completed],
    on_failure=[notify_failure],
    on_crashed=[notify_failure],
    on_cancellation=[say_cancelled],
)
async def showcase(
    source_name: str = "pokeapi",
    pokemon_to_spotlight: Annotated[
        str, StringConstraints(strip_whitespace=True, to_lower=True, pattern=r"^[A-Za-z]+(-[A-Za-z]+)*$")
    ] = "pikachu",
    max_pokemon_to_discover_in_showcase: Annotated[int, Field(ge=1, le=MOST)] = MOST,
    report_length: Literal["short", "full"] = "full",
    count_runs_since: date = date(2026, 1, 1),
    enable_interactive_pause: bool = False,
    force_detail_refresh: bool = False,
    minio_results_block_name: str | None = None,
) -> State[dict[str, Any]]:
    """Show what Prefect does, on a handful of Pokémon.

    Args:
        source_name: the source; its block and its limit are used where there are any.
        pokemon_to_spotlight: the name of a Pokémon: letters, and dashes between them.
        max_pokemon_to_discover_in_showcase: how many are looked at, from 1 to 25.
        report_length: how much the report says.
        count_runs_since: the report tells how many showcases have been completed since this day (UTC).
        enable_interactive_pause: ask a person before the records are fetched.
        force_detail_refresh: fetch records that are saved and fresh, too.
        minio_results_block_name: an S3Bucket block, such as minio-crawler-results, to keep results in.

    """
    log = get_run_logger()
    greeting = await Variable.aget(GREETING, default="Hello from the showcase")
    log.info("%s", greeting)
    crawler = await configured_crawler(source_name, log)  # with what its block says, where there is one
    discover, fetch, chain_task = await prepare(crawler, minio_results_block_name, force=force_detail_refresh)

    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(client_of(crawler))
        # One lease for the whole run. A lease for each request would cost more than the request.
        valve = await stack.enter_async_context(Valve(crawler.get_gcl_name(), log, processes=1, at_once=1))
        at_once = await stack.enter_async_context(valve.slots(4))

        spotlight = await fetch(crawler, "pokemon", pokemon_to_spotlight, client)
        ids = await discover(crawler, "pokemon", client, max_pokemon_to_discover_in_showcase)
        names = {item["key"]: item.get("label", item["key"]) for item in ids}
        if enable_interactive_pause:
            at_once = await ask_people(names, at_once)
        records, failed = await fetch_all(fetch, crawler, names, client, at_once)

        species = await fetch_species(spotlight["name"], spotlight["species"]["url"], client)
        chain = await chain_task(species["evolution_chain"]["url"], client)
        ways = [list(way) for way in evolutions(chain["chain"])]

    futures = describe.map(list(records.values()), unmapped(source_name))
    rows, undescribed = await asyncio.to_thread(collect, futures, list(records))
    failed |= undescribed

    notes = [await earlier_runs(count_runs_since), *(f"{name} is missing: {why}" for name, why in failed.items())]
    markdown = report(greeting, spotlight, map(tuple, ways), notes, full=report_length == "full")
    name = spotlight["name"]
    async with atransaction() as transaction:
        transaction.set("name", name)
        url = f"{crawler.config_block.base_url}/pokemon/{spotlight['id']}/"
        key = await publish(name, markdown, sprite_of(spotlight), url, rows)

    found = {
        "greeting": greeting,
        "spotlight": row_of(spotlight),
        "evolutions": ways,
        "processed": sorted(row["name"] for row in rows),
        "failed": failed,
        "at_once": at_once,
        "report": key,
    }
    # A mapped task that failed leaves its flow Completed: whoever reads the state must be told.
    if failed:
        said = f"{len(failed)} of {len(names)} Pokémon are missing: {', '.join(sorted(failed))}"
        return Completed(name="Incomplete", message=said, data=found)
    return Completed(message=f"{len(rows)} Pokémon, {name} in the spotlight", data=found)


async def prepare(crawler: SourceCrawler, block: str | None, *, force: bool) -> list[Task[..., Any]]:
    """The tasks as this run wants them: how long results last, where they lie, whether they are asked anew."""
    tasks = [
        lasting(discover_all_item_ids_for_source, crawler, "pokemon", force=force),
        lasting(fetch_and_save_item_details_for_source, crawler, "pokemon", force=force).with_options(
            name="fetch-pokemon"
        ),
        fetch_evolution_chain.with_options(refresh_cache=force),
    ]
    if block is None:
        return tasks
    bucket = await S3Bucket.aload(block)
    return [each.with_options(result_storage=bucket) for each in tasks]


def client_of(crawler: SourceCrawler) -> httpx.AsyncClient:
    """One client for the whole run: its requests keep the source's pace together, and share connections."""
    address = base_url_of(crawler.config_block, None)
    return http_client(crawler.config_block, rate="unlimited" if is_private(address) else None)


async def ask_people(names: dict[str, str], at_once: int) -> int:
    """Ask for an approval, then listen for a wish; how many records may be fetched at once.

    Without an answer within ten minutes the run fails: what is paused cannot go on by itself.
    """
    form = ApprovalInput.with_initial_data(
        description=f"Fetch {len(names)} Pokémon, one after the other?", action="approve", reason="they look friendly"
    )
    answer = await pause_flow_run(wait_for_input=form, timeout=600)
    print(f"{answer.action}: {answer.reason}")
    if answer.action == "skip":
        names.clear()
        return 1
    print(f"one at a time, unless somebody sends {FASTER} within 15 seconds")
    async for wish in receive_input(str, timeout=15, poll_interval=3):
        if wish == FASTER:
            print(f"{FASTER}: {at_once} at a time from now on")
            return at_once
        print(f"{wish!r} is no wish that I know")
    return 1


async def fetch_all(
    fetch: Task[..., Any], crawler: SourceCrawler, names: dict[str, str], client: httpx.AsyncClient, at_once: int
) -> tuple[dict[str, Any], dict[str, str]]:
    """The records by name, and for each that could not be fetched the reason."""
    progress = await acreate_progress_artifact(0.0, key="showcase-progress", description="Pokémon fetched, in per cent")
    places, shown, states = asyncio.Semaphore(at_once), asyncio.Lock(), {}

    async def one(key: str, name: str) -> None:
        async with places:
            states[name] = await fetch(crawler, "pokemon", key, client, return_state=True)
        async with shown:  # so that the last word is the last one
            await aupdate_progress_artifact(progress, 100.0 * len(states) / len(names))

    # Gathered, not mapped: mapped async tasks have an event loop each, and the client belongs to this one.
    await asyncio.gather(*(one(key, name) for key, name in names.items()))
    records = {name: await states[name].aresult() for name in names.values() if states[name].is_completed()}
    failed = {name: str(states[name].message) for name in names.values() if name not in records}
    return records, failed


def collect(
    futures: Sequence[PrefectFuture[dict[str, Any]]], names: Sequence[str]
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Rows in the order of their ids, and what failed. In a thread of its own: a future's `result` blocks."""
    name_of = {future.task_run_id: name for future, name in zip(futures, names, strict=True)}
    rows, failed = [], {}
    for future in as_completed(list(futures)):
        found = future.result(timeout=60, raise_on_failure=False)
        if isinstance(found, dict):
            rows.append(found)
        else:
            failed[name_of[future.task_run_id]] = str(found)
    return sorted(rows, key=lambda row: row["id"]), failed


async def earlier_runs(since: date) -> str:
    """How often the showcase has been completed before."""
    begin = datetime.combine(since, time(), UTC)
    runs = await aquery_flow_runs("showcase.", state_names=["Completed", "Incomplete"], start_time_min=begin)
    return f"{len([run for run in runs if run.id != flow_run.id])} showcases were completed since {since}"


def main() -> None:
    """From the command line."""
    parser = arguments(__doc__)
    parser.add_argument("--pokemon", default="pikachu", help="which one is put into the spotlight")
    parser.add_argument("--max", type=int, default=MOST, help=f"how many are looked at (1 to {MOST})")
    parser.add_argument("--interactive", action="store_true", help="ask before the records are fetched")
    parser.add_argument("--force", action="store_true", help="fetch what is saved and fresh, too")
    given = parser.parse_args()
    with api(live=given.live):
        asyncio.run(
            showcase(
                pokemon_to_spotlight=given.pokemon,
                max_pokemon_to_discover_in_showcase=given.max,
                enable_interactive_pause=given.interactive,
                force_detail_refresh=given.force,
            )
        )


if __name__ == "__main__":
    main()
