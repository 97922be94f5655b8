"""`trawl replica`, in a process of its own."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from trawl.cli.app import invoke
from trawl.replica import Faults, GeneratedCatalogue


@contextmanager
def replica(*arguments: str) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    command = [sys.executable, "-c", "from trawl.cli import main; main()", "replica", "--port", "0", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().split()[1], process
        finally:
            process.terminate()


def test_it_ends_with_a_word_on_how_politely_it_was_asked() -> None:
    with replica("--generate", "50", "--fault", "refused=1", "--fault", "wait=30s") as (url, process):
        for _ in range(2):
            assert httpx.get(f"{url}/meta/").headers["retry-after"] == "30"
        assert httpx.get(url.replace("/api/v2", "/referee")).json()["requests"] == 2
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert "2 requests, answered 2 x 429" in out
    assert "2 cool-downs announced" in out
    assert (process.returncode, err) == (0, "")


def test_the_day_before_lies_in_its_caches() -> None:
    with replica("--generate", "50", "--day", "3", "--fault", "cache=0.5", "--before", "2") as (url, _):
        tokens = {
            httpx.get(f"{url}/{path}/").headers["x-pokeapi-hash"]
            for path in ("meta", "item", "machine", "move", "pokemon", "pokemon-species", "location-area")
        }
    assert tokens == {GeneratedCatalogue(50, day=day).release.hash for day in (2, 3)}


def test_its_help_names_every_fault(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["replica", "--help"]) == 0
    text = capsys.readouterr().out
    assert all(f"{name}=" in text for name in Faults.__slots__)
