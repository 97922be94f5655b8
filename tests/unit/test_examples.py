"""Each example is a program that runs as it stands, offline."""

import subprocess
import sys
from pathlib import Path

from trawl.replica import changes

EXAMPLES = Path(__file__).parents[2] / "examples"


def said(name: str, *arguments: str) -> str:
    program = [sys.executable, str(EXAMPLES / name), *arguments]
    return subprocess.run(program, check=True, capture_output=True, text=True, timeout=60).stdout


def test_a_source_in_python_is_crawled_and_asked() -> None:
    assert said("python_source.py").splitlines() == [
        "day 1: 4 listed, 4 new, 0 changed, 0 not modified",
        "day 2: 5 listed, 1 new, 1 changed, 3 not modified",
        "Harbour at Dawn: Jon Vik (attributed) (version 2)",
        "Two Boats: Jon Vik (version 1)",
        "The Ferry: Ida Holm (version 1)",
        "Signal: Eva Lund (version 1)",
        "Rain: Eva Lund (version 1)",
    ]


def test_the_demo_shows_two_days_and_draws_what_changed(tmp_path: Path) -> None:
    told = said("demo.py", "--records", "400", "--folder", str(tmp_path))
    expected = changes(400, first=0, second=1)
    assert "total" in told
    assert f" {len(expected.created):>9,}  " in next(line for line in told.splitlines() if line.startswith("  created"))
    assert told.count("no change in") == 1
    assert "$ trawl history pokeapi" in told
    assert "created" in (tmp_path / "changes.svg").read_text(encoding="utf-8")
    assert (tmp_path / "lake/pokeapi/log").is_dir()
