"""A transport that writes down what the code above it asks."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from trawl.model.classify import classify
from trawl.model.errors import TrawlError
from trawl.transport import AsyncTransport, Client, Response
from trawl.transport.asynctransport import httpx_over

if TYPE_CHECKING:
    import httpx

Answered = Callable[[str, Response, float], None]
Failed = Callable[[str, TrawlError, float], None]


def watched(client: Client, answered: Answered, failed: Failed) -> httpx.AsyncClient:
    """An httpx client over this one; each address with its answer, or what went wrong, and the seconds that it took."""
    return httpx_over(client, _Watching(client, answered, failed))


class _Watching(AsyncTransport):
    def __init__(self, client: Client, answered: Answered, failed: Failed) -> None:
        super().__init__(client)
        self._client, self._say_answered, self._say_failed = client, answered, failed

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        began, url = time.perf_counter(), str(request.url)
        try:
            answer = await super().handle_async_request(request)
        except TrawlError as error:
            self._say_failed(url, error, time.perf_counter() - began)
            raise
        status, body = answer.status_code, await answer.aread()
        found = Response(status, classify(status), answer.headers, body, self._client.clock())
        self._say_answered(url, found, time.perf_counter() - began)
        return answer
