"""A source's list and records as two tasks of Prefect's, for flows that look at a few of them, such as the showcase.

They are no crawl. A whole source is the engine's, whose unit of work is a shard: a task per record would cost the server
more than the record costs the API.

    crawler = await configured_crawler("pokeapi")
    fetch = lasting(fetch_and_save_item_details_for_source, crawler, "pokemon")
    async with http_client(crawler.config_block) as client:
        record = await fetch(crawler, "pokemon", "25", client)

Both take the client, so that all of a flow's requests keep one pace. Call them, together with `asyncio.gather`: what is
submitted or mapped runs in an event loop of its own, where a client of another loop fails.
"""

import hashlib
import json
from collections.abc import Callable
from contextlib import aclosing
from datetime import timedelta
from typing import Any, ParamSpec, TypeVar

import httpx
from prefect import Task, task
from prefect.client.schemas.objects import State, TaskRun
from prefect.context import TaskRunContext
from prefect.tasks import exponential_backoff

from trawl.model.documents import read_json
from trawl.model.errors import ConfigurationError, Retriable, Skippable
from trawl.model.keys import scalar
from trawl.sources import Item, SourceCrawler
from trawl.sources.configured import came
from trawl.transport import base_url_of
from trawl.transport.answers import response_of

__all__ = ["MOST", "discover_all_item_ids_for_source", "fetch_and_save_item_details_for_source", "lasting"]

_P = ParamSpec("_P")
_R = TypeVar("_R")

MOST = 25
"""Records that a flow may ask for with these tasks."""


async def _may_pass(_task: Any, _run: TaskRun, state: State[Any]) -> bool:
    """Only what the network or the API failed in is tried again: a 404 stays one."""
    return isinstance(await state.aresult(raise_on_failure=False), Retriable)


def _ids_key(_context: TaskRunContext, given: dict[str, Any]) -> str:
    return _key(given["crawler"], f"{given['endpoint']}/first-{given['max_items']}.json")


def _record_key(_context: TaskRunContext, given: dict[str, Any]) -> str:
    crawler = given["crawler"]
    path = crawler.get_data_path_for_item(given["endpoint"], given["key"])
    return _key(crawler, path.removeprefix(f"{crawler.source_name}/"))


def _key(crawler: SourceCrawler, path: str) -> str:
    """Named by source, then by address: what a replica answered is not the API's."""
    address = hashlib.sha256(base_url_of(crawler.config_block, None).encode()).hexdigest()[:8]
    return f"{crawler.source_name}/{address}/{path}"


def _asking(
    what: str, key: Callable[[TaskRunContext, dict[str, Any]], str]
) -> Callable[[Callable[_P, _R]], Task[_P, _R]]:
    """A task that asks the API once for each cache key, and again where the asking failed."""
    return task(
        task_run_name="{crawler.source_name}.{endpoint}." + what,
        retries=2,
        retry_delay_seconds=exponential_backoff(5),
        retry_jitter_factor=0.5,
        retry_condition_fn=_may_pass,
        cache_key_fn=key,
        result_serializer="json",
    )


@_asking("discover", _ids_key)
async def discover_all_item_ids_for_source(
    crawler: SourceCrawler, endpoint: str, client: httpx.AsyncClient, max_items: int = MOST
) -> list[dict[str, str]]:
    """The first `max_items` (1 to 25) of an endpoint's list, in the API's order: `key`, and `label` where there is one.

    Raises ConfigurationError for an unknown endpoint and for more than 25, Skippable where the list was refused,
    TornListing where it contradicts itself, Retriable where the API failed in a way that passes.
    """
    if not 1 <= max_items <= MOST:
        raise ConfigurationError(
            f"max_items is {max_items}: a task asks for 1 to {MOST} records",
            remedy=f"run the deployment refresh-{crawler.source_name.replace('_', '-')}, which fetches all that is due",
        )
    label = _endpoint(crawler, endpoint).label
    found: list[dict[str, str]] = []
    async with aclosing(crawler.discover_item_ids(endpoint, client)) as batches:  # type: ignore[type-var]
        async for batch in batches:
            if not batch.items and isinstance(batch.response, httpx.Response) and batch.response.status_code != 200:
                raise Skippable(f"{crawler.source_name} {endpoint}: {came(await response_of(batch.response))}")
            for item in batch.items:
                told = scalar(item, label) if label else None
                key = crawler.get_item_unique_id_from_summary_data(endpoint, item)
                found.append({"key": key} | ({"label": told} if told else {}))
            if len(found) >= max_items:
                break
    return found[:max_items]


@_asking("{key}", _record_key)
async def fetch_and_save_item_details_for_source(
    crawler: SourceCrawler, endpoint: str, key: str, client: httpx.AsyncClient, label: str | None = None
) -> Any:
    """One record, as parsed JSON; saved as the task's result, at `<source>/<address>/<endpoint>/<key>.json`.

    The result storage (a folder, or a bucket that all pods share) is the copy: until it expires, any run takes the record
    from there, without a request. Kept for good, with their versions, records are in the lake.

    Raises Skippable where the API refuses the record, BrokenBody where the answer is no JSON, Retriable where the API
    failed in a way that passes.
    """
    _endpoint(crawler, endpoint)
    response = await response_of(await crawler.fetch_item_details(Item(endpoint, key, label), client))
    if response.status != 200:
        raise Skippable(f"{crawler.source_name} {endpoint} {key}: {came(response)}")
    return json.loads(read_json(response.body, response.headers.get("content-type", "")).text)


def lasting(of: Task[..., Any], crawler: SourceCrawler, endpoint: str, *, force: bool = False) -> Task[..., Any]:
    """The task with results that last as long as the source says that an endpoint's records are fresh.

    `force` asks anew, and keeps what came.
    """
    hours = crawler.get_refresh_interval_hours(endpoint)
    return of.with_options(cache_expiration=timedelta(hours=hours), refresh_cache=force)


def _endpoint(crawler: SourceCrawler, name: str) -> Any:
    known = crawler.config_block.endpoints
    if name not in known:
        raise ConfigurationError(
            f"{crawler.source_name} has no endpoint {name!r}", remedy=f"known are: {', '.join(sorted(known))}"
        )
    return known[name]
