"""The two tasks that ask a source for a few records: names, keys of their caches, how long they last, what they refuse."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from prefect import flow
from prefect.client.schemas.objects import State

from trawl.orchestration.configured import configured_crawler
from trawl.orchestration.tasks import (
    discover_all_item_ids_for_source,
    fetch_and_save_item_details_for_source,
    lasting,
)
from trawl.replica import ReplicaApp
from trawl.sources import get_crawler
from trawl.transport import http_client

pytestmark = [
    pytest.mark.xdist_group("prefect"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def states(*wanted: Any, **more: Any) -> list[State[Any]]:
    """Call tasks within a flow: (task, endpoint, further arguments)."""

    @flow
    async def ask() -> list[State[Any]]:
        crawler = await configured_crawler("pokeapi")
        async with http_client(crawler.config_block, rate="unlimited") as client:
            found = []
            for task, endpoint, given in wanted:
                quick = task.with_options(retry_delay_seconds=0)
                found.append(await quick(crawler, endpoint, client=client, return_state=True, **given))
            return found

    state = asyncio.run(ask(return_state=True))
    return asyncio.run(state.aresult(raise_on_failure=False))


def value(state: State[Any]) -> Any:
    return asyncio.run(state.aresult(raise_on_failure=False))


def test_a_list_is_keys_and_labels_up_to_a_number(replica: ReplicaApp) -> None:
    (state,) = states((discover_all_item_ids_for_source, "pokemon", {"max_items": 2}))
    assert value(state) == [{"key": "1", "label": "bulbasaur"}, {"key": "2", "label": "ivysaur"}]


@pytest.mark.parametrize("number", [0, 26])
def test_more_than_a_few_records_are_refused_with_what_to_do_instead(replica: ReplicaApp, number: int) -> None:
    (state,) = states((discover_all_item_ids_for_source, "pokemon", {"max_items": number}))
    assert state.is_failed()
    assert "refresh-pokeapi" in str(value(state))
    assert replica.stats.requests == 0


def test_an_unknown_endpoint_names_the_known_ones(replica: ReplicaApp) -> None:
    (state,) = states((fetch_and_save_item_details_for_source, "pokemons", {"key": "1"}))
    assert "pokemon-species" in str(value(state))


def test_a_saved_record_lies_under_its_source_and_path(replica: ReplicaApp, tmp_path: Path) -> None:
    fetch = fetch_and_save_item_details_for_source
    first, second = states((fetch, "pokemon", {"key": "25"}), (fetch, "pokemon", {"key": "25"}))
    assert (first.name, second.name) == ("Completed", "Cached")
    assert value(second)["name"] == "pikachu"
    assert replica.stats.requests == 1
    (file,) = (tmp_path / "results" / "pokeapi").glob("*/pokemon/25.json")
    assert "pikachu" in file.read_text()


def test_what_one_address_answered_is_not_taken_for_another_ones(
    replica: ReplicaApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch = (fetch_and_save_item_details_for_source, "pokemon", {"key": "25"})
    assert [state.name for state in states(fetch)] == ["Completed"]
    monkeypatch.setenv("TRAWL_SOURCE_POKEAPI_BASE_URL", "http://127.0.0.1:1/api/v2")
    (state,) = states(fetch)
    assert not state.is_completed()


def test_a_refusal_is_not_tried_again(replica: ReplicaApp) -> None:
    (state,) = states((fetch_and_save_item_details_for_source, "pokemon", {"key": "9999"}))
    assert "pokemon 9999: 404" in str(value(state))
    assert replica.stats.requests == 1


def test_results_last_as_long_as_the_source_says(replica: ReplicaApp) -> None:
    crawler = asyncio.run(configured_crawler("pokeapi"))
    made = lasting(fetch_and_save_item_details_for_source, crawler, "pokemon", force=True)
    assert made.cache_expiration == timedelta(hours=24)
    assert made.refresh_cache
    assert fetch_and_save_item_details_for_source.refresh_cache is not True


def test_names_follow_the_form_parent_dot_child() -> None:
    assert discover_all_item_ids_for_source.task_run_name == "{crawler.source_name}.{endpoint}.discover"
    assert fetch_and_save_item_details_for_source.task_run_name == "{crawler.source_name}.{endpoint}.{key}"


async def test_a_tasks_function_is_tested_with_a_faked_answer_and_no_server() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        assert request.url == "https://pokeapi.co/api/v2/pokemon/25/"
        return httpx.Response(200, json={"id": 25, "name": "pikachu"})

    transport = httpx.MockTransport(answer)
    async with httpx.AsyncClient(base_url="https://pokeapi.co/api/v2/", transport=transport) as client:
        found = await fetch_and_save_item_details_for_source.fn(get_crawler("pokeapi"), "pokemon", "25", client)
    assert found == {"id": 25, "name": "pikachu"}
