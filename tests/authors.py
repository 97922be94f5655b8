"""An API of authors that answers whatever a test wants, record by record."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from trawl.model.config import SourceConfig
from trawl.replica import running
from trawl.sources import parse_source

PREFIX = "/api/v2/"
MANY = 102


@dataclass
class Reply:
    """One answer; a body that is no bytes is sent as JSON."""

    status: int = 200
    body: Any = b""
    headers: Mapping[str, str] = field(default_factory=dict)


def redirect(place: str, status: int = 302) -> Reply:
    return Reply(status, b"moved", {"location": place})


def author(key: int, **more: Any) -> dict[str, Any]:
    return {"id": key, "name": f"author {key}"} | more


def document(key: int) -> Reply:
    return Reply(body=author(key))


@dataclass
class Authors:
    """A list of authors, and their documents; `odd` ones are answered in their own way, `bad` is the way of all."""

    keys: range = range(1, MANY + 1)
    odd: dict[int, Reply] = field(default_factory=dict)
    bad: Reply | None = None
    items: Any = None
    document: Any = document
    asked: list[str] = field(default_factory=list)

    def reply(self, path: str) -> Reply:
        if path == "authors":
            return Reply(body=self.items or [{"id": key} for key in self.keys])
        kind, _, key = path.partition("/")
        if kind != "authors" or not key.isdecimal():
            return Reply(404)
        return self.bad or self.odd.get(int(key)) or self.document(int(key))

    async def __call__(self, scope: Any, _receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        path = scope["path"].removeprefix(PREFIX)
        self.asked.append(path)
        reply = self.reply(path)
        body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        headers = {"content-type": "application/json"} | dict(reply.headers)
        sent = [(name.encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": reply.status, "headers": sent})
        await send({"type": "http.response.body", "body": body})

    def taken(self) -> list[int]:
        """The keys of the documents that were asked for since the last call, in their order."""
        found = sorted(int(path.partition("/")[2]) for path in self.asked if path.startswith("authors/"))
        self.asked.clear()
        return found


@contextmanager
def authors(**world: Any) -> Iterator[tuple[str, Authors]]:
    api = Authors(**world)
    with running(api) as url:
        yield url, api


def source(endpoint: str = "", more: str = "") -> SourceConfig:
    """A source of authors; `endpoint` is more of its endpoint, `more` of the source."""
    return parse_source(
        "name: books\nbase_url: https://api.example.com/v1\n"
        "requests: {max_bytes: 32768, attempts: 2, max_backoff: 0s}\n"
        f"{more}\n"
        "endpoints:\n"
        f"  authors: {{list: {{path: authors}}, detail: {{path: 'authors/{{key}}'}}{endpoint and ', ' + endpoint}}}",
        "authors.yaml",
    )
