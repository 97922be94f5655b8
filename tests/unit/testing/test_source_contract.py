"""The contract of sources: held by the sources that there are, and broken by those that should not be."""

from collections.abc import Iterator
from contextlib import contextmanager

from trawl.replica import GeneratedCatalogue, ReplicaApp, running
from trawl.sources import PokeApiCrawler
from trawl.testing import SourceContract


@contextmanager
def pokeapi() -> Iterator[str]:
    with running(ReplicaApp(GeneratedCatalogue(60, seed=7, day=0))) as url:
        yield url


class TestPokeApi(SourceContract):
    crawler = PokeApiCrawler
    server = staticmethod(pokeapi)
