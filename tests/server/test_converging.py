"""Set-up against a real server: it makes, changes, leaves, removes, and ends in the same place however it gets there."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx
import pytest
from prefect.settings import PREFECT_API_URL, PREFECT_HOME, temporary_settings

from tests.leftovers import collect
from tests.server.processes import asked, server
from trawl.cli.app import invoke
from trawl.orchestration.blocks import block_class
from trawl.orchestration.setup import apply
from trawl.orchestration.setup.objects import KINDS, Server
from trawl.orchestration.setup.settings import Settings
from trawl.replica import running
from trawl.replica.answers import reply

# What a thread of Prefect's lets go later is no fault of the test that runs then.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


def call(verb: str, path: str, body: Any = None) -> Any:
    return asked(verb, f"{PREFECT_API_URL.value()}{path}", body)


@pytest.fixture(scope="module", autouse=True)
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """It is empty between tests, which no other test's server is."""
    home = tmp_path_factory.mktemp("set-up")
    with server(home) as made, temporary_settings({PREFECT_API_URL: made.url, PREFECT_HOME: home}):
        yield
    collect()


@pytest.fixture(autouse=True)
def clean(own_server: None) -> Iterator[None]:
    """Each test begins with a server on which set-up never was."""
    yield
    collect()
    for path in ("automations", "deployments", "variables", "v2/concurrency_limits", "block_documents"):
        for one in call("POST", f"/{path}/filter", {"limit": 200}):
            try:
                call("DELETE", f"/{path}/{one['id']}")
            except httpx.HTTPStatusError as error:
                if error.response.status_code != HTTPStatus.NOT_FOUND:  # the server has just removed it itself
                    raise
    for pool in call("POST", "/work_pools/filter", {}):
        call("DELETE", f"/work_pools/{pool['name']}")


class SetUp:
    """`trawl setup` with a file, and what it said."""

    def __init__(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        self.file, self.caplog = tmp_path / "setup.yaml", caplog
        caplog.set_level("INFO", "trawl.setup")

    def __call__(self, content: str = "", *flags: str) -> str:
        self.file.write_text(content)
        self.caplog.clear()
        assert invoke(["setup", "--config", str(self.file), *flags]) == 0
        return "\n".join(record.getMessage() for record in self.caplog.records if record.name == "trawl.setup")


@pytest.fixture
def setup(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> SetUp:
    return SetUp(tmp_path, caplog)


def deployment(name: str) -> dict[str, Any]:
    found: dict[str, Any] = call("GET", f"/deployments/name/{name}")
    return found


def limit(name: str = "pokeapi-public-calls") -> dict[str, Any]:
    found: dict[str, Any] = call("GET", f"/v2/concurrency_limits/{name}")
    return found


def document(block: str) -> dict[str, Any]:
    slug, _, name = block.partition("/")
    path = f"/block_types/slug/{slug}/block_documents/name/{name}?include_secrets=true"
    found: dict[str, Any] = call("GET", path)
    return found


def automation(start: str) -> dict[str, Any]:
    found = call("POST", "/automations/filter", {"limit": 200})
    return next(one for one in found if one["name"].startswith(start))


def schedule(name: str, slug: str) -> dict[str, Any]:
    return next(one for one in deployment(name)["schedules"] if one["slug"] == slug)


def test_everything_is_made_once_and_then_left(setup: SetUp) -> None:
    first = setup().splitlines()
    assert len(first) == 15
    assert all(line.endswith((": made", ": up to date")) for line in first)  # (block types may be there)
    assert "deployment refresh/refresh-pokeapi: made" in first
    assert "limit pokeapi-public-calls: made" in first
    again = setup().splitlines()
    assert len(again) == 15
    assert all(line.endswith(": up to date") for line in again)
    assert limit()["limit"] == 10


def test_a_dry_run_tells_the_difference_and_changes_nothing(setup: SetUp) -> None:
    said = setup("", "--dry-run")
    assert "deployment refresh/refresh-pokeapi: would be made" in said
    assert not call("POST", "/work_pools/filter", {})
    assert not [one for one in call("POST", "/block_documents/filter", {}) if one["name"] == "trawl-setup-trawl"]
    setup()
    said = setup("sources: {pokeapi: {public_calls: 5, refresh: {cron: 1 2 * * *}}}", "--dry-run")
    assert "limit pokeapi-public-calls: would be changed: limit" in said
    assert "    limit: 10 -> 5" in said
    assert '    schedule refresh.schedule.cron: "23 3 * * *" -> "1 2 * * *"' in said
    assert limit()["limit"] == 10


def test_a_changed_file_changes_what_set_up_made(setup: SetUp) -> None:
    setup()
    said = setup("sources: {pokeapi: {public_calls: 5, rate: 2.5, refresh: {cron: 1 2 * * *}}}")
    assert "limit pokeapi-public-calls: changed: limit" in said
    assert "deployment refresh/refresh-pokeapi: changed: parameters, schedule refresh" in said
    assert limit()["limit"] == 5
    assert deployment("refresh/refresh-pokeapi")["parameters"] == {"sources": ["pokeapi"], "rate": 2.5}
    assert schedule("refresh/refresh-pokeapi", "refresh")["schedule"]["cron"] == "1 2 * * *"


def test_a_limit_that_an_operator_changed_is_left_alone_until_it_is_overwritten(setup: SetUp) -> None:
    setup()
    call("PATCH", "/v2/concurrency_limits/pokeapi-public-calls", {"limit": 3, "active": False})
    for content in ("", "sources: {pokeapi: {public_calls: 7}}"):
        assert "limit pokeapi-public-calls: left as a person edited it: limit" in setup(content)
        assert limit()["limit"] == 3
    setup("sources: {pokeapi: {public_calls: 7}}", "--overwrite")
    assert (limit()["limit"], limit()["active"]) == (7, False)


def test_an_edited_field_stays_and_the_others_go_on(setup: SetUp) -> None:
    setup()
    there = deployment("refresh/refresh-pokeapi")
    call("PATCH", f"/deployments/{there['id']}", {"description": "Mine", "tags": [*there["tags"], "team:a"]})
    said = setup("sources: {pokeapi: {rate: 1}}")
    assert "refresh-pokeapi: changed: parameters; left as a person edited it: description, tags" in said
    now = deployment("refresh/refresh-pokeapi")
    assert (now["description"], now["parameters"]["rate"], "team:a" in now["tags"]) == ("Mine", 1, True)


def test_what_is_paused_stays_paused_and_a_schedule_added_by_hand_stays(setup: SetUp) -> None:
    setup()
    there = deployment("refresh/refresh-pokeapi")
    path = f"/deployments/{there['id']}"
    call("PATCH", f"{path}/schedules/{there['schedules'][0]['id']}", {"active": False})
    call("POST", f"{path}/schedules", [{"schedule": {"cron": "0 0 1 1 *", "timezone": "UTC"}, "active": True}])
    call("PATCH", f"/deployments/{deployment('discover/discover-pokeapi')['id']}", {"paused": True})
    watching = automation("trawl: mark runs")
    call("PATCH", f"/automations/{watching['id']}", {"enabled": False})

    setup("sources: {pokeapi: {refresh: {cron: 5 5 * * *}}}")
    schedules = {one["slug"]: one for one in deployment("refresh/refresh-pokeapi")["schedules"]}
    assert set(schedules) == {"refresh", None}
    assert (schedules["refresh"]["active"], schedules["refresh"]["schedule"]["cron"]) == (False, "5 5 * * *")
    assert deployment("discover/discover-pokeapi")["paused"]
    assert not automation("trawl: mark runs")["enabled"]


def test_a_schedule_that_a_person_moved_stays_and_one_no_longer_wanted_goes(setup: SetUp) -> None:
    setup("sources: {pokeapi: {refresh: [{cron: 1 1 * * *}, {cron: 2 2 * * *, slug: second}]}}")
    there = deployment("refresh/refresh-pokeapi")
    first = schedule("refresh/refresh-pokeapi", "refresh")
    moved = {"schedule": {"cron": "9 9 * * *", "timezone": "UTC"}}
    call("PATCH", f"/deployments/{there['id']}/schedules/{first['id']}", moved)
    said = setup("sources: {pokeapi: {refresh: [{cron: 1 1 * * *}]}}")
    assert "changed: schedule second; left as a person edited it: schedule refresh" in said
    assert [one["schedule"]["cron"] for one in deployment("refresh/refresh-pokeapi")["schedules"]] == ["9 9 * * *"]
    setup("sources: {pokeapi: {refresh: []}}", "--overwrite")
    assert deployment("refresh/refresh-pokeapi")["schedules"] == []


def test_only_what_trawl_made_is_removed(setup: SetUp) -> None:
    call("POST", "/v2/concurrency_limits/", {"name": "theirs", "limit": 1})
    call("POST", "/variables/", {"name": "theirs", "value": 1})
    setup("variables: {mine: 1}\nlimits: {mine: 1, turned: 1}")
    call("PATCH", "/v2/concurrency_limits/turned", {"limit": 2})
    said = setup("sources: {}\nlimits: {theirs: 1}")
    for line in (
        "deployment refresh/refresh-pokeapi: removed",
        "limit pokeapi-public-calls: removed",
        "limit mine: removed",
        "variable mine: removed",
        "block source-config/pokeapi-source-config: removed",
        "automation trawl: refresh pokeapi when a discovery finds something due: removed",
        "limit turned: left as a person edited it",
    ):
        assert line in said, said
    setup("sources: {}")  # `theirs` was wanted, and as it should be, but set-up never made it
    assert {one["name"] for one in call("POST", "/v2/concurrency_limits/filter", {})} == {"theirs", "turned"}
    assert {one["name"] for one in call("POST", "/variables/filter", {})} == {"theirs"}


def test_two_installations_on_one_server_leave_each_other_alone(setup: SetUp) -> None:
    setup("pool: {name: one}")
    said = setup("pool: {name: two}\nsources: {}")
    assert "removed" not in said
    said = setup("pool: {name: two}")
    assert "left as somebody else made it: work_pool_name" in said
    assert deployment("refresh/refresh-pokeapi")["work_pool_name"] == "one"
    assert all(line.endswith("up to date") for line in setup("pool: {name: one}").splitlines())


def test_a_pool_of_another_type_is_refused_before_anything_is_changed(setup: SetUp, capsys: Any) -> None:
    call("POST", "/work_pools/", {"name": "trawl", "type": "docker"})
    assert invoke(["setup"]) == 2
    assert "is of type 'docker', not 'process'" in capsys.readouterr().err
    assert not call("POST", "/deployments/filter", {})


TWO_POOLS = """
pools:
  big: {queues: [urgent, default], concurrency: 2}
sources:
  pokeapi: {pool: big}
"""


def test_a_source_runs_in_a_pool_of_its_own(setup: SetUp) -> None:
    setup(TWO_POOLS)
    assert {one["name"] for one in call("POST", "/work_pools/filter", {})} == {"trawl", "big"}
    assert call("GET", "/work_pools/big")["concurrency_limit"] == 2
    queues = call("POST", "/work_pools/big/queues/filter", {})
    assert {one["name"]: one["priority"] for one in queues} == {"urgent": 1, "default": 2}
    assert deployment("refresh/refresh-pokeapi")["work_pool_name"] == "big"
    assert deployment("crawl-shard/crawl-shard")["work_pool_name"] == "trawl"
    assert all(line.endswith(": up to date") for line in setup(TWO_POOLS).splitlines())
    said = setup("sources: {pokeapi: {}}")
    assert "deployment refresh/refresh-pokeapi: changed: work_pool_name" in said
    assert deployment("refresh/refresh-pokeapi")["work_pool_name"] == "trawl"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("sources: {pokeapi: {pool: big}}", "sources.pokeapi.pool: no pool 'big' is described"),
        ("pools: {trawl: {}}", "pools.trawl: it is the installation's own pool"),
    ],
)
def test_a_pool_that_is_not_there_is_named(setup: SetUp, capsys: Any, wrong: str, said: str) -> None:
    setup.file.write_text(wrong)
    assert invoke(["setup", "--config", str(setup.file)]) == 2
    assert said in " ".join(capsys.readouterr().err.split())
    assert not call("POST", "/work_pools/filter", {})


def test_the_sources_block_can_be_edited_field_by_field(setup: SetUp) -> None:
    setup()
    there = document("source-config/pokeapi-source-config")
    assert there["data"]["api_base_url"] == "https://pokeapi.co/api/v2"
    assert there["data"]["refresh_interval_hours"] == 24
    call(
        "PATCH",
        f"/block_documents/{there['id']}",
        {"data": {"refresh_interval_hours": 48}, "merge_existing_data": True},
    )
    assert "left as a person edited it: refresh_interval_hours" in setup()
    assert document("source-config/pokeapi-source-config")["data"]["refresh_interval_hours"] == 48


def test_secrets_come_by_reference_and_are_never_shown(
    setup: SetUp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "key").write_text("canary-in-a-file\n")
    monkeypatch.setenv("CANARY", "canary-one")
    monkeypatch.setenv("SLACK", "https://hooks.slack.com/services/canary")
    content = f"secrets: {{one: {{env: CANARY}}, two: {{file: {tmp_path / 'key'}}}}}\nnotify: {{slack: {{env: SLACK}}}}"
    said = setup(content, "--dry-run") + setup(content)
    assert document("secret/one")["data"]["value"] == "canary-one"
    assert document("secret/two")["data"]["value"] == "canary-in-a-file"
    monkeypatch.setenv("CANARY", "canary-two")
    said += setup(content, "--dry-run")
    assert "    value: (hidden) -> (hidden)" in said
    assert "block secret/one: changed: value" in setup(content)
    assert document("secret/one")["data"]["value"] == "canary-two"
    assert (
        automation("trawl: tell of failed runs")["actions"][0]["block_document_id"]
        == (document("slack-webhook/trawl-notifications")["id"])
    )
    assert "canary" not in said + setup("")
    assert "canary" not in str(document("trawl-setup-state/trawl-setup-trawl")["data"])


@contextmanager
def object_store() -> Iterator[tuple[str, set[str]]]:
    """As much of S3 as buckets need: its address, and the buckets in it."""
    buckets: set[str] = set()

    async def app(scope: Any, _receive: Any, send: Any) -> None:
        bucket = scope["path"].strip("/")
        if scope["method"] == "PUT":
            buckets.add(bucket)
        await reply(send, (200 if bucket in buckets else 404, [(b"content-length", b"0")], b""))

    with running(app) as url:
        yield url.removesuffix("/api/v2"), buckets


def test_results_get_a_bucket_and_the_blocks_that_lead_to_it(setup: SetUp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "user-of-minio")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary-password")
    with object_store() as (address, buckets):
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        content = "results: {bucket: minio-crawler-results}\nbuckets: [trawl-lake]"
        said = setup(content, "--dry-run")
        assert "bucket trawl-lake: would be made" in said
        assert not buckets
        said += setup(content)
        assert buckets == {"trawl-lake", "minio-crawler-results"}
        assert all(line.endswith("up to date") for line in setup(content).splitlines())
        kept = setup("sources: {}")
        assert "block s3-bucket/minio-crawler-results: removed" in kept
        assert buckets == {"trawl-lake", "minio-crawler-results"}
        said += kept + setup(content)
    assert "canary" not in said

    async def load() -> Any:
        return await block_class("s3-bucket").aload("minio-crawler-results")

    bucket = asyncio.run(load())
    assert bucket.bucket_name == "minio-crawler-results"
    assert bucket.credentials.minio_root_user == "user-of-minio"
    assert bucket.credentials.minio_root_password.get_secret_value() == "canary-password"
    assert bucket.credentials.aws_client_parameters.endpoint_url == address


def test_results_without_a_key_are_refused_before_anything_is_changed(
    setup: SetUp, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY", raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "user")
    setup.file.write_text("results: {}")
    assert invoke(["setup", "--config", str(setup.file)]) == 2
    assert "results: the environment variable AWS_SECRET_ACCESS_KEY is not set" in capsys.readouterr().err
    assert not call("POST", "/work_pools/filter", {})


def test_a_pool_on_kubernetes_takes_the_files_template_and_its_variables_alone(
    setup: SetUp, capsys: pytest.CaptureFixture[str]
) -> None:
    content = """
pool:
  type: kubernetes
  base_job_template:
    job_configuration: {image: "{{ image }}", env: "{{ env }}"}
    variables:
      type: object
      properties: {image: {type: string, default: %s}, env: {type: object}, memory_limit: {type: string}}
sources: {pokeapi: {job_variables: {memory_limit: 2Gi, env: {A: "1"}}}}
"""
    setup(content % "a")
    found = deployment("refresh/refresh-pokeapi")
    assert found["job_variables"]["memory_limit"] == "2Gi"
    assert found["job_variables"]["env"] == {
        "A": "1",
        "PREFECT_LOGGING_EXTRA_LOGGERS": "trawl",
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
    }
    assert found["pull_steps"][0]["prefect.deployments.steps.set_working_directory"] == {"directory": "/tmp"}
    assert "work pool trawl: changed: base_job_template" in setup(content % "b")
    setup.file.write_text((content % "b").replace("memory_limit: 2Gi", "memory_limt: 2Gi"))
    assert invoke(["setup", "--config", str(setup.file)]) == 2
    said = capsys.readouterr().err
    assert "memory_limt" in said
    assert "did you mean 'memory_limit'?" in said


def test_an_automation_waits_for_the_block_that_a_person_has_yet_to_make(setup: SetUp) -> None:
    content = "notify: {block: slack-webhook/alerts}"
    assert "trawl: tell of failed runs: waits for the block slack-webhook/alerts" in setup(content)
    theirs: Any = block_class("slack-webhook").model_validate({"url": "https://hooks.slack.com/services/A/B/C"})
    theirs.save("alerts")
    assert "automation trawl: tell of failed runs: made" in setup(content)


def test_a_pools_own_template_stays_where_the_file_gives_none(setup: SetUp) -> None:
    template = {"job_configuration": {"env": "{{ env }}"}, "variables": {"type": "object", "properties": {"env": {}}}}
    call("POST", "/work_pools/", {"name": "trawl", "type": "process", "base_job_template": template})
    assert "work pool trawl: up to date" in setup()
    assert call("GET", "/work_pools/trawl")["base_job_template"] == template


def test_an_automation_that_was_lost_or_turned_is_made_again_or_left(setup: SetUp) -> None:
    setup()
    watching = automation("trawl: refresh pokeapi")
    assert watching["actions"][0]["deployment_id"] == deployment("refresh/refresh-pokeapi")["id"]
    call("DELETE", f"/automations/{watching['id']}")
    stuck = automation("trawl: runs that do not start")
    turned = {part: stuck[part] for part in ("name", "tags", "description", "trigger", "actions")}
    call("PUT", f"/automations/{stuck['id']}", {**turned, "trigger": {**stuck["trigger"], "within": 60}})
    said = setup("watch: {stuck: 30m}")
    assert "automation trawl: refresh pokeapi when a discovery finds something due: made" in said
    assert "runs that do not start: changed: description, actions; left as a person edited it: trigger" in said
    assert automation("trawl: runs that do not start")["trigger"]["within"] == 60


def test_rules_of_ones_own_start_a_run_with_what_the_event_says(setup: SetUp) -> None:
    setup(
        "automations: {mine: {event: shop.order.placed, resource: shop.*, run: refresh-pokeapi,"
        " parameters: {endpoints: ['{{ event.payload.kind }}']}}}"
    )
    made = automation("mine")
    template = {"__prefect_kind": "jinja", "template": "{{ event.payload.kind }}"}
    assert made["actions"][0]["parameters"] == {"endpoints": [template]}
    assert "automation mine: up to date" in setup(setup.file.read_text())


def test_two_set_ups_at_once_end_as_one_does(setup: SetUp) -> None:
    async def both() -> None:
        await asyncio.gather(apply(Settings()), apply(Settings()))

    asyncio.run(both())
    assert all(line.endswith("up to date") for line in setup("").splitlines())
    names = [one["name"] for one in call("POST", "/automations/filter", {})]
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize("after", [1, 6])
def test_a_set_up_that_is_cut_off_anywhere_goes_on_the_next_time(
    after: int, setup: SetUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the file changes in between: it knows its own work, and takes nothing for a person's."""
    setup()
    done = 0

    def counting(original: Any) -> Any:
        async def counted(server: Server, *arguments: Any) -> None:
            nonlocal done
            if done == after:
                raise ConnectionError("cut off")
            done += 1
            await original(server, *arguments)

        return counted

    changed = "sources: {pokeapi: {public_calls: %d, rate: %d, refresh: {cron: %d 5 * * *}}}\nvariables: {a: %d}"
    with monkeypatch.context() as cut:
        for kind in KINDS.values():
            cut.setattr(type(kind), "change", counting(kind.change))
            cut.setattr(type(kind), "make", counting(kind.make))
        setup.file.write_text(changed % (2, 2, 2, 2))
        assert invoke(["setup", "--config", str(setup.file)]) in {0, 1}
    said = setup(changed % (3, 3, 3, 3))
    assert "person" not in said
    assert limit()["limit"] == 3
    assert schedule("refresh/refresh-pokeapi", "refresh")["schedule"]["cron"] == "3 5 * * *"
