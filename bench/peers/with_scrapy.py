"""The crawl by Scrapy: a spider that follows each list to its records, its items in a feed of JSON lines."""

import json
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import scrapy
from scrapy.crawler import AsyncCrawlerProcess
from scrapy.http import Request, TextResponse

ORIGIN = "https://pokeapi.co/api/v2"  # in every address that a body holds


class PokeAPI(scrapy.Spider):
    """From the lists to the records; a pokemon's encounters are a document of their own."""

    name = "pokeapi"

    def __init__(self, base_url: str, endpoints: list[str]) -> None:
        super().__init__()
        self.base_url, self.endpoints = base_url, endpoints

    async def start(self) -> AsyncIterator[Request]:
        for endpoint in self.endpoints:
            yield Request(f"{self.base_url}/{endpoint}/?limit=100000", cb_kwargs={"endpoint": endpoint})

    def parse(self, response: TextResponse, endpoint: str) -> Iterator[Request]:
        for entry in response.json()["results"]:
            yield self._follow(entry["url"], endpoint)

    def parse_record(self, response: TextResponse, endpoint: str) -> Iterator[Request | dict[str, Any]]:
        document = response.json()
        yield {"endpoint": endpoint, "url": response.url, "document": document}
        if endpoint == "pokemon":
            yield self._follow(document["location_area_encounters"], "pokemon-encounters")

    def _follow(self, url: str, endpoint: str) -> Request:
        here = self.base_url + url.removeprefix(ORIGIN)
        return Request(here, self.parse_record, cb_kwargs={"endpoint": endpoint})


def crawl(*, base_url: str, endpoints: list[str], connections: int, folder: str) -> dict[str, Any]:
    """Crawl into `folder`; how many documents came, and the feed that holds them."""
    feed = Path(folder, "items.jsonl")
    process = AsyncCrawlerProcess(
        {
            "CONCURRENT_REQUESTS": connections,
            "CONCURRENT_REQUESTS_PER_DOMAIN": connections,
            "DOWNLOAD_DELAY": 0,
            "ROBOTSTXT_OBEY": False,
            "AUTOTHROTTLE_ENABLED": False,
            "COOKIES_ENABLED": False,
            "TELNETCONSOLE_ENABLED": False,
            "LOG_LEVEL": "WARNING",
            "TWISTED_REACTOR": "twisted.internet.asyncioreactor.AsyncioSelectorReactor",
            "FEEDS": {feed: {"format": "jsonlines", "overwrite": True}},
        }
    )
    crawler = process.create_crawler(PokeAPI)
    process.crawl(crawler, base_url=base_url, endpoints=endpoints)
    process.start()
    return {
        "version": scrapy.__version__,
        "documents": crawler.stats.get_value("item_scraped_count", 0),
        "feed": str(feed),
    }


if __name__ == "__main__":
    print(json.dumps(crawl(**json.loads(sys.argv[1]))))
