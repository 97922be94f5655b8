"""The source that its configuration describes: what the engine runs, and what a source in Python starts from."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import replace
from functools import partial
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self, TypeVar

from trawl.model.canonical import text
from trawl.model.classify import Action
from trawl.model.config import SourceConfig
from trawl.model.documents import read_json
from trawl.model.errors import BrokenBody, ConfigurationError, Skippable, TornListing
from trawl.model.filenames import safe_name
from trawl.model.keys import fields_of, fill
from trawl.model.names import config_block_name, public_calls_name
from trawl.model.pagination import Walk, first_page, read_page
from trawl.model.slices import item_texts
from trawl.model.validators import Validators
from trawl.model.values import parts
from trawl.transport import Response
from trawl.transport.auth import SecretLoader, read_secret

from .crawler import Batch, Item, SourceCrawler
from .reading import parse_source

if TYPE_CHECKING:  # httpx takes 0.1 s to load, and a source in YAML does without it
    import httpx

R = TypeVar("R", covariant=True)  # noqa: PLC0105

_SHOWN = 120  # bytes of an answer that are shown

ConfigLoader = Callable[[str], Awaitable[SourceConfig | None]]
"""Gives the configuration that a block of this name holds, or None where there is no such block."""


class Get(Protocol[R]):
    """Gets a path below the base address, or a full address of the source, conditionally where a validator is given."""

    async def __call__(
        self,
        url: str,
        *,
        params: Mapping[str, str | int] | None = None,
        etag: str | None = None,
        last_modified: str | None = None,
    ) -> R: ...


class YamlCrawler:
    """A `SourceCrawler` that does what its configuration says.

    A source in Python is a subclass with a `description`, and its own `discover_item_ids`, `fetch_item_details`,
    `get_item_unique_id_from_summary_data` or `get_api_key`, whichever YAML cannot say.

    Attributes:
        description: the source in YAML, as a text or as a file; what the constructor takes where it is given nothing.

    """

    description: ClassVar[str | Traversable | None] = None

    def __init__(self, config: SourceConfig | None = None) -> None:
        self._config = self._described() if config is None else config

    @classmethod
    async def create(cls, load_config: ConfigLoader | None = None) -> Self:
        """As the constructor, for flows: with the configuration in the source's block, where there is one."""
        return await (await asyncio.to_thread(cls)).configured(load_config)

    async def configured(self, load_config: ConfigLoader | None) -> Self:
        """The same source with the configuration in the block `{source_name}-source-config`; itself if there is none.

        Raises ConfigurationError where the block describes another source.
        """
        block = config_block_name(self.source_name)
        config = None if load_config is None else await load_config(block)
        if config is None:
            return self
        if config.name != self.source_name:
            raise ConfigurationError(
                f"the block {block} describes the source {config.name!r}, not {self.source_name!r}",
                remedy="correct the name in it, or delete it: without a block the source's own description holds",
            )
        return type(self)(config)

    @property
    def source_name(self) -> str:
        return self._config.name

    @property
    def config_block(self) -> SourceConfig:
        return self._config

    def get_api_key(self, load_block: SecretLoader | None = None) -> str | None:
        return read_secret(self._config.credentials, load_block)

    async def discover_item_ids(
        self, endpoint: str, client: httpx.AsyncClient, known: Validators | None = None
    ) -> AsyncIterator[Batch]:
        from trawl.transport.answers import get_by, response_of  # noqa: PLC0415

        answers: list[httpx.Response] = []

        async def get(url: str, **asked: Any) -> Response:
            answers[:] = [await get_by(client, url, **asked)]
            return await response_of(answers[0])

        async for batch in self.list_by(endpoint, get, known):
            yield replace(batch, response=answers[0])

    async def fetch_item_details(self, item: Item, client: httpx.AsyncClient) -> httpx.Response:
        from trawl.transport.answers import get_by  # noqa: PLC0415

        return await self.fetch_by(item, partial(get_by, client))

    async def list_by(self, endpoint: str, get: Get[Response], known: Validators | None = None) -> AsyncIterator[Batch]:
        """What the description says of a list, with whatever gets its pages: the engine takes the shortest way."""
        config = self._config.endpoints[endpoint].list
        if config is None:
            raise ConfigurationError(f"the endpoint {endpoint!r} has no list: it follows its parent's records")
        validators = known or Validators()
        walk = Walk(first_page(endpoint, config), config, partial(self._mark, endpoint))
        while (request := walk.request) is not None:
            response = await get(
                request.url,
                params=request.params or None,
                etag=validators.etag,
                last_modified=validators.last_modified,
            )
            validators = Validators()
            if response.action is not Action.OK:
                if walk.refused(response.status):
                    continue
                yield Batch([], response=response)
                return
            try:
                found = read_json(response.body, response.headers.get("content-type", ""))
                page = read_page(found.value, config, response.headers.get("link", ""))
                counts = walk.take(page)
            except (BrokenBody, TornListing) as error:
                raise TornListing(f"{error.message}; {came(response)}", remedy=error.remedy) from None
            if counts:
                texts = item_texts(found.text, parts(config.items)) if self._is_list_only(endpoint) else None
                yield Batch(page.items, page.count, response, texts, walk.note, walk.proved)

    async def fetch_by(self, item: Item, get: Get[R]) -> R:
        """What the description says of a record, with whatever gets it."""
        detail = self._config.endpoints[item.endpoint].detail
        if detail is None:
            raise Skippable(f"{item.endpoint}: the list's items are the records: there is nothing to fetch")
        path = item.path
        if path is None:
            if not {"endpoint", "key", "label"}.issuperset(fields_of(detail.path)):
                raise Skippable(
                    f"{item.endpoint} {item.key}: its path {detail.path!r} can be filled in only from its list or its parent"
                )
            path = fill(detail.path, endpoint=item.endpoint, key=item.key, label=item.label)
        return await get(path, params=detail.params or None, etag=item.etag, last_modified=item.last_modified)

    def _is_list_only(self, endpoint: str) -> bool:
        return self._config.endpoints[endpoint].detail is None

    def _mark(self, endpoint: str, item: Any) -> str:
        """What tells an item of a list from the others: its key, or what it is."""
        try:
            return self.get_item_unique_id_from_summary_data(endpoint, item)
        except TornListing:
            return repr(item)

    def get_item_unique_id_from_summary_data(self, endpoint: str, summary: Any) -> str:
        return self._config.endpoints[endpoint].key_policy.key_of(summary)

    def get_data_path_for_item(self, endpoint: str, key: str) -> str:
        return "/".join(map(safe_name, (self.source_name, endpoint, key))) + ".json"

    def get_refresh_interval_hours(self, endpoint: str) -> float:
        return self._config.endpoints[endpoint].freshness.total_seconds() / 3600

    def get_gcl_name(self) -> str:
        return self._config.calls_limit or public_calls_name(self.source_name)

    def _described(self) -> SourceConfig:
        found, name = self.description, type(self).__name__
        if found is None:
            raise ConfigurationError(
                f"{name} has no configuration", remedy="give it one, or give the class a `description` in YAML"
            )
        if isinstance(found, str):
            return parse_source(found, name)
        try:
            return parse_source(found.read_text(encoding="utf-8"), found.name)
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"{name}: cannot read its description {found}: {error}") from None


def came(response: Response) -> str:
    """An answer in a few words: `200 application/json came, 34 bytes: {"error": ...`."""
    kind = response.headers.get("content-type", "no content type").partition(";")[0]
    start = response.body[:_SHOWN].decode(errors="replace")
    return f"{response.status} {kind} came, {len(response.body)} bytes: {' '.join(start.split())}"


def as_crawler(source: SourceConfig | SourceCrawler) -> SourceCrawler:
    """A crawler for whoever has a configuration only."""
    return YamlCrawler(source) if isinstance(source, SourceConfig) else source


class PokeApiCrawler(YamlCrawler):
    """PokeAPI, whole. Nothing about it needs Python."""

    description = files(__package__) / "pokeapi.yaml"


def with_document(response: httpx.Response, document: Any) -> httpx.Response:
    """The answer with this document (any JSON value) in place of its body: for APIs that speak no JSON."""
    from trawl.transport.answers import with_body  # noqa: PLC0415

    return with_body(response, "application/json", text(document))
