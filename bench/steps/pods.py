"""A Prefect server with a worker, and refreshes that it runs in one or several processes of their own ("pods")."""

# ruff: noqa: PLC0415  Prefect reads its settings when it is imported

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

SETUP = """
pool: {name: trawl, type: process}
sources: {pokeapi: {discover: [], refresh: [], maintain: [], rate: unlimited, public_calls: 100}}
"""


def serve(*, home: str, url: str) -> None:
    """A server on SQLite, set up, with a worker, until the process is ended."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    os.environ |= {
        "PREFECT_HOME": home,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_WORKER_QUERY_SECONDS": "1",
        "TRAWL_SOURCE_POKEAPI_BASE_URL": url,
        "TRAWL_LAKE": f"{home}/lake",
    }
    from prefect.server.api.server import SubprocessASGIServer

    server = SubprocessASGIServer()
    server.start(timeout=120)
    try:
        env = os.environ | {"PREFECT_API_URL": server.api_url}
        config = Path(home, "setup.yaml")
        config.write_text(SETUP)
        trawl = [str(Path(sys.executable).with_name("trawl")), "setup", "--config", str(config)]
        subprocess.run(trawl, env=env, check=True, stdout=subprocess.DEVNULL)
        work = [sys.executable, "-m", "prefect", "worker", "start", "--pool", "trawl", "--type", "process"]
        with Path(home, "worker.log").open("w") as log:
            worker = subprocess.Popen(work, env=env, stdout=log, stderr=log)
        try:
            print(f"serving {server.api_url}", flush=True)
            signal.pause()
        finally:
            worker.terminate()
            worker.wait(30)
    finally:
        server.stop()


def refresh(*, server: str, home: str, pods: int) -> dict[str, Any]:
    """A forced refresh over so many pods, from the moment at which it was asked for to its end."""
    os.environ |= {"PREFECT_API_URL": server, "PREFECT_HOME": home}
    return asyncio.run(_refresh(pods))


async def _refresh(pods: int) -> dict[str, Any]:
    from prefect.deployments import arun_deployment

    wanted = {"sources": ["pokeapi"], "rate": "unlimited", "force": True, "pods": pods}
    run = await arun_deployment("refresh/refresh-pokeapi", parameters=wanted, poll_interval=1)
    if run.state is None or not run.state.is_completed():
        raise RuntimeError(f"the run over {pods} pods: {run.state}")
    assert run.expected_start_time is not None
    assert run.start_time is not None
    assert run.end_time is not None
    return {
        "seconds": (run.end_time - run.expected_start_time).total_seconds(),
        "started": (run.start_time - run.expected_start_time).total_seconds(),
    }
