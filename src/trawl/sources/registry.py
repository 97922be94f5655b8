"""The sources that are known by name: those that ship with Trawl, those that packages offer, and those of this process."""

import asyncio
import os
import re
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from importlib.resources import files
from pathlib import Path
from typing import Any

from trawl.model.config import NAME, SourceConfig
from trawl.model.errors import ConfigurationError, TrawlError
from trawl.model.names import did_you_mean

from .configured import ConfigLoader, PokeApiCrawler, YamlCrawler
from .crawler import SourceCrawler
from .reading import parse_source, read_source

GROUP = "trawl.sources"
"""The entry points with which a package offers sources: `name = "package.module:Class"`."""

Factory = Callable[[], SourceCrawler]

_registered: dict[str, Factory] = {}
_members = tuple(name for name in vars(SourceCrawler) if not name.startswith("_"))


def register(name: str, factory: Factory) -> None:
    """Make a source known by its name, in this process. `factory` is its class, or any function that makes one.

    A name's last registration holds, before what ships with Trawl.

    >>> register("pokeapi", PokeApiCrawler)
    """
    if not re.fullmatch(NAME, name):
        raise ConfigurationError(
            f"{name!r} is not a valid source name", remedy="use lower-case letters, digits and '_'"
        )
    _registered[name] = factory


def source_names() -> list[str]:
    """The names that `get_crawler` knows. An offered source may still turn out to be broken when it is asked for."""
    return sorted({*_registered, *_shipped(), *(offer.name for offer in entry_points(group=GROUP))})


def get_crawler(name: str | os.PathLike[str]) -> SourceCrawler:
    """A new crawler of a registered source, or of a YAML file.

    Raises ConfigurationError: for an unknown name with the known ones, for a file with the path, the value and what
    would be right, for a broken offer with the package that makes it.
    """
    text = os.fspath(name)
    factory = _factory_of(text)
    return YamlCrawler(read_source(Path(text))) if factory is None else _made(text, factory)


async def create_crawler(name: str, load_config: ConfigLoader | None = None) -> SourceCrawler:
    """As `get_crawler`, for flows: with the configuration in the source's block, where there is one."""
    crawler = await asyncio.to_thread(get_crawler, name)
    return await crawler.configured(load_config) if isinstance(crawler, YamlCrawler) else crawler


def load_source(name: str | os.PathLike[str]) -> SourceConfig:
    """The configuration of what `get_crawler` gives, for those who only read it."""
    return get_crawler(name).config_block


def _factory_of(text: str) -> Factory | None:
    """Where a registered source comes from; None for what names a file."""
    if text in _registered:
        return _registered[text]
    if (shipped := _shipped().get(text)) is not None:
        return shipped
    if offers := entry_points(group=GROUP, name=text):
        return _offered(text, *offers)
    path = Path(text)
    with suppress(OSError):  # no path at all
        if path.suffix in {".yaml", ".yml"} or path.is_file():
            return None
    hint = did_you_mean(text, source_names())
    raise ConfigurationError(
        f"unknown source {text!r}",
        remedy=f"{hint}known are: {', '.join(source_names())}; or name a YAML file",
    )


def _shipped() -> dict[str, Factory]:
    """A file in this package is a source; one with a class of its own is in its place here."""
    found: dict[str, Factory] = {}
    for file in files(__package__).iterdir():
        name, dot, suffix = file.name.rpartition(".")
        if (dot, suffix) == (".", "yaml"):
            found[name] = partial(_from_file, file)
    return found | {"pokeapi": PokeApiCrawler}


def _from_file(file: Any) -> YamlCrawler:
    return YamlCrawler(parse_source(file.read_text(encoding="utf-8"), file.name))


def _offered(name: str, offer: EntryPoint, *others: EntryPoint) -> Factory:
    """What a package offers under a name. Its fault is its own: other sources are not asked for it."""
    if others:
        packages = ", ".join(sorted({_package(each) for each in (offer, *others)}))
        raise ConfigurationError(
            f"the source {name!r} is offered more than once, by {packages}", remedy="uninstall all but one"
        )
    try:
        factory = offer.load()
    except (Exception, SystemExit) as error:
        raise ConfigurationError(
            f"the source {name!r} cannot be loaded: {offer.value} of {_package(offer)}: {type(error).__name__}: {error}",
            remedy="repair or uninstall that package",
        ) from error
    if not callable(factory):
        raise ConfigurationError(
            f"the source {name!r} is broken: {offer.value} of {_package(offer)} is neither a class nor a function",
            remedy=f"its entry point in {GROUP!r} must name a class or a function that returns a crawler",
        )
    return factory  # type: ignore[no-any-return]


def _package(offer: EntryPoint) -> str:
    return f"{offer.dist.name} {offer.dist.version}" if offer.dist is not None else "an unknown package"


def _made(name: str, factory: Factory) -> SourceCrawler:
    try:
        crawler = factory()
    except TrawlError:
        raise
    except Exception as error:
        raise ConfigurationError(
            f"the source {name!r} cannot be made: {type(error).__name__}: {error}",
            remedy=f"it must be callable without arguments: {factory!r}",
        ) from error
    return _checked(name, crawler)


def _checked(name: str, crawler: Any) -> SourceCrawler:
    """The crawler, if it is one and answers to the name."""
    if missing := [member for member in _members if not hasattr(crawler, member)]:
        raise ConfigurationError(
            f"the source {name!r} is no SourceCrawler: {type(crawler).__name__} has no {', '.join(missing)}",
            remedy="derive it from trawl.sources.YamlCrawler, which has them all",
        )
    if not isinstance(crawler.config_block, SourceConfig):
        raise ConfigurationError(
            f"the source {name!r}: its config_block is a {type(crawler.config_block).__name__}, not a SourceConfig"
        )
    if not crawler.source_name == crawler.config_block.name == name:
        raise ConfigurationError(
            f"the source {name!r} has the source_name {crawler.source_name!r} and the configuration's name "
            f"{crawler.config_block.name!r}",
            remedy="all three must be the same",
        )
    return crawler  # type: ignore[no-any-return]
