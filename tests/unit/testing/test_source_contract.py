"""The contract of sources: held by the sources that there are, and told by name where it is broken."""

import inspect
import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import httpx
import pytest
from examples.python_source import Museum, museum

from trawl.model.errors import Retriable
from trawl.replica import GeneratedCatalogue, ReplicaApp, running
from trawl.sources import Batch, Item, PokeApiCrawler, Validators, with_document
from trawl.testing import SourceContract


@contextmanager
def pokeapi() -> Iterator[str]:
    with running(ReplicaApp(GeneratedCatalogue(60, seed=7, day=0))) as url:
        yield url


@contextmanager
def rooms() -> Iterator[str]:
    with museum() as (url, _):
        yield url


class TestPokeApi(SourceContract):
    crawler = PokeApiCrawler
    server = staticmethod(pokeapi)


class TestSomeOfPokeApi(SourceContract):
    crawler = PokeApiCrawler
    server = staticmethod(pokeapi)
    endpoints = ("machine", "move")
    sample = 3


class TestMuseum(SourceContract):
    crawler = Museum
    server = staticmethod(rooms)


# -- what it finds -----------------------------------------------------------------------------------------


class Unstable(Museum):
    """Gives another key each time."""

    _counter = itertools.count()

    def get_item_unique_id_from_summary_data(self, endpoint: str, summary: Any) -> str:
        return f"{summary['number']}-{next(self._counter)}"


class ByPlace(Museum):
    """Numbers the items as they come."""

    def __init__(self) -> None:
        super().__init__()
        self._place = 0

    def get_item_unique_id_from_summary_data(self, endpoint: str, summary: Any) -> str:
        self._place += 1
        return str(self._place)


class Twice(Museum):
    """Does not notice that it has been in a room before."""

    async def discover_item_ids(
        self, endpoint: str, client: httpx.AsyncClient, known: Validators | None = None
    ) -> AsyncIterator[Batch]:
        for _ in range(2):
            async for batch in super().discover_item_ids(endpoint, client, known):
                yield batch


class Swallows(Museum):
    """Takes what it could get for the whole."""

    async def discover_item_ids(
        self, endpoint: str, client: httpx.AsyncClient, known: Validators | None = None
    ) -> AsyncIterator[Batch]:
        yield Batch([{"number": "1862.4", "title": "x"}, {"number": "lost", "title": "y"}])


class Restless(Museum):
    """Puts something into the document that is never the same."""

    _counter = itertools.count()

    async def fetch_item_details(self, item: Item, client: httpx.AsyncClient) -> httpx.Response:
        response = await super().fetch_item_details(Item(item.endpoint, item.key), client)
        card = {"title": "t", "artist": "a", "year": 1, "read": next(self._counter)}
        return with_document(response, card)


class OneFile(Museum):
    """Keeps all records in one file."""

    def get_data_path_for_item(self, endpoint: str, key: str) -> str:
        return f"{self.source_name}/{endpoint}.json"


class Elsewhere(Museum):
    """Lets a key lead out of the folder."""

    def get_data_path_for_item(self, endpoint: str, key: str) -> str:
        return f"{self.source_name}/../{key}.json"


class Deaf(Museum):
    """Cannot list at all."""

    async def discover_item_ids(
        self, endpoint: str, client: httpx.AsyncClient, known: Validators | None = None
    ) -> AsyncIterator[Batch]:
        raise Retriable("no answer")
        yield Batch([])


@pytest.mark.parametrize(
    ("source", "law", "reason"),
    [
        (Unstable, "test_two_listings_of_one_moment_hold_the_same_keys", "the keys are not the same the second time"),
        (ByPlace, "test_a_key_is_a_text_that_hangs_on_the_item_alone", "another order of the items gave other keys"),
        (Twice, "test_two_listings_of_one_moment_hold_the_same_keys", "came twice"),
        (Deaf, "test_two_listings_of_one_moment_hold_the_same_keys", "no answer"),
        (Deaf, "test_every_listed_record_can_be_fetched_and_keeps_its_contract", "nothing came"),
        (Deaf, "test_an_interruption_in_a_list_leaves_neither_rows_nor_a_lease", "no list has even one batch"),
        (Swallows, "test_every_listed_record_can_be_fetched_and_keeps_its_contract", "lost"),
        (Restless, "test_a_second_crawl_of_the_same_writes_no_version", "4 records changed"),
        (OneFile, "test_every_record_has_a_file_of_its_own", "two records share a file"),
        (Elsewhere, "test_every_record_has_a_file_of_its_own", "leads elsewhere"),
    ],
)
def test_a_source_that_breaks_a_law_is_told_which(tmp_path: Path, source: type[Museum], law: str, reason: str) -> None:
    contract = type("Broken", (SourceContract,), {"crawler": source, "server": staticmethod(rooms)})()
    test: Callable[..., None] = getattr(contract, law)
    with pytest.raises(AssertionError, match=reason):
        test(*([tmp_path] if "tmp_path" in inspect.signature(test).parameters else []))


def test_a_suite_without_a_source_or_a_server_says_what_it_needs() -> None:
    with pytest.raises(NotImplementedError, match="needs a `crawler`"):
        SourceContract().test_the_configuration_is_whole_and_names_the_source()
    contract = type("Half", (SourceContract,), {"crawler": Museum})()
    with pytest.raises(NotImplementedError, match="needs a `server`"):
        contract.test_two_listings_of_one_moment_hold_the_same_keys()


def test_an_endpoint_that_is_not_there_is_no_endpoint_to_test() -> None:
    names = {"crawler": Museum, "server": staticmethod(lambda: nullcontext("http://127.0.0.1:1")), "endpoints": ("x",)}
    with pytest.raises(AssertionError, match="names one that is not there"):
        type("Wrong", (SourceContract,), names)().test_the_configuration_is_whole_and_names_the_source()
