"""Each example is a program that runs as it stands, offline."""

import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples"


def said(name: str) -> str:
    program = [sys.executable, str(EXAMPLES / name)]
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
