"""What holds of every source, whoever wrote it: a test class to derive from."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, suppress
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar, cast

import httpx

from trawl.crawl import CrawlOptions, Report, crawl
from trawl.crawl.listing import Absent, Listed, Listing, list_endpoint
from trawl.lake import Lake
from trawl.model.config import SourceConfig
from trawl.model.errors import Retriable
from trawl.model.filenames import safe_name
from trawl.sources import Batch, SourceCrawler, Validators
from trawl.transport import Client, Rate, utc_now

_PATIENCE = 60  # seconds, for what must not hang

Bend = Callable[[AsyncIterator[Batch]], AsyncIterator[Batch]]


class SourceContract:
    """A source whose every law holds can be trusted to the engine. Derive from it in three lines:

    >>> class TestLedger(SourceContract):
    ...     crawler = Ledger  # doctest: +SKIP
    ...     server = staticmethod(ledger_on_loopback)

    The server must say the same during one test; every test asks for one of its own.

    Attributes:
        endpoints: test only these; none are all.
        sample: take only so many items of each list; None takes all. For an API that is not yours, with a `rate`.
        rate: requests per second, None for the source's own, or "unlimited" on private hosts.

    """

    endpoints: ClassVar[tuple[str, ...]] = ()
    sample: ClassVar[int | None] = None
    rate: ClassVar[Rate | None] = "unlimited"

    def crawler(self) -> SourceCrawler:
        """A new crawler of the source: its class will do."""
        raise NotImplementedError(f"{type(self).__name__} needs a `crawler`: the class of the source")

    def server(self) -> AbstractContextManager[str]:
        """Something to crawl: a context manager whose value is its base address."""
        raise NotImplementedError(
            f"{type(self).__name__} needs a `server`: a context manager that gives its base address"
        )

    # -- the laws ------------------------------------------------------------------------------------------

    def test_the_configuration_is_whole_and_names_the_source(self) -> None:
        crawler = self.crawler()
        config = crawler.config_block
        assert isinstance(config, SourceConfig)
        assert crawler.source_name == config.name
        assert crawler.config_block is config, "a crawler keeps its configuration"
        assert SourceConfig.model_validate(config.model_dump(mode="json")) == config, "it survives a block and a file"
        assert all(crawler.get_refresh_interval_hours(name) >= 0 for name in config.endpoints)
        assert crawler.get_gcl_name()
        assert not set(self.endpoints) - set(config.endpoints), "`endpoints` of this test names one that is not there"

    def test_two_listings_of_one_moment_hold_the_same_keys(self) -> None:
        with self.server() as url:
            first, second = asyncio.run(self._listings(url)), asyncio.run(self._listings(url))
        assert first, "the source has no endpoint with a list"
        for name, one in first.items():
            other = second[name]
            for listing in (one, other):
                assert isinstance(listing, Listed | Absent), f"{name}: no verified listing came: {listing}"
            assert sorted(_keys(one)) == sorted(_keys(other)), f"{name}: the keys are not the same the second time"

    def test_a_key_is_a_text_that_hangs_on_the_item_alone(self) -> None:
        with self.server() as url:
            items = asyncio.run(self._items(url))
        for name, summaries in items.items():
            keys = [self.crawler().get_item_unique_id_from_summary_data(name, summary) for summary in summaries]
            again = self.crawler()
            repeated = [again.get_item_unique_id_from_summary_data(name, summary) for summary in reversed(summaries)]
            assert keys == repeated[::-1], f"{name}: another order of the items gave other keys"
            assert all(isinstance(key, str) and key for key in keys), f"{name}: a key is not a text, or is empty"

    def test_every_record_has_a_file_of_its_own(self) -> None:
        with self.server() as url:
            listings = asyncio.run(self._listings(url))
        crawler = self.crawler()
        paths = [
            crawler.get_data_path_for_item(name, key).casefold()
            for name, found in listings.items()
            for key in _keys(found)
        ]
        assert len(set(paths)) == len(paths), "two records share a file, or would where case is ignored"
        for path in paths:
            assert path.startswith(f"{safe_name(crawler.source_name)}/"), f"{path} lies outside of the source's folder"
            assert not {"", ".", ".."} & set(path.split("/")), f"{path} leads elsewhere"

    def test_every_listed_record_can_be_fetched_and_keeps_its_contract(self, tmp_path: Path) -> None:
        with self.server() as url:
            report = self._crawl(tmp_path, url)
        # Straight from the log: a record that never came is in no view.
        faults = _rows(tmp_path, f"SELECT endpoint, key, reason FROM _log_{report.source} WHERE op = 'fail'")
        assert not faults, f"{len(faults)} records did not come; the first: {faults[0]}"
        assert report.total("new") > 0, f"nothing came: {_said(report)}"
        for name, counts in report.endpoints.items():
            if self.crawler().config_block.endpoints[name].list is not None:
                assert counts.new == counts.listed, f"{name}: {counts.listed} are listed, {counts.new} came"
        assert len(self._contents(tmp_path)) == report.total("new")

    def test_a_second_crawl_of_the_same_writes_no_version(self, tmp_path: Path) -> None:
        with self.server() as url:
            self._crawl(tmp_path, url)
            before = self._contents(tmp_path)
            report = self._crawl(tmp_path, url, force=True)
        changes = _rows(tmp_path, f"SELECT * FROM {report.source}.changes WHERE run = '{report.run_id}'")
        assert not changes, f"the API said the same, and {len(changes)} records changed; the first: {changes[0]}"
        assert self._contents(tmp_path) == before

    def test_a_list_that_breaks_off_teaches_nothing(self, tmp_path: Path) -> None:
        for number, bend in enumerate((_breaks_off, _fails_in_its_own_code, _comes_twice)):
            lake = tmp_path / str(number)
            with self.server() as url:
                report = self._crawl(lake, url, bend=bend, mode="discover")
                assert not report.total("new"), f"half a list was believed: {_said(report)}"
                self._crawl(lake, url)
                before = self._contents(lake)
                report = self._crawl(lake, url, bend=bend, mode="discover", force=True, no_cache=True)
            assert not report.total("missing"), f"half a list was believed: {_said(report)}"
            for name in self._listed_endpoints():
                counts = report.endpoints[name]
                assert counts.notes or counts.absent, f"{name}: nothing says that its list broke off"
            assert self._contents(lake) == before

    def test_an_interruption_in_a_list_leaves_neither_rows_nor_a_lease(self, tmp_path: Path) -> None:
        reached = asyncio.Event()
        ended: list[bool] = []

        async def hangs(batches: AsyncIterator[Batch]) -> AsyncIterator[Batch]:
            try:
                async for batch in batches:
                    yield batch
                    reached.set()
                    await asyncio.sleep(_PATIENCE)
            finally:
                ended.append(True)

        async def interrupt(url: str) -> None:
            task = asyncio.create_task(self._run(tmp_path, url, bend=hangs))
            try:
                async with asyncio.timeout(_PATIENCE):
                    await asyncio.wait({task, asyncio.create_task(reached.wait())}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

        with self.server() as url:
            asyncio.run(interrupt(url))
            name = self.crawler().source_name
            assert reached.is_set(), "no list has even one batch"
            assert ended, "the list's iterator was left open"
            assert Lake(tmp_path).source(name).holder(utc_now()) is None, "the lease was not given back"
            assert not Lake(tmp_path).source(name).committed_runs(Lake(tmp_path).source(name).log.snapshot())
            report = self._crawl(tmp_path, url)
        assert len(self._contents(tmp_path)) == report.total("new") > 0

    def test_what_a_spent_budget_leaves_comes_with_the_next_run(self, tmp_path: Path) -> None:
        with self.server() as url:
            whole = self._crawl(tmp_path / "whole", url)
            half = self._crawl(tmp_path / "half", url, max_requests=max(1, whole.requests // 2))
            assert half.requests <= max(1, whole.requests // 2)
            self._crawl(tmp_path / "half", url)
        assert self._contents(tmp_path / "half") == self._contents(tmp_path / "whole")

    # -- their tools ---------------------------------------------------------------------------------------

    def _listed_endpoints(self) -> list[str]:
        endpoints = self.crawler().config_block.endpoints
        return [name for name in self.endpoints or endpoints if endpoints[name].list is not None]

    async def _listings(self, url: str) -> dict[str, Listing]:
        crawler = self._bent()
        async with self._client(url) as client:
            return {
                name: await list_endpoint(client, crawler, name, None, conditional=False, believe_older=True)
                for name in self._listed_endpoints()
            }

    async def _items(self, url: str) -> dict[str, list[Any]]:
        crawler = self._bent()
        async with self._client(url) as client:
            return {
                name: [item async for batch in crawler.discover_item_ids(name, client.http) for item in batch.items]
                for name in self._listed_endpoints()
            }

    def _client(self, url: str) -> Client:
        crawler = self.crawler()
        return Client.for_source(crawler.config_block, base_url=url, rate=self.rate, api_key=crawler.get_api_key)

    def _bent(self, bend: Bend | None = None) -> SourceCrawler:
        return cast("SourceCrawler", _Bent(self.crawler(), bend, self.sample))

    def _crawl(self, lake: Path, url: str, bend: Bend | None = None, **options: Any) -> Report:
        return asyncio.run(self._run(lake, url, bend, **options))

    async def _run(self, lake: Path, url: str, bend: Bend | None = None, **options: Any) -> Report:
        wishes = CrawlOptions(base_url=url, rate=self.rate, endpoints=self.endpoints, **options)
        return await crawl(self._bent(bend), Lake(lake), wishes)

    def _contents(self, lake: Path) -> dict[tuple[str, str], str]:
        rows = _rows(
            lake, f"SELECT endpoint, key, payload FROM {self.crawler().source_name}.records WHERE state = 'present'"
        )
        return {(row["endpoint"], row["key"]): row["payload"] for row in rows}


class _Bent:
    """A crawler whose lists are cut to a sample, or come otherwise than they should. All else is its own."""

    def __init__(self, crawler: SourceCrawler, bend: Bend | None, sample: int | None) -> None:
        self._crawler, self._bend, self._sample = crawler, bend, sample

    def __getattr__(self, name: str) -> Any:
        return getattr(self._crawler, name)

    async def discover_item_ids(
        self, endpoint: str, client: httpx.AsyncClient, known: Validators | None = None
    ) -> AsyncIterator[Batch]:
        batches = self._crawler.discover_item_ids(endpoint, client, known)
        if self._sample is not None:
            batches = _cut(batches, self._sample)
        if self._bend is not None:
            batches = self._bend(batches)
        async for batch in batches:
            yield batch


async def _cut(batches: AsyncIterator[Batch], size: int) -> AsyncIterator[Batch]:
    left = size
    async for batch in batches:
        items = list(islice(batch.items, left))
        left -= len(items)
        yield Batch(items, None, batch.response)
        if not left:
            return


async def _breaks_off(batches: AsyncIterator[Batch]) -> AsyncIterator[Batch]:
    async for batch in batches:
        yield Batch(batch.items[: len(batch.items) // 2], batch.count, batch.response)
        raise Retriable("the list broke off, as this test wants it")


async def _fails_in_its_own_code(batches: AsyncIterator[Batch]) -> AsyncIterator[Batch]:
    async for batch in batches:
        yield batch
        raise KeyError("next", "as this test wants it")


async def _comes_twice(batches: AsyncIterator[Batch]) -> AsyncIterator[Batch]:
    async for batch in batches:
        yield batch
        yield batch
        if not batch.items:
            raise Retriable("an empty list cannot come twice")


def _keys(listing: Listing) -> list[str]:
    return list(listing.table["key"].to_pylist()) if isinstance(listing, Listed) else []


def _said(report: Report) -> dict[str, list[str]]:
    return {name: counts.notes for name, counts in report.endpoints.items() if counts.notes}


def _rows(lake: Path, sql: str) -> list[dict[str, Any]]:
    return list(Lake(lake).query(sql).rows())
