"""What Prometheus reads of a real Prefect server."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.server.processes import Server, free_port
from trawl.orchestration.metrics import PrefectCollector
from trawl.orchestration.start import Api

POOL = "measured"


def state(kind, name=None, **more):
    return {"state": {"type": kind, "name": name or kind.title(), **more}, "force": True}


class Place:
    """A pool with one scheduled deployment, and runs of it in whatever state."""

    def __init__(self, server: Server) -> None:
        self.server = server
        server.ask("POST", "work_pools/", {"name": POOL, "type": "process"})
        flow = server.ask("POST", "flows/", {"name": "measured"})["id"]
        schedule = {"schedule": {"cron": "0 0 1 1 *", "timezone": "UTC"}, "active": True}
        self.deployment = server.ask(
            "POST",
            "deployments/",
            {"name": "refresh-measured", "flow_id": flow, "work_pool_name": POOL, "schedules": [schedule]},
        )["id"]

    def run(self, *states):
        made = self.server.ask("POST", f"deployments/{self.deployment}/create_flow_run", {})
        for each in states:
            self.server.ask("POST", f"flow_runs/{made['id']}/set_state", each)

    def read(self):
        api = Api(self.server.url, None)
        return {
            (sample.name, *sample.labels.values()): sample.value
            for metric in PrefectCollector(api, [POOL]).collect()
            for sample in metric.samples
        }


@pytest.fixture(scope="module")
def place(prefect_server):
    return Place(prefect_server)


def test_runs_are_counted_by_state_and_the_one_that_waits_longest_is_dated(place):
    long_ago = datetime.now(UTC) - timedelta(hours=3)
    place.run(state("SCHEDULED", "Late", state_details={"scheduled_time": long_ago.isoformat()}))
    place.run(state("PENDING"))
    place.run(state("RUNNING"))
    place.run(state("RUNNING"), state("COMPLETED"))
    place.run(state("RUNNING"), state("FAILED"))
    place.run(state("RUNNING"), state("CRASHED"))
    read = place.read()
    assert read["trawl_prefect_up",] == 1
    assert {key[1]: value for key, value in read.items() if key[0] == "trawl_runs"} == {
        "late": 1,
        "pending": 1,
        "running": 1,
    }
    assert read["trawl_runs_oldest_timestamp_seconds", "late"] == pytest.approx(long_ago.timestamp(), abs=1)
    ended = {key[1:]: value for key, value in read.items() if key[0] == "trawl_runs_ended_last_hour"}
    assert ended == {("refresh-measured", kind): 1 for kind in ("completed", "failed", "crashed")}
    now = datetime.now(UTC).timestamp()
    assert read["trawl_last_completed_timestamp_seconds", "refresh-measured"] == pytest.approx(now, abs=300)


def test_a_pool_that_is_paused_or_has_no_worker_is_seen(place):
    place.server.ask("PATCH", f"work_pools/{POOL}", {"is_paused": False})
    read = place.read()
    assert (read["trawl_pool_ready", POOL], read["trawl_pool_paused", POOL]) == (0, 0)
    place.server.ask("POST", f"work_pools/{POOL}/workers/heartbeat", {"name": "one"})
    assert place.read()["trawl_pool_ready", POOL] == 1
    place.server.ask("PATCH", f"work_pools/{POOL}", {"is_paused": True})
    assert place.read()["trawl_pool_paused", POOL] == 1


def test_a_deployment_that_is_paused_is_not_expected_to_run(place):
    assert place.read()["trawl_deployment_scheduled", "refresh-measured"] == 1
    place.server.ask("POST", f"deployments/{place.deployment}/pause_deployment")
    assert place.read()["trawl_deployment_scheduled", "refresh-measured"] == 0


def test_a_server_that_is_away_is_said_and_nothing_else():
    collector = PrefectCollector(Api(f"http://127.0.0.1:{free_port()}/api", None), [POOL])
    assert [(m.name, m.samples[0].value) for m in collector.collect()] == [("trawl_prefect_up", 0)]
