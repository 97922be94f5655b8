"""How the engine asks a source: what YAML describes on the shortest way, what Python of its own does through httpx."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, cast

from trawl.model.classify import Action
from trawl.model.errors import Skippable, TornListing
from trawl.model.validators import Validators
from trawl.transport import Client, Response

from .configured import YamlCrawler, came
from .crawler import Batch, Item, SourceCrawler

if TYPE_CHECKING:
    import httpx


class Asking:
    """A source and the client of a run.

    Attributes:
        http: the httpx client that the source's own code gets; the client's own by default.

    """

    def __init__(self, crawler: SourceCrawler, client: Client, http: httpx.AsyncClient | None = None) -> None:
        self._crawler, self._client, self._http = crawler, client, http
        self._fetches = is_own(crawler, "fetch_item_details")
        self._lists = is_own(crawler, "discover_item_ids")

    @property
    def http(self) -> httpx.AsyncClient:
        return self._client.http if self._http is None else self._http

    @property
    def _described(self) -> YamlCrawler:
        return cast("YamlCrawler", self._crawler)  # what is not its own is that class's

    async def fetch(self, item: Item) -> Response:
        """One record's answer. Raises what the client raises, and whatever the source's own code may raise."""
        if not self._fetches:
            return await self._described.fetch_by(item, self._client.get)
        from trawl.transport.answers import is_misread, refused_by, response_of  # noqa: PLC0415

        if item.path is not None and is_misread(item.path):
            item = replace(item, path=self._client.locate(item.path))
        try:
            answer = await self._crawler.fetch_item_details(item, self.http)
        except Exception as error:
            refused = refused_by(error)
            if refused is None:
                raise
            return await self._refused(item, refused)
        return await response_of(answer, self._client.clock(), by="fetch_item_details")

    def batches(self, endpoint: str, known: Validators | None = None) -> AsyncIterator[Batch]:
        """An endpoint's list. Raises as `fetch` does."""
        if self._lists:
            return self._own_batches(endpoint, known)
        return self._described.list_by(endpoint, self._client.get, known)

    async def _own_batches(self, endpoint: str, known: Validators | None) -> AsyncIterator[Batch]:
        from trawl.transport.answers import refused_by, response_of, url_of  # noqa: PLC0415

        batches = self._crawler.discover_item_ids(endpoint, self.http, known)
        try:
            async for batch in batches:
                yield batch
        except Exception as error:
            refused = refused_by(error)
            if refused is None:
                raise
            response = await response_of(refused, self._client.clock())
            if response.action is not Action.NOT_MODIFIED:
                raise TornListing(f"{url_of(refused)}: {came(response)}") from None
            yield Batch([], response=refused)
        finally:
            if (close := getattr(batches, "aclose", None)) is not None:
                await close()

    async def _refused(self, item: Item, answer: httpx.Response) -> Response:
        """The answer to a record, if it is that; else what the source asked for besides was refused."""
        from trawl.transport.answers import response_of, same_address, url_of  # noqa: PLC0415

        response, url = await response_of(answer, self._client.clock()), url_of(answer)
        if item.path is not None and same_address(self._client.locate(item.path), self._client.locate(url)):
            return response
        error = Skippable(f"{url} answered {response.status}")
        error.status, error.headers, error.body = response.status, response.headers, response.body
        raise error


def is_own(crawler: SourceCrawler, member: str) -> bool:
    """Whether a source does this in Python of its own."""
    return getattr(getattr(crawler, member), "__func__", None) is not getattr(YamlCrawler, member)


async def answer_in(batch: Batch, now: datetime) -> Response | None:
    """The answer that a batch came in. Raises where the client would have: refused for now, or credentials refused."""
    if batch.response is None or isinstance(batch.response, Response):
        return batch.response
    from trawl.transport.answers import response_of  # noqa: PLC0415

    return await response_of(batch.response, now, by="Batch(response=...)")
