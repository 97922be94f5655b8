"""Questions to a lake, one after the other and side by side: what one leaves, no other one meets."""

from pathlib import Path

import pytest

from trawl.lake import Lake
from trawl.model.errors import ConfigurationError

SCHEMAS = "SELECT schema_name FROM duckdb_schemas() WHERE NOT internal AND schema_name <> 'main'"


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return lake_of(tmp_path / "lake", "things")


def lake_of(folder: Path, source: str) -> Lake:
    (folder / source).mkdir(parents=True)
    return Lake(folder)


@pytest.mark.parametrize(
    ("before", "question"),
    [
        ("SET default_null_order = 'nulls_first'; SELECT 1", "SELECT current_setting('default_null_order')"),
        ("SET threads = 1; SELECT 1", "SELECT current_setting('threads')"),
        ("SET TimeZone = 'Asia/Tokyo'; SELECT 1", "SELECT current_setting('TimeZone')"),
        ("SET VARIABLE x = 1; SELECT 1", "SELECT getvariable('x')"),
        ("CREATE TABLE left_over AS SELECT 1 AS i; FROM left_over", "SELECT table_name FROM duckdb_tables()"),
        ("CREATE TEMP VIEW left_over AS SELECT 1; FROM left_over", "SELECT view_name FROM duckdb_views() WHERE NOT internal"),
        ("CREATE MACRO twice(x) AS 2 * x; SELECT twice(1)", "SELECT count(*) FROM duckdb_functions() WHERE function_name = 'twice'"),
        ("ATTACH ':memory:' AS other; SELECT 1", "SELECT database_name FROM duckdb_databases()"),
        ("DROP SCHEMA things CASCADE; SELECT 1", SCHEMAS),
    ],
)  # fmt: skip
def test_what_a_question_sets_or_makes_no_other_one_meets(lake: Lake, before: str, question: str) -> None:
    clean = lake.query(question).to_arrow()
    lake.query(before).to_arrow()
    assert lake.query(question).to_arrow() == clean


@pytest.mark.parametrize(
    "refused",
    ["SELEC", "FROM nope", "SELECT 1; FROM nope", "SELECT '\udcff'", "", "SET threads = 1; FROM nope",
     "CREATE TABLE things.left_over AS SELECT 1 AS i; FROM nope", "DROP SCHEMA things CASCADE; FROM nope"],
)  # fmt: skip
def test_what_is_refused_leaves_nothing_to_the_next_question(lake: Lake, refused: str) -> None:
    for question in (SCHEMAS, "SELECT table_name FROM duckdb_tables()", "SELECT current_setting('threads')"):
        clean = lake.query(question).to_arrow()
        with pytest.raises(ConfigurationError):
            lake.query(refused)
        assert lake.query(question).to_arrow() == clean


def test_each_question_sees_the_sources_of_its_own_lake(lake: Lake, tmp_path: Path) -> None:
    other = lake_of(tmp_path / "other", "others")
    for _ in range(2):
        for asked, source in ((lake, "things"), (other, "others")):
            assert list(asked.query(SCHEMAS).rows()) == [{"schema_name": source}]


def test_answers_that_are_read_side_by_side_are_each_whole(lake: Lake) -> None:
    numbers = range(10_000)
    together = zip(*(lake.query("SELECT i FROM range(10000) t(i) ORDER BY i").rows() for _ in range(3)), strict=True)
    assert [[row["i"] for row in rows] for rows in together] == [[number] * 3 for number in numbers]


def test_an_answer_is_read_once(lake: Lake) -> None:
    answer = lake.query("SELECT 1 AS one")
    assert list(answer.rows()) == [{"one": 1}]
    assert answer.columns == ["one"]
    with pytest.raises(ConfigurationError, match="was read already"):
        answer.to_arrow()


def test_an_answer_that_nobody_reads_to_its_end_disturbs_no_other_one(lake: Lake) -> None:
    rows = lake.query("SELECT i FROM range(10000) t(i)").rows()
    assert "i" in next(rows)
    rows.close()
    lake.query("SELECT 1")
    assert list(lake.query("SELECT 2 AS two").rows()) == [{"two": 2}]
