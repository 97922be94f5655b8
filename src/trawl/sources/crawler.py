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
    """A part of a list, as it came: one page, say.

    Attributes:
        items: the summaries, as parsed JSON, in the API's order. Of a list-only endpoint they are the records.
        count: how many there are in the whole list, where the API says so.
        response: the answer that they came in. Its status tells the engine of a 304 or a 404, its headers of validators
            and deploys, its instant from when the listing holds. None where they came in no answer. (Of what YAML
            describes, a `Response` of Trawl's own client.)
        texts: of a list-only endpoint each item's own bytes, as received; None where only the parsed items are known.
        note: what this page has taught, for whoever wrote the source.
        proved: whether this one answer, unchanged, would prove the whole list unchanged: only then a list of one page is
            asked for conditionally.

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
        path: where it is, below the base address or in full: the `detail` path of the source, filled. None leaves
            that to the source.
        etag, last_modified: what came with the content that the lake holds; None where it holds none, or where the run
            asks unconditionally.

    """

    endpoint: str
    key: str
    label: str | None = None
    path: str | None = None
    etag: str | None = None
    last_modified: str | None = None


class SourceCrawler(Protocol):
    """A source, as the engine sees it. `YamlCrawler` is the whole of it for whatever a configuration can say.

    The engine keeps for itself what makes a crawl safe: pace, retries, budget and cool-down (under the httpx client that it
    hands over), the verification of listings, contracts, hashes, guards and the commit.

    Of the errors in `trawl.model.errors`, `Fatal` ones end the run. `Retriable` and `Skippable` ones leave the old listing,
    or the record, as it was, with their message as the reason; so does any other exception, which is named with its line.
    The client's own errors are httpx's and these in one. An `httpx.HTTPStatusError` (from `raise_for_status()`) counts as
    the answer that it holds.
    """

    @property
    def source_name(self) -> str:
        """What the source is called in the registry, in the lake and in SQL: `config_block.name`."""
        ...

    @property
    def config_block(self) -> SourceConfig:
        """The configuration, whether it came from a file or from a block. The same for the crawler's whole life."""
        ...

    def get_api_key(self, load_block: SecretLoader | None = None) -> str | None:
        """The secret that goes out as `credentials` say (as a bearer token, if they say nothing); None: no secret.

        `load_block` gives the secret in a Prefect block of that name, or None where there is no such block. Raises
        ConfigurationError where a secret that must be there is not. Called once a run, before the first request.
        """
        ...

    def discover_item_ids(
        self, endpoint: str, client: httpx.AsyncClient, known: Validators | None = None
    ) -> AsyncIterator[Batch]:
        """The endpoint's whole list, batch by batch; an empty list is one empty batch.

        `known` is for the first request where one answer is the whole list, and None where all must come anew. An
        answer that brings no items (304, 404) is a batch as well: with that response, and no items. All is taken or
        nothing: whatever is raised, after whichever batch, leaves the listing that was.
        """
        ...

    async def fetch_item_details(self, item: Item, client: httpx.AsyncClient) -> httpx.Response:
        """One record's answer. Its body is what the lake keeps and must be JSON; a 304 says that what it keeps holds.

        A refusal (404, 410, 503 after all retries) is an answer too: hand it on, the engine knows what it means.
        """
        ...

    def get_item_unique_id_from_summary_data(self, endpoint: str, summary: Any) -> str:
        """The key of an item of the list: not empty, unique in its endpoint, and the same for ever.

        Raises TornListing where the item has none.
        """
        ...

    def get_data_path_for_item(self, endpoint: str, key: str) -> str:
        """Where `trawl export --format files` puts the record, below its folder. No two records share a path."""
        ...

    def get_refresh_interval_hours(self, endpoint: str) -> float:
        """After how many hours a checked record may be due again: `freshness`."""
        ...

    def get_gcl_name(self) -> str:
        """The Prefect global concurrency limit that holds for the source's requests in flight."""
        ...
