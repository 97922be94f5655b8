"""docs/prefect-api.md names what is there, and does not name what is not."""

import importlib
import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "prefect-api.md").read_text(encoding="utf-8")
THERE, _, LACKING = PAGE.partition("## What 3.8 does not have")
NAME = re.compile(r"`((?:prefect|prefect_aws|prefect_dask|trawl)(?:\.\w+)+)`")


def found(name: str) -> bool:
    try:
        importlib.import_module(name)
    except ImportError:
        module, _, attribute = name.rpartition(".")
        try:
            return hasattr(importlib.import_module(module), attribute)
        except ImportError:
            return False
    return True


def rows(text: str, column: int) -> list[str]:
    cells = [line.split("|")[column] for line in text.splitlines() if line.startswith("| `")]
    return sorted({name for cell in cells for name in NAME.findall(cell)})


@pytest.mark.filterwarnings("ignore")
def test_every_name_on_the_page_can_be_imported() -> None:
    names = sorted({*rows(THERE, 1), *rows(THERE, 3), *rows(LACKING, 2)})
    assert len(names) > 120
    assert [name for name in names if not found(name)] == []


@pytest.mark.filterwarnings("ignore")
def test_what_is_said_to_be_missing_is_missing() -> None:
    names = rows(LACKING, 1)
    assert len(names) > 5
    assert [name for name in names if found(name)] == []


def test_every_example_that_the_page_names_is_there() -> None:
    for path in re.findall(r"\]\(\.\./(examples/[^)]+)\)", PAGE):
        assert (Path(__file__).parents[2] / path).is_file(), path
