"""`trawl plan`: what a run would do."""

from trawl.crawl import CrawlOptions, count_of, preview
from trawl.sources import get_crawler

from .common import EndpointOption, Flag, JsonOption, LakeOption, open_lake, out, print_json, run_async, table
from .progress import progress_for
from .run import rate_of


def plan(
    source: str,
    /,
    *,
    lake: LakeOption = None,
    base_url: str | None = None,
    endpoint: EndpointOption = (),
    rate: str | None = None,
    force: Flag = False,
    json_output: JsonOption = False,
) -> None:
    """Show what a refresh would fetch, and how long that would take. Requests token and lists; writes nothing.

    ```
    trawl plan pokeapi
    ```

    Parameters
    ----------
    source
        A registered source or a YAML file.
    base_url
        Takes the place of the source's own address.
    rate
        Requests per second, or `unlimited` (private hosts only).
    force
        As if everything were due.
    """
    crawler = get_crawler(source)
    options = CrawlOptions(base_url=base_url, endpoints=endpoint, rate=rate_of(rate), force=force)
    with progress_for(crawler.source_name, quiet=json_output) as progress:
        found = run_async(preview(crawler, open_lake(lake), options, progress=progress))
    if json_output:
        print_json(found.to_dict())
        return
    decisions = ["new", "stale", "missing", "retry", "fresh"]
    rows = [[name, *(counts.get(d, 0) for d in decisions)] for name, counts in found.endpoints.items() if counts]
    out.print(table(["endpoint", *decisions], rows))
    requests = count_of(found.requests, "request")
    if found.seconds is None:
        out.print(f"{requests}, at no limit")
    else:
        minutes, seconds = divmod(round(found.seconds), 60)
        out.print(f"{requests}: about {minutes} min {seconds} s at {found.rate:g}/s")
