"""What Trawl is compared with: a client loop that fetches the same documents and does nothing else."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import httpx

Get = Callable[[str, dict[str, str]], Awaitable[tuple[int, int, str]]]


def loop(
    *,
    client: str,
    base_url: str,
    paths: str,
    connections: int,
    etags: str | None = None,
    keep: str | None = None,
) -> dict[str, int]:
    """Fetch every path of the file `paths` once, conditionally where `etags` is a file that holds ETags.

    `client` is `httpx` or `aiohttp`; `keep` is where the ETags of the answers go. The counts come back.
    """
    known = json.loads(Path(etags).read_text(encoding="utf-8")) if etags else {}
    wanted = json.loads(Path(paths).read_text(encoding="utf-8"))
    counts, found = asyncio.run(_loop(client, base_url, wanted, connections, known))
    if keep:
        Path(keep).write_text(json.dumps(found), encoding="utf-8")
    return counts


async def _loop(
    client: str, base_url: str, paths: list[str], connections: int, etags: dict[str, str]
) -> tuple[dict[str, int], dict[str, str]]:
    found: dict[str, str] = {}
    counts = {"documents": 0, "not_modified": 0, "bytes": 0}
    todo = iter(paths)

    async def work(get: Get) -> None:
        for path in todo:
            headers = {"If-None-Match": etags[path]} if etags else {}
            status, size, etag = await get(f"{base_url}/{path}", headers)
            if status not in {200, 304}:
                raise RuntimeError(f"{path}: {status}")
            counts["documents"] += 1
            counts["not_modified"] += status == 304
            counts["bytes"] += size
            found[path] = etag

    async with (
        {"httpx": _httpx, "aiohttp": _aiohttp}[client](connections) as get,
        asyncio.TaskGroup() as group,
    ):
        for _ in range(connections):
            group.create_task(work(get))
    return counts, found


@asynccontextmanager
async def _httpx(connections: int) -> AsyncIterator[Get]:
    limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
    async with httpx.AsyncClient(limits=limits, timeout=60) as client:

        async def get(url: str, headers: dict[str, str]) -> tuple[int, int, str]:
            answer = await client.get(url, headers=headers)
            return answer.status_code, len(answer.content), answer.headers.get("etag", "")

        yield get


@asynccontextmanager
async def _aiohttp(connections: int) -> AsyncIterator[Get]:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=connections)) as client:

        async def get(url: str, headers: dict[str, str]) -> tuple[int, int, str]:
            async with client.get(url, headers=headers) as answer:
                return answer.status, len(await answer.read()), answer.headers.get("etag", "")

        yield get
