"""Two real days of PokeAPI, crawled one after the other, against a comparison that knows nothing of Trawl."""

import json
import subprocess
import sys
import tarfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import zstandard

from tests.crawling import ask, changes_of, contents, count, pokeapi, rows_written, run, without_token
from trawl.crawl import Report, maintain
from trawl.lake import Lake

pytestmark = [pytest.mark.archives, pytest.mark.xdist_group("two days")]  # they build on each other

FIRST, SECOND = "2026-08-03", "2026-08-08"
Documents = dict[tuple[str, str], Any]


def read(archive: Path) -> Documents:
    """Every record document of an archive, by endpoint and id: no lists, no root, no meta."""
    found: Documents = {}
    with archive.open("rb") as file:
        stream = zstandard.ZstdDecompressor(max_window_size=2**27).stream_reader(file)
        with tarfile.open(fileobj=stream, mode="r|") as tar:
            for member in tar:
                parts = Path(member.name).parts
                parts = parts[parts.index("v2") + 1 :] if "v2" in parts else ()
                if member.isfile() and len(parts) > 2:
                    text = tar.extractfile(member).read().replace(b'"/api/v2/', b'"https://pokeapi.co/api/v2/')
                    endpoint = "pokemon-encounters" if parts[2] == "encounters" else parts[0]
                    found[endpoint, parts[1]] = json.loads(text)
    return found


def unordered(value: Any) -> Any:
    """A value in which no list has an order."""
    if isinstance(value, dict):
        return {key: unordered(item) for key, item in value.items()}
    if isinstance(value, list):
        return sorted((unordered(item) for item in value), key=lambda item: json.dumps(item, sort_keys=True))
    return value


@dataclass
class Compared:
    new: set[tuple[str, str]]
    changed: set[tuple[str, str]] = field(default_factory=set)
    reordered: set[tuple[str, str]] = field(default_factory=set)
    renamed: set[tuple[str, str]] = field(default_factory=set)


def compare(old: Documents, new: Documents) -> Compared:
    found = Compared(new=new.keys() - old.keys())
    for key in old.keys() & new.keys():
        if old[key] == new[key]:
            continue
        (found.reordered if unordered(old[key]) == unordered(new[key]) else found.changed).add(key)
        if isinstance(new[key], dict) and old[key].get("name") != new[key].get("name"):
            found.renamed.add(key)
    return found


@contextmanager
def served(*arguments: str, port: int = 0) -> Iterator[str]:
    """`trawl replica` in a process of its own."""
    command = [
        sys.executable,
        "-c",
        "from trawl.cli import main; main()",
        "replica",
        "--port",
        str(port),
        *arguments,
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process.stdout.readline().split()[1]
        finally:
            process.terminate()


@dataclass
class Days:
    lake: str
    first: Documents
    second: Documents
    reports: list[Report]
    before: datetime
    between: datetime
    after: datetime
    second_url: str


@pytest.fixture(scope="module", params=["folder", pytest.param("s3", marks=pytest.mark.s3)])
def days(request: pytest.FixtureRequest, archives: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Days]:
    """The two days in a lake of either form."""
    if request.param == "folder":
        lake = str(tmp_path_factory.mktemp("two-days"))
    else:
        lake = f"{request.getfixturevalue('s3')}/{uuid.uuid4().hex}"
    before = datetime.now(UTC)
    with served("--archive", str(archives / f"{FIRST}.tar.zst")) as url:
        reports = [run(lake, url)]
    between = datetime.now(UTC)
    same = urlsplit(url).port  # a validator is good for the address that gave it
    assert same is not None
    with served("--archive", str(archives / f"{SECOND}.tar.zst"), port=same) as url:
        reports.append(run(lake, url))
        documents = [read(archives / f"{day}.tar.zst") for day in (FIRST, SECOND)]
        yield Days(lake, *documents, reports, before, between, datetime.now(UTC), url)


def test_every_document_of_the_first_day_is_stored_once_and_equal(days: Days) -> None:
    assert len(days.first) == 15_444
    assert contents(days.lake, as_of=days.between) == days.first
    assert count(days.reports[0]) == {"new": 15_444}


def test_every_document_of_the_second_day_is_stored_once_and_equal(days: Days) -> None:
    assert len(days.second) == 15_463
    assert contents(days.lake) == days.second
    assert contents(days.lake, as_of=days.after) == days.second


def test_before_the_first_day_there_is_nothing(days: Days) -> None:
    assert contents(days.lake, as_of=days.before) == {}


def test_the_second_run_finds_exactly_what_the_archives_differ_by(days: Days) -> None:
    expected = compare(days.first, days.second)
    found = changes_of(days.lake, days.reports[1].run_id)
    assert found["created"] == expected.new
    assert found["changed"] == expected.changed
    assert found["reordered"] == expected.reordered
    assert found["renamed"] == expected.renamed
    assert not found["missing"] | found["gone"] | found["revived"]
    assert count(days.reports[1]) == {
        "new": len(expected.new),
        "changed": len(expected.changed),
        "reordered": len(expected.reordered),
    }


def test_a_mass_change_rings_the_alarm_and_is_committed(days: Days) -> None:
    item = days.reports[1].endpoints["item"]
    assert (item.changed, item.held) == (2_223, False)
    assert any("mass change" in note for note in item.notes)


def test_an_endpoint_that_was_absent_appears(days: Days) -> None:
    assert days.reports[0].endpoints["currency"].absent
    assert days.reports[1].endpoints["currency"].new == 19


def test_only_changed_content_makes_versions(days: Days) -> None:
    expected = compare(days.first, days.second)
    rows = ask(days.lake, "SELECT endpoint, key FROM pokeapi.versions WHERE version = 2")
    assert {(row["endpoint"], row["key"]) for row in rows} == expected.changed
    assert ask(days.lake, "SELECT max(version) AS n FROM pokeapi.versions") == [{"n": 2}]


def test_a_settled_version_token_ends_a_third_run_after_one_request(days: Days) -> None:
    report = run(days.lake, days.second_url)
    assert (report.status, report.requests) == ("no change", 1)
    assert rows_written(days.lake, report.run_id) == {}


def test_without_a_token_a_forced_third_run_is_answered_304_throughout(days: Days) -> None:
    report = run(days.lake, days.second_url, without_token(), force=True)
    assert report.requests == report.not_modified == 49 + 15_463
    written = rows_written(days.lake, report.run_id)
    assert written.pop("run") == 1
    assert written == {"check": 15_463}


def test_special_shapes_arrive_whole(days: Days) -> None:
    stored = contents(days.lake)
    assert stored["move-ailment", "-1"]["name"] == "unknown"
    assert stored["move-ailment", "0"]["id"] == 0
    assert stored["move-category", "0"]["id"] == 0
    assert stored["item", "723"]["name"] == stored["item", "2279"]["name"] == "roseli-berry"
    eevee = stored["evolution-chain", "67"]["chain"]
    assert len(eevee["evolves_to"]) == 8
    assert max(len(json.dumps(value, separators=(",", ":"))) for value in stored.values()) > 500_000
    assert stored["pokemon-form", "10033"] == days.second["pokemon-form", "10033"]


def test_maintenance_leaves_every_instant_as_it_was(days: Days) -> None:
    versions = ask(days.lake, "SELECT count(*) AS n FROM pokeapi.versions")
    changes = ask(days.lake, "SELECT change, count(*) AS n FROM pokeapi.changes GROUP BY 1 ORDER BY 1")
    folded = maintain(Lake(days.lake), "pokeapi")
    assert folded.files_after < folded.files_before
    assert contents(days.lake, as_of=days.before) == {}
    assert contents(days.lake, as_of=days.between) == days.first
    assert contents(days.lake, as_of=days.after) == contents(days.lake) == days.second
    assert ask(days.lake, "SELECT count(*) AS n FROM pokeapi.versions") == versions
    assert ask(days.lake, "SELECT change, count(*) AS n FROM pokeapi.changes GROUP BY 1 ORDER BY 1") == changes


@pytest.fixture(scope="module")
def pruned(archives: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, set[tuple[str, str]]]]:
    """The second day, unpacked, with known documents taken out of a few endpoints: their lists lack them, too."""
    folder = tmp_path_factory.mktemp("pruned")
    with (archives / f"{SECOND}.tar.zst").open("rb") as file:
        stream = zstandard.ZstdDecompressor(max_window_size=2**27).stream_reader(file)
        with tarfile.open(fileobj=stream, mode="r|") as tar:
            tar.extractall(folder, filter="data")
    removed = {("item", "1"), ("item", "2279"), ("move-ailment", "-1"), ("pokemon", "10326")}
    for endpoint, key in removed:
        path = folder / "api/v2" / endpoint / "index.json"
        listing = json.loads(path.read_bytes())
        listing["results"] = [item for item in listing["results"] if not item["url"].endswith(f"/{key}/")]
        listing["count"] = len(listing["results"])
        path.write_text(json.dumps(listing))
        for document in (folder / "api/v2" / endpoint / key).rglob("index.json"):
            document.unlink()
    with served("--folder", str(folder)) as url:
        yield url, removed | {("pokemon-encounters", "10326")}


def test_what_was_taken_out_is_missing_and_nothing_else(days: Days, pruned: tuple[str, set[tuple[str, str]]]) -> None:
    url, removed = pruned
    endpoints = ("item", "move-ailment", "pokemon", "pokemon-encounters", "stat")
    report = run(days.lake, url, endpoints=endpoints, force=True)
    assert changes_of(days.lake, report.run_id) == {"missing": removed}
    assert count(report) == {"missing": len(removed)}
    assert contents(days.lake).keys() == days.second.keys() - removed
    missing = ask(days.lake, "SELECT endpoint, key, missing_since FROM pokeapi.records WHERE state = 'missing'")
    assert {(row["endpoint"], row["key"]) for row in missing} == removed
    assert all(row["missing_since"] is not None for row in missing)

    back = run(days.lake, days.second_url, endpoints=endpoints, force=True)
    assert changes_of(days.lake, back.run_id) == {"revived": removed}
    assert contents(days.lake) == days.second


def test_the_days_backwards_hold_the_lost_endpoint_until_it_is_accepted(archives: Path, tmp_path: Path) -> None:
    endpoints = ("currency", "gender", "encounter-method", "type")
    with served("--archive", str(archives / f"{SECOND}.tar.zst")) as url:
        run(tmp_path, url, endpoints=endpoints)
    second = contents(tmp_path)
    with served("--archive", str(archives / f"{FIRST}.tar.zst")) as url:
        ignored = run(tmp_path, url, endpoints=endpoints, force=True)
        assert count(ignored).keys() <= {"failed"}, "an older deploy never overwrites a newer one"
        assert contents(tmp_path) == second

        held = run(tmp_path, url, endpoints=endpoints, force=True, allow_rollback=True)
        assert held.held == ["currency"]
        accepted = run(tmp_path, url, endpoints=endpoints, accept=("currency",))
    assert accepted.endpoints["currency"].missing == 19
    first = read(archives / f"{FIRST}.tar.zst")
    assert contents(tmp_path) == {key: value for key, value in first.items() if key[0] in endpoints}
    expected = compare(second, {key: value for key, value in first.items() if key[0] in endpoints})
    found = changes_of(tmp_path, held.run_id)
    assert (found["changed"], found["reordered"]) == (expected.changed, expected.reordered)


def test_the_shipped_source_names_every_list_endpoint(archives: Path) -> None:
    endpoints = {endpoint for endpoint, _ in read(archives / f"{SECOND}.tar.zst")}
    assert endpoints == set(pokeapi().endpoints)
    assert len(endpoints) == 50
