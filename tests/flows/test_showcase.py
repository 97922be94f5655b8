"""The showcase, end to end on a real server of the tests' own, against the examples' few records."""

import asyncio
import os
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from prefect import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey, LogFilter, LogFilterFlowRunId
from prefect.client.schemas.objects import Artifact, State
from prefect.events import Event
from prefect.utilities.callables import parameter_schema
from prefect.variables import Variable
from prefect_aws import MinIOCredentials, S3Bucket
from prefect_aws.client_parameters import AwsClientParameters
from showcase import showcase

import trawl
from trawl.orchestration.tasks import MOST
from trawl.replica import Catalogue, ReplicaApp

pytestmark = [
    pytest.mark.xdist_group("prefect"),
    pytest.mark.usefixtures("prefect"),
    # Prefect's own: its client of events leaves its connection to the end of the process.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def run(**parameters: Any) -> State[Any]:
    given = {"max_pokemon_to_discover_in_showcase": 3} | parameters
    state: State[Any] = asyncio.run(showcase.with_options(retries=0)(**given, return_state=True))
    return state


def result(state: State[Any]) -> dict[str, Any]:
    return asyncio.run(state.aresult())


class Without:
    """A catalogue that has lost one of its documents."""

    def __init__(self, whole: Catalogue, path: str) -> None:
        self._whole, self._lost = whole, path
        self.release, self.endpoints = whole.release, whole.endpoints

    def find(self, path: str) -> Any:
        return None if path == self._lost else self._whole.find(path)


async def log_of(state: State[Any]) -> str:
    """The run's log, once its last line has come."""
    wanted = LogFilter(flow_run_id=LogFilterFlowRunId(any_=[state.state_details.flow_run_id]))
    log = ""
    for _ in range(100):
        async with get_client() as client:
            log = "\n".join([line.message for line in await client.read_logs(wanted)])
        if f"Finished in state {state.name}({state.message!r})" in log:
            break
        await asyncio.sleep(0.1)
    return log


async def told(name: str, since: datetime, number: int) -> list[Event]:
    """The events of this name, once there are so many."""
    found: list[Event] = []
    for _ in range(100):
        async with get_client() as client:
            wanted = {"filter": {"event": {"name": [name]}, "occurred": {"since": since.isoformat()}}, "limit": 50}
            answer = await client._client.post("/events/filter", json=wanted)
            found = [Event.model_validate(event) for event in answer.json()["events"]]
        if len(found) >= number:
            break
        await asyncio.sleep(0.1)
    return found


async def artifact(key: str) -> Artifact:
    async with get_client() as client:
        found = await client.read_artifacts(artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=[key])))
    return max(found, key=lambda each: each.updated)


def test_the_showcase_completes_with_three_records(replica: ReplicaApp) -> None:
    state = run()
    assert state.is_completed()
    assert state.name == "Completed"
    found = result(state)
    assert found["processed"] == ["bulbasaur", "ivysaur", "venusaur"]
    assert found["spotlight"]["name"] == "pikachu"
    assert found["evolutions"] == [["pichu", "pikachu", "raichu"]]
    assert found["failed"] == {}
    assert found["greeting"] == "Hello from the showcase"


def test_a_branching_chain_is_walked_to_each_of_its_ends(replica: ReplicaApp) -> None:
    ways = result(run(pokemon_to_spotlight="eevee"))["evolutions"]
    assert len(ways) == 8
    assert {tuple(way[:1]) for way in ways} == {("eevee",)}


def test_what_is_saved_and_fresh_is_not_asked_for_again_unless_forced(replica: ReplicaApp) -> None:
    def asked(**parameters: Any) -> int:
        before = replica.stats.requests
        assert run(**parameters).is_completed()
        return replica.stats.requests - before

    first = asked()
    assert first == 7  # the spotlight, the list, three records, the species and its chain
    assert asked() == 1  # the species, which is not saved
    assert asked(force_detail_refresh=True) == first


def test_a_record_that_fails_is_named_in_the_result(replica: ReplicaApp) -> None:
    replica.catalogue = Without(replica.catalogue, "pokemon/2")
    state = run()
    assert (state.name, state.is_completed()) == ("Incomplete", True)
    assert "ivysaur" in str(state.message)
    found = result(state)
    assert found["processed"] == ["bulbasaur", "venusaur"]
    assert "404" in found["failed"]["ivysaur"]
    assert "ivysaur is missing" in asyncio.run(artifact("pokemon-spotlight-report-pikachu")).data


def test_a_spotlight_that_nobody_knows_fails_with_its_cause(replica: ReplicaApp) -> None:
    state = run(pokemon_to_spotlight="missingno")
    assert state.is_failed()
    assert "pokemon missingno: 404" in str(state.message)
    assert "there is no block slack-webhook/showcase-alerts" in asyncio.run(log_of(state))


def test_a_failure_is_told_to_people_where_there_is_a_block_that_says_how(
    replica: ReplicaApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []

    class Slack:
        async def notify(self, body: str, subject: str) -> None:
            told.append(f"{subject}: {body}")

    async def load(name: str) -> Slack:
        assert name == "showcase-alerts"
        return Slack()

    monkeypatch.setattr("showcase.SlackWebhook.aload", load)
    assert run(pokemon_to_spotlight="missingno").is_failed()
    (message,) = told
    assert message.startswith("showcase.missingno is Failed: ")
    assert "404" in message


@pytest.mark.s3
def test_results_in_a_bucket_are_found_without_a_request(replica: ReplicaApp, s3: str) -> None:
    bucket, _, prefix = s3.removeprefix("s3://").partition("/")
    credentials = MinIOCredentials(
        minio_root_user=os.environ["AWS_ACCESS_KEY_ID"],
        minio_root_password=os.environ["AWS_SECRET_ACCESS_KEY"],
        aws_client_parameters=AwsClientParameters(endpoint_url=os.environ["AWS_ENDPOINT_URL"]),
    )
    credentials.save("test-minio", overwrite=True)
    folder = f"{prefix}/{uuid4().hex}".lstrip("/")
    S3Bucket(bucket_name=bucket, bucket_folder=folder, credentials=credentials).save("test-results", overwrite=True)
    assert run(minio_results_block_name="test-results").is_completed()
    replica.stats.reset()
    assert run(minio_results_block_name="test-results").is_completed()
    assert replica.stats.requests == 1  # the species, which is not saved


def test_artifacts_have_keys_of_their_own_and_a_placeholder_for_a_sprite_that_is_missing(replica: ReplicaApp) -> None:
    assert run(pokemon_to_spotlight=" Mr-Mime ").is_completed()
    assert "# Mr-Mime" in asyncio.run(artifact("pokemon-spotlight-report-mr-mime")).data
    assert asyncio.run(artifact("pokemon-sprite-mr-mime")).data.startswith("data:image/svg+xml")
    assert "ivysaur" in asyncio.run(artifact("pokemon-showcase-sample-table")).data
    assert "https://pokeapi.co/api/v2/pokemon/122/" in asyncio.run(artifact("spotlight-pokemon-api-link")).data
    assert asyncio.run(artifact("showcase-progress")).data == 100.0


def test_an_event_tells_of_each_pokemon(replica: ReplicaApp) -> None:
    since = datetime.now(UTC)
    assert run().is_completed()
    events = {event.resource.id: event for event in asyncio.run(told("showcase.pokemon.processed", since, 3))}
    assert events.keys() == {f"pokeapi.pokemon.{name}" for name in ("bulbasaur", "ivysaur", "venusaur")}
    assert events["pokeapi.pokemon.ivysaur"].payload == {"id": 2, "name": "ivysaur", "types": ["grass", "poison"]}


def test_the_greeting_is_a_variable(replica: ReplicaApp) -> None:
    Variable.set("pokeapi_showcase_greeting", "Good morning", tags=["showcase"], overwrite=True)
    try:
        state = run()
    finally:
        Variable.unset("pokeapi_showcase_greeting")
    assert result(state)["greeting"] == "Good morning"


def test_hooks_and_prints_are_in_the_log_of_the_run(replica: ReplicaApp) -> None:
    log = asyncio.run(log_of(run()))
    for line in ("showcase.pikachu runs", "published, as pikachu is complete", "showcase.pikachu has come to its end"):
        assert line in log


def test_the_form_has_a_drop_down_a_date_picker_bounds_and_defaults() -> None:
    fields = parameter_schema(showcase).properties
    assert fields["report_length"]["enum"] == ["short", "full"]
    assert fields["count_runs_since"]["format"] == "date"
    assert fields["count_runs_since"]["default"] == "2026-01-01"
    assert (fields["max_pokemon_to_discover_in_showcase"]["minimum"], MOST) == (1, 25)
    assert fields["max_pokemon_to_discover_in_showcase"]["maximum"] == MOST
    assert fields["pokemon_to_spotlight"]["default"] == "pikachu"
    assert all(field["description"] for field in fields.values())


@pytest.mark.parametrize(
    "wrong",
    [
        {"pokemon_to_spotlight": "../1"},
        {"pokemon_to_spotlight": ""},
        {"max_pokemon_to_discover_in_showcase": 26},
        {"report_length": "long"},
    ],
)
def test_a_wrong_parameter_ends_the_run_before_any_request(replica: ReplicaApp, wrong: dict[str, Any]) -> None:
    state = run(**wrong)
    assert state.is_failed()
    assert next(iter(wrong)) in str(state.message)
    assert replica.stats.requests == 0


def test_the_flow_says_what_it_is() -> None:
    assert showcase.name == "Ultimate PokeAPI Prefect Showcase"
    assert showcase.description
    assert showcase.version.startswith(trawl.__version__)
    assert (showcase.retries, showcase.retry_delay_seconds, showcase.timeout_seconds) == (1, 30, 3600)
    assert showcase.log_prints
    assert showcase.persist_result
