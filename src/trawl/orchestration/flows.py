"""The flows. They call the engine, which runs in the flow's own pod, and show what it did."""

import asyncio
import os
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from prefect import flow, get_run_logger
from prefect.artifacts import acreate_markdown_artifact
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

import trawl
from trawl.crawl import CrawlOptions, Report, crawl
from trawl.model.errors import TrawlError
from trawl.model.names import slug_of
from trawl.sources import create_crawler, source_names

from .secrets import secret_loader

__all__ = ["discover", "refresh"]

Rate = float | Literal["unlimited"]


@flow
async def discover(
    sources: list[str] | None = None,
    endpoints: list[str] | None = None,
    rate: Rate | None = None,
) -> State[Any]:
    """Ask each source what there is and whether anything is due. No record is fetched.

    Args:
        sources: The sources to ask; empty means all.
        endpoints: Only these endpoints; empty means all that the source declares.
        rate: Requests per second, or "unlimited" for a private host; empty means as the source says.

    """
    return await run_each(sources, CrawlOptions(mode="discover", endpoints=tuple(endpoints or ()), rate=rate))


@flow
async def refresh(
    sources: list[str] | None = None,
    endpoints: list[str] | None = None,
    rate: Rate | None = None,
    force: bool = False,
    max_requests: int | None = None,
) -> State[Any]:
    """Fetch from each source what is new, stale or to be tried again.

    Args:
        sources: The sources to fetch from; empty means all.
        endpoints: Only these endpoints; empty means all that the source declares.
        rate: Requests per second, or "unlimited" for a private host; empty means as the source says.
        force: Take everything as due. Requests stay conditional: what has not changed is not sent again.
        max_requests: Stop after so many requests; the rest stays due.

    """
    options = CrawlOptions(
        mode="refresh",
        endpoints=tuple(endpoints or ()),
        rate=rate,
        force=force,
        max_requests=max_requests,
    )
    return await run_each(sources, options)


async def run_each(sources: Sequence[str] | None, options: CrawlOptions) -> State[Any]:
    """Crawl one source after the other; one that fails does not stop the others."""
    log = get_run_logger()
    reports: dict[str, Report] = {}
    failed: dict[str, str] = {}
    for name in sources or source_names():
        try:
            reports[name] = await run_one(name, options)
        except TrawlError as error:
            log.error("%s: %s", name, error)  # noqa: TRY400  the message says it all
            failed[name] = error.message
        else:
            if not reports[name].ok:
                failed[name] = reports[name].note or reports[name].status
    said = "; ".join(
        [f"{name}: {report.status}" for name, report in reports.items()]
        + [f"{name}: {reason}" for name, reason in failed.items()]
    )
    data = {name: report.to_dict() for name, report in reports.items()}
    if failed:
        return Failed(message=said, data=data)
    if any(report.held for report in reports.values()):
        return Completed(name="Held", message=said, data=data)
    return Completed(message=said, data=data)


async def run_one(name: str, options: CrawlOptions) -> Report:
    """Crawl one source and show its report."""
    log = get_run_logger()
    crawler = await create_crawler(name)
    lake = await asyncio.to_thread(trawl.open, os.environ.get("TRAWL_LAKE", "lake"))
    log.info("%s of %s begins", options.mode, name)
    report = await crawl(crawler, lake, options, load_block=await secret_loader(crawler))
    log.info(
        "%s of %s: %s after %s requests in %.1f s (%s new, %s changed)",
        options.mode,
        name,
        report.status,
        report.requests,
        report.duration_s,
        report.total("new"),
        report.total("changed"),
    )
    await acreate_markdown_artifact(
        key=f"{options.mode}-{slug_of(name)}",
        markdown=as_markdown(report.to_dict()),
        description=f"What the last {options.mode} of {name} did",
    )
    return report


def as_markdown(report: Mapping[str, Any]) -> str:
    """The report as a table of endpoints under one line of totals."""
    columns = ("listed", "new", "changed", "missing", "gone", "quarantined", "failed")
    totals = f"{report['requests']} requests, {report['not_modified']} not modified, {report['bytes']} bytes"
    return "\n".join(
        [
            f"**{report['source']}: {report['status']}** ({totals}, {report['duration_s']} s)",
            "",
            f"Run `{report['run_id']}`",
            "",
            "| endpoint | " + " | ".join(columns) + " |",
            "|---" + "|---:" * len(columns) + "|",
            *(
                f"| {name} | " + " | ".join(str(counts[column]) for column in columns) + " |"
                for name, counts in sorted(report["endpoints"].items())
            ),
        ]
    )
