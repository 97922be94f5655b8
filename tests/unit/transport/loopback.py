"""A web server of thirty lines, which says what a test wants it to say, down to the byte; and a client that asks it."""

import asyncio
from collections.abc import Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from trawl.model.config import SourceConfig
from trawl.transport import Client, CoolDown

Answer = Callable[["Asked"], bytes]


@dataclass(frozen=True)
class Asked:
    """One request as it came in."""

    target: str
    headers: dict[str, str]
    number: int
    method: str = "GET"
    body: bytes = b""

    @property
    def path(self) -> str:
        return urlsplit(self.target).path


@dataclass
class Server:
    answer: Answer
    url: str = ""
    keeps: bool = False  # the connection stays open until the client closes it
    asked: list[Asked] = field(default_factory=list)
    at: list[float] = field(default_factory=list)

    @property
    def targets(self) -> list[str]:
        return [request.target for request in self.asked]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
            method, target, _ = lines[0].split(" ")
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            self.asked.append(Asked(target, headers, len(self.asked), method, body))
            self.at.append(asyncio.get_running_loop().time())
            writer.write(self.answer(self.asked[-1]))
            await writer.drain()
            while self.keeps and await reader.read(1024):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


def reply(status: int = 200, body: bytes = b"{}", **headers: str) -> bytes:
    """An answer; `retry_after` is the header Retry-After."""
    named = {"content-length": str(len(body))} | {name.replace("_", "-"): value for name, value in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in named.items())
    phrase = HTTPStatus(status).phrase if status in set(HTTPStatus) else "?"
    return f"HTTP/1.1 {status} {phrase}\r\nconnection: close\r\n{head}\r\n".encode("latin-1") + body


@asynccontextmanager
async def serving(answer: Answer | bytes):
    """A server on a free port of the loopback address."""
    server = Server(answer if callable(answer) else lambda _: answer)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    try:
        yield server
    finally:
        listening.close()
        await listening.wait_closed()


def settings(**more: Any) -> SourceConfig:
    """A source at a public address, which each test moves to its own server."""
    fields = {"name": "api", "base_url": "https://api.example.com/v1", "endpoints": {"a": {}}}
    return SourceConfig.model_validate(fields | more)


def now() -> datetime:
    return datetime.now(UTC)


def client_of(
    url: str, *, own: str | None = None, rate: float | None = None, budget: int | None = None, **more: Any
) -> Client:
    source = SourceConfig.model_validate({"name": "api", "base_url": own or url, "endpoints": {"a": {}}} | more)
    return Client(source, url, now, CoolDown(now), rate, 4, budget)


@asynccontextmanager
async def asking(answer: Any, path: str = "/v1", **more: Any):
    """A client, and the server that it asks."""
    async with serving(answer) as server, client_of(server.url + path, **more) as client:
        yield client, server
