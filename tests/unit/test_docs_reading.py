"""What the documentation shows of reading a lake, and of copying one, runs as it stands there on a lake that the engine has made."""

import asyncio
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import trawl
from tests.unit.test_docs import FENCES, PAGES, ROOT, Fence, calls, commands
from trawl.cli.app import invoke
from trawl.crawl import CrawlOptions, crawl
from trawl.replica import GeneratedCatalogue, ReplicaApp, running
from trawl.sources import get_crawler

pytestmark = pytest.mark.xdist_group("docs")  # one lake for all of them

READING = ROOT / "docs" / "reading.md"
SQL = [
    (f"{fence!r}/{number}", statement)
    for fence in FENCES
    if fence.language == "sql"
    for number, statement in enumerate(fence.text.split(";"))
    if re.sub(r"--.*", "", statement).strip()
]

# The tour shows how this one fails.
REFUSED = {"SELECT name FROM pokeapi.records WHERE endpoint = 'pokemon'"}


def crawled(url: str, **options: Any) -> None:
    report = asyncio.run(
        crawl(get_crawler("pokeapi"), trawl.open("lake"), CrawlOptions(base_url=url, rate="unlimited", **options))
    )
    assert report.status == "done"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a lake of two days: with changed, renamed, reordered and missing records."""
    folder = tmp_path_factory.mktemp("docs")
    app = ReplicaApp(GeneratedCatalogue(600))
    with pytest.MonkeyPatch.context() as patch, running(app) as url:
        patch.chdir(folder)
        crawled(url)
        app.catalogue = GeneratedCatalogue(600, day=1)
        crawled(url)
    return folder


@pytest.fixture
def here(made: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(made)
    return


def expected() -> list[tuple[str, int, str | None]]:
    counts = trawl.open("lake").query(
        "SELECT endpoint, count(*) AS n, min(payload->>'$.name') AS a_name FROM pokeapi.records GROUP BY 1 ORDER BY 1"
    )
    return [(row["endpoint"], row["n"], row["a_name"]) for row in counts.to_arrow().to_pylist()]


def shown(word: str) -> str:
    return next(fence.text for fence in FENCES if fence.page == READING and word in fence.text)


@pytest.mark.usefixtures("here")
def test_duckdb_finds_what_the_view_has() -> None:
    names: dict[str, Any] = {}
    exec(shown("import duckdb"), names)
    assert names["found"].fetchall() == expected()
    assert len(expected()) > 5


@pytest.mark.usefixtures("here")
def test_polars_finds_what_the_view_has() -> None:
    names: dict[str, Any] = {}
    exec(shown("import polars"), names)
    assert names["found"].rows() == expected()


@pytest.mark.usefixtures("here")
def test_spark_is_asked_the_question_that_duckdb_answers() -> None:
    duckdb, spark = (
        re.findall(r'sql\("""\n(.*?)"""', shown(word), re.DOTALL)[0] for word in ("import duckdb", "pyspark")
    )
    assert spark.replace("get_json_object(payload, '$.name')", "payload->>'$.name'") == duckdb


@pytest.mark.usefixtures("here")
def test_python_reads_it_as_shown() -> None:
    names: dict[str, Any] = {}
    exec(next(fence.text for fence in FENCES if fence.page.name == "python.md" and "trawl.open" in fence.text), names)
    assert len(names["records"]) == sum(count for _, count, _ in expected())
    assert len(names["counts"]) == len(expected())


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("statement", [sql for _, sql in SQL], ids=[where for where, _ in SQL])
def test_every_sql_on_a_page_is_answered(statement: str) -> None:
    trawl.open("lake").query(statement).to_arrow()


def asked() -> Iterator[str]:
    """The SQL of every `trawl query "..."` on the pages, in fences and in sentences."""
    for fence in FENCES:
        for line in commands(fence):
            yield from (
                words[2]
                for words in calls(line)
                if [words[0].removeprefix(".venv/bin/"), *words[1:2]] == ["trawl", "query"]
            )
    for page in PAGES:
        yield from (
            shlex.split(code)[0] for code in re.findall(r'`trawl query ("[^`]+")', page.read_text(encoding="utf-8"))
        )


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("statement", sorted(set(asked()) - REFUSED))
def test_every_query_that_a_page_types_is_answered(statement: str) -> None:
    trawl.open("lake").query(statement).to_arrow()


def test_a_copy_made_log_first_is_the_lake_of_that_moment_though_runs_go_on(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(made / "lake", "lake")
    before = expected()
    fence: Fence = next(fence for fence in FENCES if fence.page.name == "operate.md" and "tar -C" in fence.text)
    folders, log_first, then_the_rest, look = commands(fence)
    for line in (folders, log_first):
        subprocess.run(line, shell=True, check=True)
    with running(ReplicaApp(GeneratedCatalogue(600, day=2))) as url:
        crawled(url)
    assert expected() != before
    subprocess.run(then_the_rest, shell=True, check=True)
    shutil.move("backup", "elsewhere")
    shutil.rmtree("lake")
    shutil.move("elsewhere", "lake")
    assert expected() == before
    assert invoke([*shlex.split(look)[1:-1], "lake"]) == 0
    assert f"{sum(count for _, count, _ in before):,}" in capsys.readouterr().out
