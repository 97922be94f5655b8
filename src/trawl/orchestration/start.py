"""Starts a command of Prefect's when what it needs answers, so that no restart of a neighbour fails a pod.

    python -m trawl.orchestration.start --wait-for tcp://HOST:PORT|api|pool/NAME -- COMMAND ...

A flow run (`prefect flow-run execute`) is also looked after: one that ended before it began, because the
server went away in between, is handed back to its work pool. Only the standard library is used: this starts
in every pod, before the seconds of imports that Prefect needs.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

__all__ = ["main"]

TIMEOUT = 600.0
"""Seconds that a pod waits before it gives up; Kubernetes then restarts it or fails the Job."""

MOST_RESTARTS = 5
"""How often a run that never began is handed back: a broken image must not be retried for ever."""


@dataclass(frozen=True, slots=True)
class Api:
    """The little of Prefect's API that is needed here."""

    url: str
    auth: str | None

    @classmethod
    def of(cls, env: Mapping[str, str]) -> Api:
        return cls(env["PREFECT_API_URL"].rstrip("/"), env.get("PREFECT_API_AUTH_STRING"))

    def call(self, path: str, body: Any = None) -> Any:
        request = urllib.request.Request(self.url + path)  # noqa: S310  the address is the installation's own
        if self.auth:
            request.add_header("Authorization", "Basic " + base64.b64encode(self.auth.encode()).decode())
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            return json.load(answer)


def say(message: str) -> None:
    sys.stderr.write(f"trawl: {message}\n")


def probe(target: str, env: Mapping[str, str]) -> None:
    """Raise while `target` is not there."""
    if target == "api":
        Api.of(env).call("/ready")
    elif target.startswith("pool/"):
        Api.of(env).call("/work_pools/" + quote(target.removeprefix("pool/"), safe=""))
    else:
        address = urlsplit(target)
        socket.create_connection((address.hostname or "", address.port or 0), timeout=5).close()


def wait_for(target: str, env: Mapping[str, str], *, timeout: float = TIMEOUT) -> None:
    """Ask every second until `target` answers."""
    deadline, announced = time.monotonic() + timeout, False
    while True:
        try:
            probe(target, env)
        except (OSError, ValueError) as error:
            if time.monotonic() > deadline:
                raise SystemExit(f"trawl: gave up waiting for {target}: {error}") from error
            if not announced:
                say(f"waiting for {target}: {error}")
                announced = True
            time.sleep(1)
        else:
            return


def never_began(run: Mapping[str, Any]) -> bool:
    """Whether a flow run ended, or was left, without a line of its code being run."""
    return run["run_count"] == 0 and run["state_type"] in {"SCHEDULED", "PENDING", "CRASHED"}


def look_after(command: Sequence[str], env: Mapping[str, str], run_id: str) -> int:
    """Run a flow run to its end; hand it back to the work pool if it never began."""
    say(f"flow run {run_id}: the API answers; loading Prefect takes some seconds")
    child = subprocess.Popen(command)  # noqa: S603  the command is the worker's
    stopped = False

    def forward(number: int, _: object) -> None:
        nonlocal stopped
        stopped = True
        child.send_signal(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, forward)
    code = child.wait()
    if stopped:  # Prefect settles an eviction itself
        return code

    wait_for("api", env)
    api = Api.of(env)
    run = api.call(f"/flow_runs/{run_id}")
    if not never_began(run):
        return code
    states = api.call(f"/flow_run_states/?flow_run_id={run_id}")
    if sum(state["name"] == "AwaitingRetry" for state in states) >= MOST_RESTARTS:
        say(f"the run did not begin in {MOST_RESTARTS} attempts")
        return code or 1
    message = "The run ended before it began: the API could not be reached"
    api.call(
        f"/flow_runs/{run_id}/set_state",
        {"state": {"type": "SCHEDULED", "name": "AwaitingRetry", "message": message}},
    )
    say("the run never began; it goes back to its work pool")
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Wait, then run the command: in this process's place, or as a child that is looked after."""
    parser = argparse.ArgumentParser(prog="python -m trawl.orchestration.start", allow_abbrev=False)
    parser.add_argument("--wait-for", action="append", default=[], metavar="tcp://HOST:PORT|api|pool/NAME")
    parser.add_argument("command", nargs="+")
    options = parser.parse_args(arguments)
    for target in options.wait_for:
        wait_for(target, os.environ)
    if run_id := os.environ.get("PREFECT__FLOW_RUN_ID"):
        return look_after(options.command, os.environ, run_id)
    os.execvp(options.command[0], options.command)  # noqa: S606
    raise AssertionError  # it never returns


if __name__ == "__main__":
    sys.exit(main())
