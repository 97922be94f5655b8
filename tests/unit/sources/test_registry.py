"""One registry knows every source: shipped, offered by packages, or registered in this process."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from examples.python_source import Museum, museum

import trawl
from trawl.cli.app import invoke
from trawl.crawl import CrawlOptions, crawl
from trawl.model.config import SourceConfig
from trawl.model.errors import ConfigurationError
from trawl.sources import (
    PokeApiCrawler,
    YamlCrawler,
    create_crawler,
    get_crawler,
    load_source,
    register,
    registry,
    source_names,
)

CONFIG = "name: {name}\nbase_url: https://h\nendpoints: {{a: {{}}}}\n"
Offer = Callable[..., None]


class Mine(YamlCrawler):
    description = CONFIG.format(name="mine")


@pytest.fixture(autouse=True)
def forgetful() -> Iterator[None]:
    """What a test registers is known in that test."""
    before = dict(registry._registered)
    yield
    registry._registered.clear()
    registry._registered.update(before)


@pytest.fixture
def offer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Offer:
    """Installs a package that offers sources, as `pip install` would."""

    def install(package: str, code: str = "", **entries: str) -> None:
        folder = tmp_path / package
        info = folder / f"{package}-1.0.dist-info"
        info.mkdir(parents=True)
        (folder / f"{package}.py").write_text(code)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        lines = "".join(f"{name} = {target}\n" for name, target in entries.items())
        (info / "entry_points.txt").write_text(f"[trawl.sources]\n{lines}")
        monkeypatch.syspath_prepend(str(folder))

    return install


def said(name: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        get_crawler(name)
    return str(caught.value)


def class_of(name: str) -> str:
    return f"from trawl.sources import YamlCrawler\nclass It(YamlCrawler):\n    description = {CONFIG.format(name=name)!r}\n"


def test_pokeapi_is_a_crawler_and_its_configuration_the_shipped_file() -> None:
    crawler = get_crawler("pokeapi")
    assert isinstance(crawler, PokeApiCrawler)
    assert crawler.config_block == load_source("pokeapi")
    assert get_crawler("pokeapi") is not crawler, "every crawl has a crawler of its own"


def test_one_line_registers_a_source_for_every_way_to_ask_for_it(capsys: pytest.CaptureFixture[str]) -> None:
    register("mine", Mine)
    assert isinstance(get_crawler("mine"), Mine)
    assert load_source("mine").name == "mine"
    assert source_names() == ["mine", "pokeapi"]
    assert invoke(["sources"]) == invoke(["check", "mine"]) == 0
    assert capsys.readouterr().out.count("https://h") == 2


def test_a_function_may_make_the_source_and_the_last_registration_holds() -> None:
    register("mine", Mine)
    register(
        "mine", lambda: YamlCrawler(SourceConfig.model_validate(Mine().config_block.model_dump() | {"title": "x"}))
    )
    assert load_source("mine").title == "x"


def test_a_package_offers_a_source_by_an_entry_point(offer: Offer, capsys: pytest.CaptureFixture[str]) -> None:
    offer("offers_ledger", class_of("ledger"), ledger="offers_ledger:It")
    assert get_crawler("ledger").source_name == "ledger"
    assert source_names() == ["ledger", "pokeapi"]
    assert invoke(["sources"]) == 0
    assert "ledger" in capsys.readouterr().out


def test_an_offered_source_in_python_is_crawled_and_planned_by_its_name(
    offer: Offer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    offer("offers_museum", "from examples.python_source import Museum as It", museum="offers_museum:It")
    with museum() as (url, _):
        flags = ["museum", "--lake", str(tmp_path / "lake"), "--base-url", url, "--rate", "unlimited"]
        assert invoke(["plan", *flags, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["endpoints"]["works"]["new"] == 4
        assert invoke(["run", *flags, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["endpoints"]["works"]["new"] == 4


HANGS = """
import asyncio, pathlib
from examples.python_source import Museum
class It(Museum):
    async def discover_item_ids(self, endpoint, client, known=None):
        async for batch in super().discover_item_ids(endpoint, client, known):
            yield batch
            pathlib.Path({mark!r}).touch()
            await asyncio.sleep(600)
"""


def test_ctrl_c_in_the_midst_of_a_list_leaves_nothing_of_it(offer: Offer, tmp_path: Path) -> None:
    mark = tmp_path / "reached"
    offer("hangs", HANGS.format(mark=str(mark)), museum="hangs:It")
    command = [
        sys.executable,
        "-c",
        "from trawl.cli import main; main()",
        "run",
        "museum",
        "--lake",
        str(tmp_path / "lake"),
    ]
    with museum() as (url, _):
        process = subprocess.Popen(
            [*command, "--base-url", url, "--rate", "unlimited"],
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )
        while not mark.exists():
            assert process.poll() is None
            time.sleep(0.02)
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
        assert time.monotonic() - began < 5
        assert process.returncode == 130
        assert "continues" in said
        lake = trawl.open(tmp_path / "lake")
        assert [row["status"] for row in lake.query("SELECT status FROM museum.runs").rows()] == ["interrupted"]
        assert lake.source("museum").committed_runs(lake.source("museum").log.snapshot()) == set()
        report = asyncio.run(crawl(Museum(), lake, CrawlOptions(base_url=url, rate="unlimited")))
    assert report.total("new") == 4


def test_an_unknown_name_is_refused_with_those_that_are_known(offer: Offer) -> None:
    offer("offers_ledger", class_of("ledger"), ledger="offers_ledger:It")
    assert "known are: ledger, pokeapi; or name a YAML file" in said("nothing_like_it")
    assert "did you mean 'ledger'?" in said("leger")


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import no_such_module", "broken:It of broken 1.0: ModuleNotFoundError: No module named 'no_such_module'"),
        ("raise SystemExit('bye')", "broken:It of broken 1.0: SystemExit: bye"),
        ("It = 1 +", "SyntaxError"),
        ("", "AttributeError"),
        ("It = 5", "broken:It of broken 1.0 is neither a class nor a function"),
        ("def It(): raise OSError('no disk')", "cannot be made: OSError: no disk"),
        ("def It(one): ...", "TypeError"),
        ("It = dict", "dict has no source_name, config_block"),
        (class_of("other"), "the source 'broken' has the source_name 'other'"),
        ("from trawl.sources import YamlCrawler as It", "YamlCrawler has no configuration"),
        (class_of("Broken"), "name"),
    ],
)
def test_a_broken_package_is_named_with_its_fault_and_costs_no_other_source(
    offer: Offer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, code: str, reason: str
) -> None:
    monkeypatch.delitem(__import__("sys").modules, "broken", raising=False)
    offer("broken", code, broken="broken:It")
    assert reason in said("broken")
    assert get_crawler("pokeapi").source_name == "pokeapi"
    assert invoke(["sources"]) == 0
    listed = capsys.readouterr().out
    assert "https://pokeapi.co" in listed
    assert "broken: " in listed
    assert invoke(["sources", "--json"]) == 0
    assert reason in {found["name"]: found.get("error", "") for found in json.loads(capsys.readouterr().out)}["broken"]
    assert invoke(["check"]) == 1
    checked = " ".join(capsys.readouterr().out.split())
    assert "ok pokeapi" in checked
    assert reason in checked


def test_a_name_that_two_packages_offer_is_refused_with_both(offer: Offer) -> None:
    offer("one", class_of("ledger"), ledger="one:It")
    offer("two", class_of("ledger"), ledger="two:It")
    assert "offered more than once, by one 1.0, two 1.0" in said("ledger")


def test_no_package_takes_the_place_of_a_shipped_source(offer: Offer) -> None:
    offer("thief", class_of("pokeapi"), pokeapi="thief:It")
    assert isinstance(get_crawler("pokeapi"), PokeApiCrawler)


@pytest.mark.parametrize("name", ["", "Mine", "my-source", "1st", "a b"])
def test_what_is_no_name_cannot_be_registered(name: str) -> None:
    with pytest.raises(ConfigurationError, match="is not a valid source name"):
        register(name, Mine)


def test_a_file_is_a_source_without_being_registered(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(Mine.description)
    assert get_crawler(path).config_block == Mine().config_block
    assert source_names() == ["pokeapi"]


# -- the configuration's block -----------------------------------------------------------------------------


async def test_the_factory_takes_the_configuration_from_the_sources_block() -> None:
    asked = []

    async def load(block: str) -> SourceConfig | None:
        asked.append(block)
        return Mine().config_block.model_copy(update={"name": "pokeapi"})

    for crawler in (await PokeApiCrawler.create(load), await create_crawler("pokeapi", load)):
        assert isinstance(crawler, PokeApiCrawler)
        assert crawler.config_block.base_url == "https://h"
    assert asked == ["pokeapi-source-config"] * 2


async def test_without_a_block_or_a_loader_the_sources_own_description_holds() -> None:
    async def load(block: str) -> SourceConfig | None:
        return None

    for crawler in (
        await PokeApiCrawler.create(),
        await PokeApiCrawler.create(load),
        await create_crawler("pokeapi"),
        await create_crawler("pokeapi", load),
    ):
        assert crawler.config_block == load_source("pokeapi")


async def test_a_block_that_describes_another_source_is_refused() -> None:
    async def load(block: str) -> SourceConfig | None:
        return Mine().config_block

    with pytest.raises(ConfigurationError, match="the block pokeapi-source-config describes the source 'mine'"):
        await PokeApiCrawler.create(load)


def test_two_sources_never_share_a_block_or_a_limit() -> None:
    from trawl.model.names import config_block_name, public_calls_name

    names = ["a", "a_b", "a__b", "ab", "a_b_"]
    for name_of in (config_block_name, public_calls_name):
        made = {name_of(name) for name in names}
        assert len(made) == len(names)
        assert all(set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-") for name in made)
