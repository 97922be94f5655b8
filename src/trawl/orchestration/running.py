"""One source of a flow run: the engine with its shards as tasks, and what is shown and told of it."""

import asyncio
import os
import time
from collections.abc import Awaitable
from functools import partial
from typing import Any
from uuid import UUID

import httpx
from prefect import get_client, get_run_logger
from prefect.artifacts import (
    acreate_image_artifact,
    acreate_markdown_artifact,
    acreate_progress_artifact,
    acreate_table_artifact,
    aupdate_progress_artifact,
)
from prefect.exceptions import ObjectNotFound, PrefectException
from prefect.runtime import flow_run
from prefect.utilities.urls import url_for

import trawl
from trawl.crawl import CrawlOptions, Report, ShardRunner, crawl
from trawl.lake import Lake
from trawl.lake.reading.history import changes
from trawl.model.config import SourceConfig
from trawl.model.names import slug_of
from trawl.sources import SourceCrawler

from . import artifacts, events
from .configured import configured_crawler
from .loops import on_own_loop
from .pods import PodShards
from .progress import FlowProgress
from .secrets import secret_loader
from .shards import Finished, Log, TaskShards

_SHOW = 5.0  # seconds between two looks of people at how far a run is
_EACH = 20  # changes of a kind that are shown
_TOLD = ("changed", "renamed", "missing", "gone", "revived", "created")


def open_lake() -> Lake:
    """The lake of this process: TRAWL_LAKE, else ./lake."""
    return trawl.open(os.environ.get("TRAWL_LAKE", "lake"))


async def run_source(name: str, options: CrawlOptions, pods: int) -> Report:
    """Crawl one source, with its shards as tasks or (`pods` > 1) as flow runs; then show and tell what came of it."""
    log = get_run_logger()
    crawler = await configured_crawler(name, log)
    lake = await asyncio.to_thread(open_lake)
    progress = FlowProgress(log)
    shards = _shards(crawler, lake, options, pods, log, _live(name, progress))
    log.info("%s of %s begins", options.mode, name)
    secret = await secret_loader(crawler)
    report = await on_own_loop(partial(crawl, crawler, lake, options, progress=progress, load_block=secret), shards)
    log.info(
        "%s of %s: %s after %s requests in %.1f s (%s new, %s changed)",
        options.mode, name, report.status, report.requests, report.duration_s, report.total("new"), report.total("changed"),
    )  # fmt: skip
    if options.mode == "discover":
        due = events.emit_due(report)
        log.info("%s records of %s are due%s", f"{due:,}", name, ": told as trawl.discovery.due" if due else "")
    events.emit_changes(report)
    await _show(report, lake, crawler.config_block, log)
    return report


def _shards(
    crawler: SourceCrawler, lake: Lake, options: CrawlOptions, pods: int, log: Log, finished: Finished
) -> ShardRunner:
    if pods > 1 and options.max_requests is not None:
        log.warning("max_requests is a budget of one process: the run stays in this one, whatever `pods` says")
        pods = 1
    here = TaskShards(crawler, log, finished)
    if pods == 1:
        return here
    parameters = {"endpoints": list(options.endpoints) or None, "rate": options.rate, "force": options.force}
    source = lake.source(crawler.source_name)
    parent = UUID(str(flow_run.parent_flow_run_id or flow_run.id))  # whose end takes the shards with it
    return PodShards(source, pods, parameters, parent, log, finished, here)


def _live(name: str, progress: FlowProgress) -> Finished:
    """How far the run is, as an artifact that finished shards move on: every few seconds, and at the end."""
    made: list[UUID] = []
    shown = float("-inf")

    async def show(said: str) -> None:
        if made:
            await aupdate_progress_artifact(made[0], progress.percent, description=said)
        else:
            made.append(
                await acreate_progress_artifact(progress.percent, key=f"progress-{slug_of(name)}", description=said)
            )

    async def finished() -> None:
        nonlocal shown
        now = time.monotonic()
        if now - shown >= _SHOW or progress.done >= progress.total:
            shown = now
            await _quietly(show(f"{progress.done:,} of {progress.total:,} records of {name}"))

    return finished


async def _quietly(work: Awaitable[Any]) -> None:
    """What is only shown never ends a run."""
    try:
        await work
    except (httpx.HTTPError, PrefectException) as error:
        get_run_logger().warning("an artifact could not be written: %s", error)


async def _show(report: Report, lake: Lake, source: SourceConfig, log: Log) -> None:
    slug, mode = slug_of(report.source), report.mode
    said = artifacts.described(mode, report.source, report.finished_at)
    decide = await _decision_page(slug) if report.held else None
    await _quietly(acreate_markdown_artifact(artifacts.summary(report, decide), key=f"{mode}-{slug}", description=said))
    rows = artifacts.endpoint_rows(report)
    await _quietly(acreate_table_artifact(rows, key=f"endpoints-{slug}", description=said))
    if any(report.total(name) for name in ("new", "changed", "missing", "gone", "revived")) and mode == "refresh":
        table = await asyncio.to_thread(_changes, report, lake, source)
        await _quietly(acreate_markdown_artifact(table, key=f"changes-{slug}", description=said))
    manifests = await asyncio.to_thread(lake.source(report.source).runs.manifests, newest=artifacts.RUNS_SHOWN)
    picture = artifacts.picture(manifests)
    await _quietly(acreate_image_artifact(picture, key=f"runs-{slug}", description=f"The last runs of {report.source}"))
    log.info("artifacts: %s-%s, endpoints-%s, changes-%s, runs-%s", mode, slug, slug, slug, slug)


def _changes(report: Report, lake: Lake, source: SourceConfig) -> str:
    found = changes(lake, report.source, run=report.run_id, kinds=_TOLD, each=_EACH)
    return artifacts.change_table(found.rows(), source)


async def _decision_page(slug: str) -> str | None:
    """Where the UI lets people decide on what is held."""
    try:
        async with get_client() as client:
            deployment = await client.read_deployment_by_name(f"decide/decide-{slug}")
    except (ObjectNotFound, PrefectException, httpx.HTTPError):
        return None
    return url_for("deployment", obj_id=deployment.id)
