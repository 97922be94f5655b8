"""What a source is to the engine: a configuration, and the few questions that a source in Python answers in its own way."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from trawl.model.config import SourceConfig
from trawl.model.validators import Validators
from trawl.transport.auth import SecretLoader

if TYPE_CHECKING:  # httpx takes 0.1 s to load, and a source in YAML does without it
    import httpx

    from trawl.transport import Response


@dataclass(frozen=True, slots=True)
class Batch:
    """A part of a list as received, for example one page.

    Attributes:
        items: the summaries, as parsed JSON, in the API's order. Of a list-only endpoint they are the records.
        count: the total number of items in the list, if the API gives it.
        response: the answer that contained them. The engine reads from it the status (304, 404), validators and deploy
            (headers), and the time from which the listing is valid. None if they came from no answer. (For a source in
            YAML, a `Response` of Trawl's own client.)
        texts: for a list-only endpoint, each item's own bytes as received; None if only the parsed items are known.
        note: a remark about this page, for the author of the source.
        proved: whether this answer, if unchanged, proves the whole list unchanged: only then is a list of one page
            requested conditionally.

    """

    items: list[Any]
    count: int | None = None
    response: httpx.Response | Response | None = None
    texts: list[bytes] | None = None
    note: str | None = None
    proved: bool = True


@dataclass(frozen=True, slots=True)
class Item:
    """One record to fetch.

    Attributes:
        path: its address, relative to the base address or in full: the source's `detail` path, filled in. None: the
            source decides.
        etag, last_modified: the validators of the stored content; None if there is none, or if the run asks
            unconditionally.

    """

    endpoint: str
    key: str
    label: str | None = None
    path: str | None = None
    etag: str | None = None
    last_modified: str | None = None


class SourceCrawler(Protocol):
    """A source, as the engine sees it. `YamlCrawler` implements all of it from a configuration.

    The engine itself does what makes a crawl safe: rate limit, retries, budget and cool-down (in the httpx client that it
    passes in), the verification of listings, contracts, hashes, guards and the commit.

    Of the errors in `trawl.model.errors`, `Fatal` ones end the run. `Retriable` and `Skippable` ones leave the old listing,
    or the record, unchanged, with their message as the reason; so does any other exception, which is named with its line.
    The client's own errors are both httpx's and these. An `httpx.HTTPStatusError` (from `raise_for_status()`) counts as
    the answer that it holds.
    """

    @property
    def source_name(self) -> str:
        """The name of the source in the registry, in the lake and in SQL: `config_block.name`."""
        ...

    @property
    def config_block(self) -> SourceConfig:
        """The configuration, whether it came from a file or from a block. The same for the crawler's whole life."""
        ...

    def get_api_key(self, load_block: SecretLoader | None = None) -> str | None:
        """The secret, sent as `credentials` say (without `credentials`, as a bearer token); None: no secret.

        `load_block` returns the secret in a Prefect block of that name, or None if there is no such block. Raises
        ConfigurationError if a required secret is missing. Called once per run, before the first request.
        """
        ...

    def discover_item_ids(
        self, endpoint: str, client: httpx.AsyncClient, known: Validators | None = None
    ) -> AsyncIterator[Batch]:
        """The endpoint's whole list, batch by batch; an empty list is one empty batch.

        `known`: send these validators with the first request, if one answer is the whole list; None: request
        unconditionally. An answer without items (304, 404) is a batch as well: with that response, and no items. The
        list is all or nothing: an exception after any batch keeps the old listing.
        """
        ...

    async def fetch_item_details(self, item: Item, client: httpx.AsyncClient) -> httpx.Response:
        """One record's answer. The lake stores its body, which must be JSON; a 304 means that the stored one is still valid.

        A refusal (404, 410, 503 after all retries) is an answer too: return it, the engine knows what it means.
        """
        ...

    def get_item_unique_id_from_summary_data(self, endpoint: str, summary: Any) -> str:
        """The key of an item of the list: not empty, unique in its endpoint, and never changing.

        Raises TornListing if the item has none.
        """
        ...

    def get_data_path_for_item(self, endpoint: str, key: str) -> str:
        """Where `trawl export --format files` puts the record, below its folder. No two records share a path."""
        ...

    def get_refresh_interval_hours(self, endpoint: str) -> float:
        """After how many hours a checked record may be due again: `freshness`."""
        ...

    def get_gcl_name(self) -> str:
        """The Prefect global concurrency limit that holds for the source's concurrent requests."""
        ...
