"""The sources that Trawl knows, and how to describe others: in YAML or, where that cannot say it, in Python."""

from trawl.model.validators import Validators

from .asking import Asking, answer_in, is_own
from .configured import ConfigLoader, PokeApiCrawler, YamlCrawler, as_crawler, came, with_document
from .crawler import Batch, Item, SourceCrawler
from .reading import parse_source
from .registry import create_crawler, get_crawler, load_source, register, source_names

__all__ = [
    "Asking",
    "Batch",
    "ConfigLoader",
    "Item",
    "PokeApiCrawler",
    "SourceCrawler",
    "Validators",
    "YamlCrawler",
    "answer_in",
    "as_crawler",
    "came",
    "create_crawler",
    "get_crawler",
    "is_own",
    "load_source",
    "parse_source",
    "register",
    "source_names",
    "with_document",
]
