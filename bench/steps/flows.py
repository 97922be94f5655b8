"""A Prefect server, and a flow run in a process of its own."""

# ruff: noqa: PLC0415  Prefect reads its settings when it is imported

import asyncio
import os
import signal
import sys
from typing import Any


def serve(*, home: str) -> None:
    """A server on SQLite with the limit that a source's requests count for, until the process is ended."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    os.environ |= {"PREFECT_HOME": home, "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
    from prefect.server.api.server import SubprocessASGIServer

    server = SubprocessASGIServer()
    server.start(timeout=120)
    try:
        os.environ["PREFECT_API_URL"] = server.api_url
        asyncio.run(_limit())
        print(f"serving {server.api_url}", flush=True)
        signal.pause()
    finally:
        server.stop()


async def _limit() -> None:
    from prefect import get_client
    from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate

    async with get_client() as client:
        wanted = GlobalConcurrencyLimitCreate(name="pokeapi-public-calls", limit=100)
        await client.create_global_concurrency_limit(wanted)


def refresh(*, server: str, home: str, url: str, lake: str, force: bool) -> dict[str, Any]:
    """The flow `refresh`, as a pod would run it; what the source's own flow run came to."""
    os.environ |= {
        "PREFECT_API_URL": server,
        "PREFECT_HOME": home,
        "TRAWL_LAKE": lake,
        "TRAWL_SOURCE_POKEAPI_BASE_URL": url,
    }
    from trawl.orchestration.flows import crawl_source

    state = asyncio.run(crawl_source("pokeapi", "refresh", rate="unlimited", force=force, return_state=True))
    if not state.is_completed():
        raise RuntimeError(state.message)
    found: dict[str, Any] = asyncio.run(state.aresult())
    return found
