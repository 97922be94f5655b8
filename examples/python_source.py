"""A source in Python: an API whose shape YAML cannot say, crawled by Trawl all the same.

The museum's rooms lead to one another, in circles too; what hangs in a room is a mapping, not a list; and a work is a
card of plain text. So the source finds its items and reads its documents in its own way. Everything else is the engine's:
pace, retries, verified listings, contracts, versions, one commit.

    python examples/python_source.py

serves the museum on loopback, crawls it on two days and asks the lake what has changed. In a package of yours, one line
makes the source known to `trawl run museum`:

    [project.entry-points."trawl.sources"]
    museum = "my_package:Museum"
"""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from tempfile import TemporaryDirectory
from threading import Thread

import httpx

import trawl
from trawl.crawl import CrawlOptions, crawl
from trawl.sources import Batch, Item, Validators, YamlCrawler, with_document

# -- the source --------------------------------------------------------------------------------------------


class Museum(YamlCrawler):
    """The museum, as the engine sees it."""

    description = """
name: museum
title: A small museum, room by room
base_url: https://museum.example.com
endpoints:
  works:
    key: {field: number}
    detail: {path: "works/{key}"}
    label: title
    contract:
      fields: {title: string, artist: string, year: integer}
"""

    async def discover_item_ids(
        self, endpoint: str, client: httpx.AsyncClient, known: Validators | None = None
    ) -> AsyncIterator[Batch]:
        """Walk through all rooms, each once. One batch is what hangs in one room."""
        doors, entered = ["entrance"], set()
        while doors:
            room = doors.pop()
            if room in entered:
                continue
            entered.add(room)
            response = await client.get(f"rooms/{room}")
            response.raise_for_status()  # a closed room: then the list is not whole, and the engine keeps the old one
            content = response.json()
            yield Batch([{"number": n, "title": title} for n, title in content["works"].items()], response=response)
            doors += content["doors"]

    async def fetch_item_details(self, item: Item, client: httpx.AsyncClient) -> httpx.Response:
        """Read the card: lines of `name: value`. Refusals and 304s are the engine's to judge."""
        response = await super().fetch_item_details(item, client)
        if response.status_code != 200:
            return response
        card = dict(line.split(": ", 1) for line in response.text.splitlines())
        return with_document(response, card | {"year": int(card["year"])})


# -- its API -----------------------------------------------------------------------------------------------

ROOMS = {
    "entrance": {"works": {"1901.2": "The Ferry"}, "doors": ["east", "west"]},
    "east": {"works": {"1862.4": "Harbour at Dawn", "1877.1": "Two Boats"}, "doors": ["entrance", "tower"]},
    "west": {"works": {}, "doors": ["entrance"]},
    "tower": {"works": {"1931.7": "Signal"}, "doors": ["east"]},
}
CARDS = {
    "1901.2": "title: The Ferry\nartist: Ida Holm\nyear: 1901",
    "1862.4": "title: Harbour at Dawn\nartist: unknown\nyear: 1862",
    "1877.1": "title: Two Boats\nartist: Jon Vik\nyear: 1877",
    "1931.7": "title: Signal\nartist: Eva Lund\nyear: 1931",
}
NEXT_DAY = {
    "rooms/west": json.dumps({"works": {"1950.3": "Rain"}, "doors": ["entrance"]}),
    "works/1950.3": "title: Rain\nartist: Eva Lund\nyear: 1950",
    "works/1862.4": "title: Harbour at Dawn\nartist: Jon Vik (attributed)\nyear: 1862",
}


@contextmanager
def museum() -> Iterator[tuple[str, dict[str, str]]]:
    """The API on a free port of loopback: its address, and its documents by path, to be changed at will."""
    documents = {f"rooms/{name}": json.dumps(room) for name, room in ROOMS.items()}
    documents |= {f"works/{number}": card for number, card in CARDS.items()}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = documents.get(self.path.lstrip("/"), "").encode()
            tag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
            status = 404 if not body else 304 if self.headers["If-None-Match"] == tag else 200
            self.send_response(status)
            self.send_header("ETag", tag)
            self.send_header("Content-Length", str(len(body)) if status == 200 else "0")
            self.end_headers()
            if status == 200:
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Be quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", documents
        finally:
            server.shutdown()


# -- the crawl ---------------------------------------------------------------------------------------------


def main() -> None:
    """Two days of the museum."""
    with museum() as (url, documents), TemporaryDirectory() as folder:
        lake = trawl.open(folder)
        for day, news in enumerate(({}, NEXT_DAY), start=1):
            documents.update(news)
            options = CrawlOptions(base_url=url, rate="unlimited", force=True)
            report = asyncio.run(crawl(Museum(), lake, options))
            works = report.endpoints["works"]
            print(
                f"day {day}: {works.listed} listed, {works.new} new, {works.changed} changed, "
                f"{report.not_modified} not modified"
            )
        for row in lake.query(
            "SELECT label, payload->>'$.artist' AS artist, version FROM museum.records ORDER BY key"
        ).rows():
            print(f"{row['label']}: {row['artist']} (version {row['version']})")


if __name__ == "__main__":
    main()
