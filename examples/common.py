"""What the examples share: which API they ask, and with what.

By themselves they ask a replica on this machine, which serves the few records in examples/data. `--live` asks PokeAPI.
"""

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from trawl.replica import FolderCatalogue, ReplicaApp, running
from trawl.sources import load_source
from trawl.transport import base_url_of, http_client, is_private

ADDRESS = "TRAWL_SOURCE_POKEAPI_BASE_URL"
"""The variable that takes the place of PokeAPI's address, here and in every command of Trawl's."""

DATA = Path(__file__).parent / "data"


@contextmanager
def api(*, live: bool = False) -> Iterator[str]:
    """The address of the API that everything in this process and its children asks: a replica, unless `live`.

    Where the variable is set already, it holds: that is how a deployment chooses.
    """
    if live or os.environ.get(ADDRESS):
        yield address()
        return
    with running(ReplicaApp(FolderCatalogue(DATA))) as url:
        os.environ[ADDRESS] = url
        try:
            yield url
        finally:
            del os.environ[ADDRESS]


def address() -> str:
    """Where PokeAPI is, for this process."""
    return base_url_of(load_source("pokeapi"), None)


def client() -> httpx.AsyncClient:
    """An ordinary httpx client that keeps PokeAPI's pace; one for all requests of a flow.

    On a host of one's own nothing is held back.
    """
    return http_client(load_source("pokeapi"), rate="unlimited" if is_private(address()) else None)


def arguments(description: str | None) -> argparse.ArgumentParser:
    """What every example takes: --live."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--live", action="store_true", help="ask PokeAPI itself, at its own pace")
    return parser
