"""`trawl plan`: what a run would do."""

import json
from typing import Annotated

from cyclopts import Parameter

from trawl.crawl import CrawlOptions, preview
from trawl.sources import get_crawler

from .common import LakeOption, open_lake, out, run_async, table
from .progress import progress_for
from .run import rate_of


def plan(
    source: str,
    *,
    lake: LakeOption = None,
    base_url: str | None = None,
    endpoint: Annotated[tuple[str, ...], Parameter(negative=())] = (),
    rate: str | None = None,
    force: Annotated[bool, Parameter(negative=())] = False,
    json_output: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> None:
    """Say what a refresh would fetch, and how long that would take. Asks the token and the lists; writes nothing.

    ```
    trawl plan pokeapi
    ```

    Parameters
    ----------
    source
        A registered source or a YAML file.
    base_url
        Takes the place of the source's own address.
    endpoint
        Only this endpoint; repeatable.
    rate
        Requests per second, or `unlimited` (private hosts only).
    force
        As if everything were due.
    json_output
        Print one JSON object.
    """
    crawler = get_crawler(source)
    options = CrawlOptions(base_url=base_url, endpoints=endpoint, rate=rate_of(rate), force=force)
    with progress_for(crawler.source_name, quiet=json_output) as progress:
        found = run_async(preview(crawler, open_lake(lake), options, progress=progress))
    if json_output:
        print(json.dumps(found.to_dict()))
        return
    decisions = ["new", "stale", "missing", "retry", "fresh"]
    rows = [[name, *(counts.get(d, 0) for d in decisions)] for name, counts in found.endpoints.items() if counts]
    out.print(table(["endpoint", *decisions], rows))
    if found.seconds is None:
        out.print(f"{found.requests:,} requests, at no limit")
    else:
        minutes, seconds = divmod(round(found.seconds), 60)
        out.print(f"{found.requests:,} requests: about {minutes} min {seconds} s at {found.rate:g}/s")
