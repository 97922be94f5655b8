"""A source's secret may lie in a Prefect block; one that is not there, or stands in for one, is none."""

import asyncio

import pytest
from prefect.blocks.system import Secret

from trawl.orchestration.secrets import secret_loader
from trawl.sources import SourceCrawler, as_crawler, parse_source


def source(block: str) -> SourceCrawler:
    text = f"name: a\nbase_url: https://h\ncredentials: {{block: {block}}}\nendpoints: {{x: {{}}}}"
    return as_crawler(parse_source(text, "test"))


async def key_of(block: str) -> str | None:
    crawler = source(block)
    return crawler.get_api_key(await secret_loader(crawler))


async def keys() -> list[str | None]:
    await Secret(value="s3cret").save("my-key")
    await Secret(value="dummy").save("dummy-inside")
    return [await key_of(name) for name in ("my-key", "nothing-there", "none", "dummy-inside")]


@pytest.mark.xdist_group("prefect")
@pytest.mark.usefixtures("prefect")
def test_a_real_block_gives_its_secret_and_the_others_none() -> None:
    assert asyncio.run(keys()) == ["s3cret", None, None, None]
