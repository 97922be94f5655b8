"""One request, explained: what `trawl try` tells of a list or of a record. Nothing is written.

What a crawl would do is asked of the crawl's own functions; only the words are of this package.
"""

from functools import partial

from trawl.crawl.options import CrawlOptions, check_endpoints, resolve
from trawl.lake import HostBoard, Lake
from trawl.model.config import SourceConfig, host_of
from trawl.sources import SourceCrawler, as_crawler
from trawl.transport import Client, Clock, CoolDown, utc_now
from trawl.transport.auth import SecretLoader
from trawl.transport.hosts import base_url_and_origin

from .asking import Asker
from .facts import Probe
from .lists import explain_list
from .records import explain_record


async def probe(
    source: SourceConfig | SourceCrawler,
    endpoint: str,
    wanted: str | None,
    lake: Lake | None = None,
    options: CrawlOptions | None = None,
    *,
    clock: Clock = utc_now,
    load_block: SecretLoader | None = None,
) -> Probe:
    """Ask for an endpoint's list, or for one record by key or label, once.

    A second request is made only where the first needs it: a label that the lake does not know stands in the list alone,
    a child's address in its parent's record.
    """
    options = options or CrawlOptions()
    crawler = as_crawler(source)
    source = crawler.config_block
    check_endpoints(source, [endpoint], source.name)
    target = resolve(source, options)
    once = source.requests.model_copy(update={"attempts": 1})
    cool_down = CoolDown(clock)
    found = Probe(source.name, endpoint, wanted)
    if lake is not None and lake.store.exists:
        cool_down.learn(HostBoard(lake.store, host_of(target.base_url), clock).cool_down())
        if cool_down.until is not None and cool_down.until > clock():
            found.notes.append(f"the API asked for a pause until {cool_down.until:%H:%M:%S} UTC: waited for that")
    async with Client(
        source=source.model_copy(update={"requests": once}),
        base_url=target.base_url,
        clock=clock,
        cool_down=cool_down,
        requests_per_second=target.requests_per_second,
        connections=1,
        api_key=partial(crawler.get_api_key, load_block),
    ) as client:
        origin = base_url_and_origin(source, options.base_url)[1]
        work = Asker(found, crawler, client, f"base: {origin}; ")
        await (explain_list(work) if wanted is None else explain_record(work, wanted, lake))
    return found
