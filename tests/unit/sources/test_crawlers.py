"""What a source answers: the shipped one by its description, alone as in a run."""

from pathlib import Path

import pytest

from tests.conftest import World
from tests.crawling import contents, run
from trawl.cli.app import invoke
from trawl.model.errors import ConfigurationError, Skippable, TornListing
from trawl.sources import Item, PokeApiCrawler, Validators, YamlCrawler, parse_source, registry
from trawl.transport import http_client

MEMBERS = {
    "source_name",
    "config_block",
    "get_api_key",
    "discover_item_ids",
    "fetch_item_details",
    "get_item_unique_id_from_summary_data",
    "get_data_path_for_item",
    "get_refresh_interval_hours",
    "get_gcl_name",
}


def test_the_protocol_has_nine_members() -> None:
    assert set(registry._members) == MEMBERS


def test_pokeapi_answers_by_its_description() -> None:
    crawler = PokeApiCrawler()
    summary = {"name": "pikachu", "url": "https://pokeapi.co/api/v2/pokemon/25/"}
    assert crawler.source_name == crawler.config_block.name == "pokeapi"
    assert crawler.get_api_key() is None
    assert crawler.get_item_unique_id_from_summary_data("pokemon", summary) == "25"
    assert crawler.get_data_path_for_item("pokemon", "25") == "pokeapi/pokemon/25.json"
    assert crawler.get_refresh_interval_hours("pokemon") == 24
    assert crawler.get_gcl_name() == "pokeapi-public-calls"
    with pytest.raises(TornListing):
        crawler.get_item_unique_id_from_summary_data("pokemon", {"name": "pikachu"})


async def test_lists_and_records_can_be_had_outside_of_a_run(world: World) -> None:
    crawler = PokeApiCrawler()
    async with http_client(crawler.config_block, base_url=world.url, rate="unlimited") as client:
        batches = [batch async for batch in crawler.discover_item_ids("pokemon", client)]
        assert sum(len(batch.items) for batch in batches) == batches[0].count
        assert batches[0].response is not None
        known = Validators(batches[0].response.headers["etag"])
        again = [batch async for batch in crawler.discover_item_ids("pokemon", client, known)]
        assert [(batch.items, batch.response and batch.response.status_code) for batch in again] == [([], 304)]
        for summary in batches[0].items[:3]:
            key = crawler.get_item_unique_id_from_summary_data("pokemon", summary)
            by_key = await crawler.fetch_item_details(Item("pokemon", key), client)
            by_url = await crawler.fetch_item_details(Item("pokemon", key, path=summary["url"]), client)
            assert (by_key.status_code, by_key.content) == (200, by_url.content)
            held = Item("pokemon", key, etag=by_key.headers["etag"])
            assert (await crawler.fetch_item_details(held, client)).status_code == 304
        assert (await crawler.fetch_item_details(Item("pokemon", "999999"), client)).status_code == 404
        assert [batch.items async for batch in crawler.discover_item_ids("stat", client)] != []


async def test_what_only_a_run_can_tell_is_refused_with_its_reason(world: World) -> None:
    crawler = PokeApiCrawler()
    async with http_client(crawler.config_block, base_url=world.url, rate="unlimited") as client:
        with pytest.raises(Skippable, match="can be filled in only from its list or its parent"):
            await crawler.fetch_item_details(Item("pokemon-encounters", "25"), client)
        with pytest.raises(ConfigurationError, match="follows its parent's records"):
            await anext(crawler.discover_item_ids("pokemon-encounters", client))
        whole = YamlCrawler(parse_source("name: w\nbase_url: https://h\nendpoints: {a: {detail: null}}", "t"))
        with pytest.raises(Skippable, match="there is nothing to fetch"):
            await whole.fetch_item_details(Item("a", "1"), client)


def test_a_class_without_a_description_needs_a_configuration() -> None:
    with pytest.raises(ConfigurationError, match="YamlCrawler has no configuration"):
        YamlCrawler()


def test_a_record_is_exported_to_the_path_that_its_source_names(world: World, tmp_path: Path) -> None:
    run(tmp_path / "lake", world.url, endpoints=("machine", "pokemon"))
    folder = tmp_path / "files"
    assert (
        invoke(["export", "pokeapi", "--to", str(folder), "--format", "files", "--lake", str(tmp_path / "lake")]) == 0
    )
    named = {PokeApiCrawler().get_data_path_for_item(*record) for record in contents(tmp_path / "lake")}
    assert named
    assert {str(file.relative_to(folder)) for file in folder.rglob("*.json")} == named
