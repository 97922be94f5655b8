"""`trawl run`: crawl a source."""

import sys
from dataclasses import fields
from typing import Annotated, Literal

from cyclopts import Parameter

from trawl.crawl import CrawlOptions, EndpointReport, Report, count_of, crawl
from trawl.model.errors import ConfigurationError
from trawl.sources import get_crawler

from .common import (
    EndpointOption,
    Flag,
    JsonOption,
    LakeOption,
    Names,
    duration,
    open_lake,
    out,
    print_json,
    run_async,
    table,
)
from .progress import progress_for
from .text import one_line, verbatim


def run(
    source: str,
    /,
    *,
    lake: LakeOption = None,
    base_url: str | None = None,
    mode: Literal["discover", "refresh"] = "refresh",
    endpoint: EndpointOption = (),
    rate: str | None = None,
    max_requests: int | None = None,
    force: Flag = False,
    cache: Annotated[bool, Parameter(name="--cache", negative="--no-cache", show_default=False)] = True,
    accept: Names = (),
    reject: Names = (),
    wait: str | None = None,
    allow_rollback: Flag = False,
    json_output: JsonOption = False,
) -> int:
    """Crawl a source into the lake: list it, fetch what is due, commit once.

    If a run was killed, the next one continues it. Ctrl-C is safe at any time.

    ```
    trawl run pokeapi --endpoint stat --endpoint type
    trawl run ./my-api.yaml --lake s3://bucket/lake --max-requests 500
    ```

    Parameters
    ----------
    source
        A registered source (see `trawl sources`) or a YAML file.
    base_url
        Takes the place of the source's own address (also: TRAWL_SOURCE_POKEAPI_BASE_URL and the like).
    mode
        `refresh` lists and fetches what is due; `discover` only asks what there is.
    rate
        Requests per second, or `unlimited` (private hosts only).
    max_requests
        Stop asking after so many requests; what is left stays due.
    force
        Everything is due, still asked conditionally.
    cache
        With `--no-cache` no validators are sent: every document is received anew.
    accept
        Let through what a guard held of this endpoint, or take its guards away for this run; repeatable.
    reject
        Drop what a guard held of this endpoint; repeatable.
    wait
        Wait so long for another run of the source (10m); without it a second run is refused.
    allow_rollback
        Believe an older deploy than the lake holds.
    """
    crawler = get_crawler(source)
    options = CrawlOptions(
        mode=mode,
        base_url=base_url,
        endpoints=endpoint,
        rate=rate_of(rate),
        max_requests=max_requests,
        force=force,
        no_cache=not cache,
        accept=accept,
        reject=reject,
        wait=None if wait is None else duration(wait, "--wait"),
        allow_rollback=allow_rollback,
    )
    with progress_for(crawler.source_name, quiet=json_output and not sys.stderr.isatty()) as progress:
        report = run_async(crawl(crawler, open_lake(lake), options, progress=progress))
    if json_output:
        print_json(report.to_dict())
    else:
        show(report)
    return 0 if report.ok else 1


def show(report: Report) -> None:
    """The report for people: endpoints with news, totals, what to do next."""
    columns = [
        field.name for field in fields(EndpointReport) if field.type is int and field.name not in {"due", "unread"}
    ]
    news = {
        name: counts
        for name, counts in report.endpoints.items()
        if counts.notes or counts.held or any(getattr(counts, c) for c in columns if c not in {"listed", "unchanged"})
    }
    rows = [
        [name, *(getattr(counts, column) for column in columns), "; ".join(map(one_line, counts.notes))]
        for name, counts in news.items()
    ]
    if rows:
        total = ["total", *(report.total(column) for column in columns), ""]
        shown = [column for column in columns if total[1 + columns.index(column)] or column == "listed"]
        keep = [
            0,
            *(1 + columns.index(column) for column in shown),
            *([len(columns) + 1] if any(r[-1] for r in rows) else []),
        ]
        names = ["endpoint", *columns, "notes"]
        out.print(table([names[i] for i in keep], [[row[i] for i in keep] for row in [*rows, total]]))
    out.print(
        f"[bold]{report.status}[/] in {report.duration_s:.1f} s: {count_of(report.requests, 'request')}, "
        f"{report.not_modified:,} not modified, {report.bytes / 1e6:,.1f} MB, {report.retries:,} retries "
        f"[dim](run {report.run_id})[/]"
    )
    if quarantined := report.total("quarantined"):
        out.print(f"quarantined: {count_of(quarantined, 'record')} (trawl quarantine list {report.source})")
    if report.note:
        out.print(f"note: {verbatim(one_line(report.note))}")
    for name, runs in report.unread.items():
        since = (
            "the lake has nothing of it" if report.endpoints[name].never_read else f"{count_of(runs, 'run')} in a row"
        )
        out.print(f"[red]not read:[/] the list of {name} ({since}); the previous listing stays in effect")
    if report.held:
        flags = " ".join(f"--accept {name}" for name in report.held)
        out.print(
            f"[yellow]held:[/] {', '.join(report.held)}. Check them, then: trawl run {report.source} {flags} (or --reject)"
        )


def rate_of(text: str | None) -> float | Literal["unlimited"] | None:
    """`--rate`: a number of requests per second, or the word."""
    if text is None:
        return None
    if text == "unlimited":
        return "unlimited"
    try:
        return float(text)
    except ValueError:
        raise ConfigurationError(
            f"--rate {text!r} is not a valid rate", remedy="give requests per second, or 'unlimited'"
        ) from None
