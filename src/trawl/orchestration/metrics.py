"""What Prefect's server does not count itself: runs by state, the last completion of each deployment, the pools.

    python -m trawl.orchestration.metrics --port PORT POOL ...

Prometheus reads it. Every reading asks the API anew and nothing is kept, so that it may restart whenever it likes. Of
Prefect only the HTTP API is used: its imports would take ten times the memory.
"""

from __future__ import annotations

import argparse
import os
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from .start import Api, say

__all__ = ["PrefectCollector", "main"]

WAITING = {
    "late": {"name": {"any_": ["Late"]}},
    "pending": {"type": {"any_": ["PENDING"]}},
    "running": {"type": {"any_": ["RUNNING"]}},
}
ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
PAGE = 200
"""The most that Prefect's API gives at once."""


class PrefectCollector(Collector):
    """The state of these pools, and of what is deployed to them."""

    def __init__(self, api: Api, pools: Sequence[str]) -> None:
        self.api = api
        self.pools = {"work_pools": {"name": {"any_": list(pools)}}}
        self._failed = False

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """All or nothing: half an answer would look like runs that are gone."""
        up = GaugeMetricFamily("trawl_prefect_up", "Whether Prefect's API answers.")
        try:
            found = [*self._read()]
        except (OSError, ValueError) as error:
            if not self._failed:
                say(f"Prefect's API does not answer: {error}")
            self._failed, found = True, []
        else:
            self._failed = False
        up.add_metric([], 0 if self._failed else 1)
        yield up
        yield from found

    def _read(self) -> Iterator[GaugeMetricFamily]:
        ready = GaugeMetricFamily("trawl_pool_ready", "Whether a worker of the pool is online.", labels=["pool"])
        paused = GaugeMetricFamily("trawl_pool_paused", "Whether the pool is paused.", labels=["pool"])
        for pool in self._all("/work_pools/filter", self.pools):
            ready.add_metric([pool["name"]], float(pool["status"] == "READY"))
            paused.add_metric([pool["name"]], float(pool["is_paused"]))
        yield ready
        yield paused

        runs = GaugeMetricFamily("trawl_runs", "Flow runs that have not ended, by state.", labels=["state"])
        oldest = GaugeMetricFamily(
            "trawl_runs_oldest_timestamp_seconds",
            "Since when the one that is longest in its state is in it; when it should have begun, if late.",
            labels=["state"],
        )
        for state, wanted in WAITING.items():
            since = [
                _since(run) for run in self._all("/flow_runs/filter", {**self.pools, "flow_runs": {"state": wanted}})
            ]
            runs.add_metric([state], len(since))
            if since:
                oldest.add_metric([state], min(since))
        yield runs
        yield oldest

        deployments = {one["id"]: one for one in self._all("/deployments/filter", self.pools)}
        ended: Counter[tuple[str, str]] = Counter()
        hour_ago = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
        chosen = {"flow_runs": {"state": {"type": {"any_": list(ENDED)}}, "end_time": {"after_": hour_ago}}}
        for run in self._all("/flow_runs/filter", {**self.pools, **chosen}):
            if deployment := deployments.get(run["deployment_id"]):
                ended[deployment["name"], run["state_type"].lower()] += 1
        last_hour = GaugeMetricFamily(
            "trawl_runs_ended_last_hour", "Flow runs that ended within the hour.", labels=["deployment", "state"]
        )
        for labels, number in ended.items():
            last_hour.add_metric(labels, number)
        yield last_hour

        completed = GaugeMetricFamily(
            "trawl_last_completed_timestamp_seconds", "When a run last completed.", labels=["deployment"]
        )
        scheduled = GaugeMetricFamily(
            "trawl_deployment_scheduled", "Whether it has a schedule that is not paused.", labels=["deployment"]
        )
        for key, deployment in deployments.items():
            active = not deployment["paused"] and any(each["active"] for each in deployment["schedules"])
            scheduled.add_metric([deployment["name"]], float(active))
            done = {"flow_runs": {"deployment_id": {"any_": [key]}, "state": {"type": {"any_": ["COMPLETED"]}}}}
            for run in self.api.call("/flow_runs/filter", {**done, "sort": "END_TIME_DESC", "limit": 1}):
                completed.add_metric([deployment["name"]], _seconds(run["end_time"]))
        yield completed
        yield scheduled

    def _all(self, path: str, chosen: dict[str, Any]) -> Iterator[dict[str, Any]]:
        offset = 0
        page: list[dict[str, Any]] = [{}] * PAGE
        while len(page) == PAGE:
            page = self.api.call(path, {**chosen, "limit": PAGE, "offset": offset})
            offset += PAGE
            yield from page


def _since(run: dict[str, Any]) -> float:
    state = run["state"]
    return _seconds(state["state_details"].get("scheduled_time") or state["timestamp"])


def _seconds(time: str) -> float:
    return datetime.fromisoformat(time).timestamp()


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve /metrics until the process ends."""
    parser = argparse.ArgumentParser(prog="python -m trawl.orchestration.metrics", allow_abbrev=False)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("pools", nargs="+", metavar="POOL")
    options = parser.parse_args(arguments)
    registry = CollectorRegistry()
    registry.register(PrefectCollector(Api.of(os.environ), options.pools))
    start_http_server(options.port, registry=registry)
    threading.Event().wait()


if __name__ == "__main__":
    main()
