"""One laptop, one command: a Prefect server on SQLite, what set-up makes, and a worker, until Ctrl-C.

The deployments, limits and blocks are those of `trawl setup`, on a pool of local processes: nothing here is another way to run.
"""

import asyncio
import contextlib
import ctypes
import os
import signal
import socket
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from prefect.settings import PREFECT_API_URL, temporary_settings

from trawl.model.errors import ConfigurationError, Retriable

from .setup import apply
from .setup.deployments import RUN_ENV, Deployment, deployments_of
from .setup.settings import Settings

__all__ = ["PATIENCE", "serve"]

PATIENCE = 15.0
"""Seconds within which everything is stopped; what does not react is killed long before."""

_HOST = "127.0.0.1"
_STARTS_WITHIN = 120  # seconds; the first start makes the database
_RUNS_END_WITHIN, _SERVER_ENDS_WITHIN = 5.0, 3.0
_TAIL = 15  # lines of a log


async def serve(
    settings: Settings, origin: Path | None, *, lake: str, port: int, home: Path, say: Callable[[str], None]
) -> None:
    """Serve until cancelled. `lake` is a folder or a URL; `home` is where a server of our own keeps its database and log.

    Raises ConfigurationError for a taken port, and for a PREFECT_API_URL at which no server is.
    """
    if settings.pool.type != "process":
        raise ConfigurationError(
            f"{origin}: pool.type: {settings.pool.type!r} cannot be served from here",
            remedy="leave `pool` out: `trawl serve` runs processes on this machine; for a cluster use the chart",
        )
    named = PREFECT_API_URL.value()
    async with _server(port, home, say) if named is None else _existing(named) as api:
        with temporary_settings({PREFECT_API_URL: api}):
            await apply(settings, origin)
        environment = {**os.environ, **RUN_ENV, "TRAWL_LAKE": lake, "PREFECT_API_URL": api}
        worker = [sys.executable, "-m", "prefect", "worker", "start", "--pool", settings.pool.name, "--type", "process"]
        async with _child([*worker, "--name", "trawl-serve"], environment, _RUNS_END_WITHIN) as process:
            for line in _told(api, lake, deployments_of(settings.sources.items())):
                say(line)
            code = await process.wait()
            raise Retriable(f"the worker ended by itself, with {code}", remedy="its last log lines are above")


def _told(api: str, lake: str, deployments: list[Deployment]) -> list[str]:
    width = max((len(one.name) for one in deployments), default=0)
    rows = [
        f"  {one.name.ljust(width)}  {', '.join(schedule.text() for schedule in one.schedules.values()) or 'by hand'}"
        for one in deployments
    ]
    first = next((one.name for one in deployments if one.name.startswith("refresh-")), "refresh-pokeapi")
    return [
        "",
        f"Prefect's UI:  {api.removesuffix('/api')}",
        f"The lake:      {lake}",
        *rows,
        "",
        "Start a run now, from another shell:",
        f"  export PREFECT_API_URL={api}",
        f"  prefect deployment run refresh/{first}",
        "",
        "Ctrl-C stops everything.",
    ]


# -- the server --------------------------------------------------------------------------------------------


@asynccontextmanager
async def _existing(api: str) -> AsyncIterator[str]:
    if not await asyncio.to_thread(_answers, api):
        raise ConfigurationError(
            f"no Prefect server answers at PREFECT_API_URL ({_shown(api)})",
            remedy="start it, or unset PREFECT_API_URL (`prefect config unset PREFECT_API_URL`): then `trawl serve` "
            "starts one",
        )
    yield api


@asynccontextmanager
async def _server(port: int, home: Path, say: Callable[[str], None]) -> AsyncIterator[str]:
    """A server of our own, up and answering; its API's address."""
    api = f"http://{_HOST}:{port}/api"
    _check_free(port, api)
    home.mkdir(parents=True, exist_ok=True)
    log = home / "server.log"
    say(f"Prefect's server starts at http://{_HOST}:{port} (its database and log: {home})")
    # What clients are told is not the server's: it must not look for another one.
    environment = {name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"}
    environment |= {"PREFECT_HOME": str(home), "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
    environment["PREFECT_SERVER_UI_API_URL"] = api  # else the UI asks port 4200, whatever `--port` says
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", _HOST, "--port", str(port)]
    with log.open("wb") as output:
        async with _child(command, environment, _SERVER_ENDS_WITHIN, output=output.fileno()) as process:
            await _until_up(process, api, log)
            guard = asyncio.ensure_future(_guard(process, log, asyncio.current_task()))
            try:
                yield api
            except asyncio.CancelledError:
                if guard.done() and (fault := guard.exception()) is not None:
                    raise fault from None
                raise
            finally:
                guard.cancel()


async def _until_up(process: Process, api: str, log: Path) -> None:
    for _ in range(_STARTS_WITHIN * 4):
        if await asyncio.to_thread(_answers, api):
            return
        if process.returncode is not None:
            break
        await asyncio.sleep(0.25)
    raise Retriable(f"Prefect's server does not start:\n{_tail(log)}", remedy=f"its whole log is {log}")


async def _guard(process: Process, log: Path, served: "asyncio.Task[object] | None") -> None:
    """End the serving when the server ends by itself."""
    code = await process.wait()
    if served is not None:
        served.cancel()
    raise Retriable(f"Prefect's server ended by itself, with {code}:\n{_tail(log)}", remedy=f"its whole log is {log}")


def _answers(api: str) -> bool:
    try:
        with urlopen(f"{api.rstrip('/')}/health", timeout=5) as answer:  # noqa: S310  an address that is a user's own
            return bool(answer.status == 200)
    except HTTPError as error:
        return error.code in {401, 403}  # it is there, and asks for a sign-in: set-up will say so
    except (URLError, OSError, ValueError):
        return False


def _check_free(port: int, api: str) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or error
            remedy = f"--port {port + 1}" if port < 65535 else "--port 4200"
            if _answers(api):
                remedy = f"a Prefect server is there: export PREFECT_API_URL={api} to use it; or --port {port + 1}"
            raise ConfigurationError(f"the port {port} cannot be used: {reason}", remedy=remedy) from None


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-_TAIL:])


def _shown(api: str) -> str:
    """Without what stands before an @."""
    scheme, _, rest = api.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"


# -- children ----------------------------------------------------------------------------------------------


@asynccontextmanager
async def _child(
    command: list[str], environment: Mapping[str, str], ends_within: float, *, output: int | None = None
) -> AsyncIterator[Process]:
    """A process in a group of its own: Ctrl-C at the terminal is not for it, and it is stopped with all that it started."""
    process = await asyncio.create_subprocess_exec(
        *command,
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=2 if output is None else output,  # stdout is for results
        stderr=2 if output is None else output,
        start_new_session=True,
        preexec_fn=_die_with_parent,
    )
    try:
        yield process
    finally:
        await _stop(process, ends_within)


async def _stop(process: Process, ends_within: float) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        if not _signal(process.pid, number):
            break
        waiting = asyncio.ensure_future(_gone(process))
        await asyncio.wait([waiting], timeout=ends_within)
        if waiting.done():
            break
        waiting.cancel()
    await process.wait()


async def _gone(process: Process) -> None:
    """Until the whole group is gone: a run's process may outlive the worker's."""
    await process.wait()
    while _signal(process.pid, 0):  # noqa: ASYNC110  no event tells of a grandchild's end
        await asyncio.sleep(0.05)


def _signal(group: int, number: int) -> bool:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
        return True
    return False


def _die_with_parent() -> None:
    """Where the system knows how (Linux): nothing is left even if this process is killed outright."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG
