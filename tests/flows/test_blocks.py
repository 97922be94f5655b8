"""A source's block: its form, how it is registered, and what a run makes of it."""

import asyncio
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prefect import get_client
from prefect.blocks.core import Block
from prefect.settings import PREFECT_API_URL
from pydantic import ValidationError

from trawl.model.config import SourceConfig
from trawl.model.errors import ConfigurationError
from trawl.orchestration.blocks import SourceConfigBlock, block_class
from trawl.orchestration.configured import configured_crawler, fields_of_source, overlaid
from trawl.sources import load_source, parse_source
from trawl.transport.hosts import base_url_of

NAME = "pokeapi-source-config"


def with_block(**fields: Any) -> SourceConfig:
    return overlaid(load_source("pokeapi"), SourceConfigBlock(**fields), NAME)


def test_every_field_of_the_form_has_a_title_and_a_description() -> None:
    properties = SourceConfigBlock.model_json_schema()["properties"]
    assert list(properties) == [
        "api_base_url",
        "api_key_block_name",
        "gcl_name",
        "list_endpoint",
        "page_size_param",
        "page_number_param",
        "default_page_size",
        "item_list_path_in_response",
        "item_id_field_in_summary",
        "pagination_total_pages_path_in_response",
        "detail_endpoint_template",
        "refresh_interval_hours",
        "item_list_cache_ttl_seconds",
    ]
    assert all(field["title"] and field["description"] for field in properties.values())
    assert SourceConfigBlock.get_description()
    assert (SourceConfigBlock().refresh_interval_hours, SourceConfigBlock().item_list_cache_ttl_seconds) == (24, 3600)


def test_a_block_that_repeats_the_description_changes_nothing() -> None:
    source = load_source("pokeapi")
    assert overlaid(source, SourceConfigBlock(**fields_of_source(source)), NAME) == source


def test_each_field_takes_its_place() -> None:
    made = with_block(
        api_base_url="http://127.0.0.1:1/",
        api_key_block_name="none",
        gcl_name="shared",
        list_endpoint="all/{endpoint}",
        page_size_param="size",
        page_number_param="start",
        default_page_size=50,
        item_list_path_in_response="data.items",
        item_id_field_in_summary="id",
        pagination_total_pages_path_in_response="total",
        detail_endpoint_template="{endpoint}/{item_id}",
        refresh_interval_hours=1.5,
    )
    one = made.endpoints["pokemon"]
    assert one.list is not None
    assert one.detail is not None
    pages: Any = one.list.pagination
    assert (made.base_url, made.calls_limit) == ("http://127.0.0.1:1", "shared")
    assert made.credentials is not None
    assert made.credentials.block == "none"
    assert (one.list.path, one.list.items, one.list.count) == ("all/{endpoint}", "data.items", "total")
    assert (pages.limit_param, pages.offset_param, pages.limit) == ("size", "start", 50)
    assert (one.key.field, one.key.pattern, one.detail.path) == ("id", None, "{endpoint}/{key}")
    assert one.freshness.total_seconds() == 5400
    child = made.endpoints["pokemon-encounters"]
    assert child.detail is not None
    assert child.detail.path == "{parent.location_area_encounters}"


def test_an_empty_field_of_the_form_leaves_the_description_as_it_is() -> None:
    empty = dict.fromkeys(SourceConfigBlock.model_fields, "")
    empty |= {"default_page_size": None, "refresh_interval_hours": None, "item_list_cache_ttl_seconds": None}
    assert with_block(**empty) == load_source("pokeapi")


def test_endpoints_that_differ_keep_what_each_of_them_says() -> None:
    text = "name: a\nbase_url: https://h\nendpoints: {x: {freshness: 1h}, y: {freshness: 2h}}"
    source = parse_source(text, "test")
    fields = fields_of_source(source)
    assert fields["refresh_interval_hours"] is None
    assert overlaid(source, SourceConfigBlock(**fields), "a-source-config") == source


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("api_base_url", "pokeapi", "not an http(s) address"),
        ("api_base_url", "https://me:secret@h", "credentials"),
        ("api_key_block_name", "My Key", "Secret block"),
        ("detail_endpoint_template", "pokemon/", "the same for every record"),
        ("detail_endpoint_template", "{endpoint}/{nmae}", "{nmae}"),
        ("list_endpoint", "https://elsewhere/x", "relative"),
        ("default_page_size", 0, "greater than or equal to 1"),
        ("refresh_interval_hours", -1, "greater than or equal to 0"),
    ],
)
def test_a_value_that_cannot_be_is_refused_where_it_is_written(field: str, value: Any, words: str) -> None:
    with pytest.raises(ValidationError) as refused:
        SourceConfigBlock(**{field: value})
    assert words in str(refused.value)
    assert field in str(refused.value)


def test_what_the_source_cannot_take_names_block_field_and_remedy() -> None:
    with pytest.raises(ConfigurationError) as refused:
        with_block(list_endpoint="pokemon")
    said = str(refused.value)
    assert not [word for word in (NAME, "list_endpoint", "{endpoint}", "49 endpoints", "in the UI") if word not in said]


# -- on a server -------------------------------------------------------------------------------------------

on_a_server = [pytest.mark.usefixtures("prefect"), pytest.mark.xdist_group("prefect")]


@pytest.fixture
def no_block(prefect: None) -> Iterator[None]:
    yield
    asyncio.run(forget())


async def forget() -> None:
    async with get_client() as client:
        for one in (await client.request("POST", "/block_documents/filter", json={})).json():
            await client.request("DELETE", f"/block_documents/{one['id']}")


async def edit(**fields: Any) -> None:
    """As the UI's form does: nothing is checked but the schema."""
    async with get_client() as client:
        slug = SourceConfigBlock.get_block_type_slug()
        path = f"/block_types/slug/{slug}/block_documents/name/{NAME}"
        there = (await client.request("GET", path)).json()
        body = {"data": fields, "merge_existing_data": True}
        await client.request("PATCH", f"/block_documents/{there['id']}", json=body)


class TestOnAServer:
    pytestmark = on_a_server

    def test_an_edited_block_holds_at_the_next_run(self, no_block: None, monkeypatch: pytest.MonkeyPatch) -> None:
        async def story() -> list[SourceConfig]:
            await SourceConfigBlock(api_base_url="http://one.example").save(NAME, overwrite=True)
            before = await configured_crawler("pokeapi")
            await edit(api_base_url="http://two.example", refresh_interval_hours=48)
            after = await configured_crawler("pokeapi")
            return [before.config_block, after.config_block]

        before, after = asyncio.run(story())
        assert [before.base_url, after.base_url] == ["http://one.example", "http://two.example"]
        assert after.endpoints["pokemon"].freshness.total_seconds() == 48 * 3600
        monkeypatch.setenv("TRAWL_SOURCE_POKEAPI_BASE_URL", "http://env.example")
        assert base_url_of(after, None) == "http://env.example"
        assert base_url_of(after, "http://flag.example") == "http://flag.example"

    def test_without_a_block_the_description_holds_and_the_log_says_so(
        self, no_block: None, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level("INFO")
        crawler = asyncio.run(configured_crawler("pokeapi", logging.getLogger("test")))
        assert crawler.config_block == load_source("pokeapi")
        assert f"no block {NAME}" in caplog.text

    def test_a_broken_block_names_itself_and_its_field(self, no_block: None) -> None:
        async def story() -> None:
            await SourceConfigBlock().save(NAME, overwrite=True)
            await edit(api_base_url="nonsense")
            await configured_crawler("pokeapi")

        with pytest.raises(ConfigurationError) as refused:
            asyncio.run(story())
        assert f"the block {NAME}: api_base_url: 'nonsense' is not an http(s) address" in str(refused.value)
        assert "in the UI" in str(refused.value)

    @pytest.mark.parametrize("how", ["-m", "-f"])
    def test_prefects_own_command_registers_it(self, how: str, no_block: None) -> None:
        module = "trawl.orchestration.blocks"
        file = str(Path(sys.modules[module].__file__ or ""))
        command = [sys.executable, "-m", "prefect", "block", "register", how, module if how == "-m" else file]
        env = {**os.environ, "PREFECT_API_URL": str(PREFECT_API_URL.value())}
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Source Config" in done.stdout

    def test_what_set_up_makes_is_what_its_class_reads(self, no_block: None) -> None:
        async def story() -> Block:
            await SourceConfigBlock(**fields_of_source(load_source("pokeapi"))).save(NAME, overwrite=True)
            return await block_class("source-config").aload(NAME)

        assert isinstance(asyncio.run(story()), SourceConfigBlock)
