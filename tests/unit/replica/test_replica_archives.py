"""The real snapshots."""

import json
import os
from pathlib import Path

import pytest
from small_pokeapi import asking

from trawl.replica import ArchiveCatalogue, Document, Listing, ReplicaApp

pytestmark = [
    pytest.mark.archives,
    pytest.mark.skipif("TRAWL_TEST_ARCHIVES" not in os.environ, reason="TRAWL_TEST_ARCHIVES is not set"),
]


@pytest.fixture(scope="module", params=["2026-08-03", "2026-08-08"])
def day(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def catalogue(day: str) -> ArchiveCatalogue:
    return ArchiveCatalogue(Path(os.environ["TRAWL_TEST_ARCHIVES"]) / f"{day}.tar.zst")


def test_every_listed_record_is_there(catalogue: ArchiveCatalogue) -> None:
    total = 0
    for endpoint in catalogue.endpoints:
        found = catalogue.find(endpoint)
        assert isinstance(found, Listing)
        assert found.count == len(found.entries)
        for entry in found.entries[0 : found.count]:
            path = json.loads(entry)["url"].removeprefix("https://pokeapi.co/api/v2/").rstrip("/")
            document = catalogue.find(path)
            assert isinstance(document, Document)
            assert b'"/api/v2/' not in document.body
        total += found.count
    assert total > 14_000


def test_a_new_endpoint_is_refused_until_the_data_holds_it(catalogue: ArchiveCatalogue, day: str) -> None:
    reply = asking(ReplicaApp(catalogue))("/api/v2/currency/")
    assert reply.status == {"2026-08-03": 400, "2026-08-08": 200}[day]


def test_the_headers_name_the_deploy(catalogue: ArchiveCatalogue, day: str) -> None:
    reply = asking(ReplicaApp(catalogue))("/api/v2/pokemon/pikachu/")
    expected = {"2026-08-03": "1785741236", "2026-08-08": "1786004122"}[day]
    assert reply.headers["x-pokeapi-deploy-date"] == expected
    assert reply.json()["id"] == 25
