"""The flows. They call the engine and show what it did; what they decide is when, not how."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from typing import Annotated, Any, Literal

from prefect import Flow, flow, get_run_logger
from prefect.artifacts import acreate_markdown_artifact
from prefect.client.schemas.objects import FlowRun, State
from prefect.states import Completed, Failed
from pydantic import Field

from trawl.crawl import CrawlOptions, count_of, crawl_shards
from trawl.crawl import maintain as maintain_source
from trawl.model.errors import TrawlError
from trawl.model.names import slug_of
from trawl.sources import source_names

from .configured import configured_crawler
from .loops import on_own_loop
from .pods import cancel_pods
from .progress import FlowProgress
from .running import open_lake, run_source
from .secrets import secret_loader
from .shards import TaskShards

__all__ = ["crawl_shard", "decide", "discover", "maintain", "refresh"]

Rate = float | Literal["unlimited"]
Count = Annotated[int, Field(ge=1)]


async def cancel_children(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:  # noqa: ARG001
    """A run that ends before its pods takes them with it."""
    if number := await cancel_pods(flow_run.id):
        get_run_logger().info("%s cancelled: this run is %s", count_of(number, "pod"), state.name)


@flow
async def discover(
    sources: list[str] | None = None,
    endpoints: list[str] | None = None,
    rate: Rate | None = None,
) -> State[Any]:
    """List each source and find out whether anything is due. No record is fetched.

    If records are due, it emits the event `trawl.discovery.due`; an automation of `trawl setup` then starts `refresh`.

    Args:
        sources: The sources to list; empty means all.
        endpoints: Only these endpoints; empty means all that the source declares.
        rate: Requests per second, or "unlimited" for a private host; empty means the source's own rate.

    """
    return await _each(sources, mode="discover", endpoints=endpoints, rate=rate)


@flow(on_cancellation=[cancel_children], on_crashed=[cancel_children], on_failure=[cancel_children])
async def refresh(
    sources: list[str] | None = None,
    endpoints: list[str] | None = None,
    rate: Rate | None = None,
    force: bool = False,
    max_requests: Count | None = None,
    pods: Count = 1,
) -> State[Any]:
    """Fetch the records of each source that are new, stale or to be retried.

    Args:
        sources: The sources to fetch from; empty means all.
        endpoints: Only these endpoints; empty means all that the source declares.
        rate: Requests per second, or "unlimited" for a private host; empty means the source's own rate.
        force: Treat everything as due. Requests stay conditional: unchanged records are not sent again.
        max_requests: Stop after so many requests; the rest stays due. Keeps the run in one pod.
        pods: How many pods fetch shards at the same time; 1 means only this one. They share the rate.

    """
    return await _each(
        sources, mode="refresh", endpoints=endpoints, rate=rate, force=force, max_requests=max_requests, pods=pods
    )


@flow(name="crawl-source", flow_run_name="{mode}.{source}")
async def crawl_source(
    source: str,
    mode: Literal["discover", "refresh"],
    endpoints: list[str] | None = None,
    rate: Rate | None = None,
    force: bool = False,
    max_requests: Count | None = None,
    pods: Count = 1,
    accept: list[str] | None = None,
    reject: list[str] | None = None,
) -> State[Any]:
    """Crawl one source: the part of a `discover`, `refresh` or `decide` that concerns it."""
    options = CrawlOptions(
        mode=mode,
        endpoints=tuple(endpoints or ()),
        rate=rate,
        force=force,
        max_requests=max_requests,
        accept=tuple(accept or ()),
        reject=tuple(reject or ()),
    )
    try:
        report = await run_source(source, options, pods)
    except TrawlError as error:
        get_run_logger().error("%s: %s", source, error)
        return Failed(message=f"{source}: {error.message}")
    said, data = f"{source}: {report.note or report.status}", report.to_dict()
    if not report.ok:
        return Failed(message=said, data=data)
    if report.held:
        return Completed(name="Held", message=f"{source}: {', '.join(report.held)} held", data=data)
    return Completed(message=f"{source}: {report.status}", data=data)


@flow
async def maintain(sources: list[str] | None = None) -> State[Any]:
    """Compact each source's part of the lake and delete what is no longer needed. Sends no request to the API.

    Args:
        sources: The sources to maintain; empty means all that the lake holds.

    """
    log, lake = get_run_logger(), await asyncio.to_thread(open_lake)
    done: dict[str, dict[str, Any]] = {}
    failed: dict[str, str] = {}
    held = await asyncio.to_thread(lake.sources)
    for name in sources or held:
        try:
            found = await asyncio.to_thread(maintain_source, lake, name, say=log.info)
        except TrawlError as error:
            log.error("%s: %s", name, error)  # noqa: TRY400
            failed[name] = error.message
        else:
            done[name] = asdict(found)
            removed = sum(count["bytes"] for count in found.removed.values())
            said = (
                f"{found.files_before:,} files became {found.files_after:,}; {found.rows_folded:,} check rows folded; "
                f"{removed / 1e6:,.1f} MB deleted"
            )
            log.info("%s: %s", name, said)
            await acreate_markdown_artifact(f"**{name}**: {said}", key=f"maintain-{slug_of(name)}")
    message = "; ".join([*(f"{name}: maintained" for name in done), *(f"{n}: {why}" for n, why in failed.items())])
    if failed:
        return Failed(message=message, data=done)
    return Completed(message=message or "the lake is empty", data=done)


@flow
async def decide(source: str, endpoints: list[str], decision: Literal["accept", "reject"]) -> State[Any]:
    """Decide on changes that a guard held: commit them as they were fetched, or drop them.

    Args:
        source: The source whose changes are held.
        endpoints: The endpoints to decide on, as the run's summary names them.
        decision: `accept` commits what is held; `reject` drops it, and the previous records stay.

    """
    wanted: dict[str, Any] = {decision: endpoints}
    state: State[Any] = await crawl_source(source, "refresh", **wanted, return_state=True)
    return _as_child(state)


@flow(name="crawl-shard")
async def crawl_shard(
    source: str,
    run: str,
    shards: list[int],
    pods: Count = 1,
    endpoints: list[str] | None = None,
    rate: Rate | None = None,
    force: bool = False,
) -> State[Any]:
    """Fetch some shards of a run that `refresh` has planned and will commit. Started by `refresh`, not by hand.

    Args:
        source: The source that the run crawls.
        run: The run whose plan holds the shards.
        shards: The numbers of the shards.
        pods: How many pods share the run's rate.
        endpoints: As the run's.
        rate: As the run's.
        force: As the run's.

    """
    log = get_run_logger()
    options = CrawlOptions(mode="refresh", endpoints=tuple(endpoints or ()), rate=rate, force=force)
    progress = FlowProgress(log)
    try:
        crawler = await configured_crawler(source, log)
        lake = await asyncio.to_thread(open_lake)
        secret = await secret_loader(crawler)
        fetch = partial(
            crawl_shards, crawler, lake, options, run, shards, parts=pods, progress=progress, load_block=secret
        )
        outcomes = await on_own_loop(fetch, TaskShards(crawler, log, _nothing, processes=pods, at_once=1))
    except TrawlError as error:
        log.error("run %s: %s", run, error)  # noqa: TRY400
        return Failed(name=type(error).__name__, message=str(error))  # the parent acts by the name
    return Completed(message=f"{count_of(len(outcomes), 'shard')}, {count_of(progress.done, 'record')}")


async def _nothing() -> None:
    """The parent shows how far the run is."""


async def _each(sources: Sequence[str] | None, **parameters: Any) -> State[Any]:
    """Crawl one source after the other, each as a flow of its own; one that fails does not stop the others."""
    states: list[State[Any]] = [
        await crawl_source(name, **parameters, return_state=True) for name in sources or source_names()
    ]
    if len(states) == 1:
        return _as_child(states[0])
    message = "; ".join(str(state.message) for state in states)
    if not all(state.is_completed() for state in states):
        return Failed(message=message)
    return Completed(name="Held" if any(state.name == "Held" for state in states) else None, message=message)


def _as_child(state: State[Any]) -> State[Any]:
    """A state that says what a child's says."""
    if state.is_completed():
        return Completed(name=state.name, message=state.message)
    return Failed(message=state.message)
