"""The sources that Trawl knows, and how to describe others: in YAML or, where that cannot say it, in Python."""

from trawl.model.validators import Validators

from .configured import ConfigLoader, PokeApiCrawler, YamlCrawler, as_crawler, came, with_document
from .crawler import Batch, Item, SourceCrawler
from .reading import parse_source
from .registry import create_crawler, get_crawler, load_source, register, source_names

__all__ = [
    "Batch",
    "ConfigLoader",
    "Item",
    "PokeApiCrawler",
    "SourceCrawler",
    "Validators",
    "YamlCrawler",
    "as_crawler",
    "came",
    "create_crawler",
    "get_crawler",
    "load_source",
    "parse_source",
    "register",
    "source_names",
    "with_document",
]
