"""News that are too bad to be believed."""

from pathlib import Path

import pytest

from tests.conftest import World
from tests.crawling import ask, contents, count, run, without_token
from trawl.model.errors import ConfigurationError, GuardTripped
from trawl.replica import Document, GeneratedCatalogue, Listing


class Altered:
    """A generated world in which some answers are others."""

    def __init__(self, day: int = 0) -> None:
        self.inner = GeneratedCatalogue(200, seed=7, day=day)
        self.release, self.endpoints = self.inner.release, self.inner.endpoints
        self.lost: set[str] = set()
        self.refused: set[str] = set()
        self.bodies: dict[str, bytes] = {}

    def find(self, path: str):
        parts = path.split("/")
        if len(parts) == 2 and (parts[0] in self.refused):
            return None
        if path in self.bodies:
            return Document(self.bodies[path], b'W/"other"')
        found = self.inner.find(path)
        if isinstance(found, Listing) and path in self.lost:
            kept = found.count // 20
            return Listing(kept, found.entries[:kept])
        return found


def test_a_listing_that_loses_most_is_held_and_nothing_becomes_missing(world: World, tmp_path: Path) -> None:
    run(tmp_path, world.url, without_token())
    before = contents(tmp_path)
    altered = Altered()
    altered.lost = {"machine"}
    world.serve(altered)
    report = run(tmp_path, world.url, without_token(), force=True)
    assert (report.status, report.held) == ("held", ["machine"])
    assert contents(tmp_path) == before
    assert report.endpoints["machine"].missing == 0


def test_accepting_what_is_held_lets_it_through(world: World, tmp_path: Path) -> None:
    run(tmp_path, world.url, without_token())
    machines = sum(endpoint == "machine" for endpoint, _ in contents(tmp_path))
    altered = Altered()
    altered.lost = {"machine"}
    world.serve(altered)
    run(tmp_path, world.url, without_token(), force=True)
    report = run(tmp_path, world.url, without_token(), accept=("machine",))
    assert report.requests == 0
    assert report.endpoints["machine"].missing == machines - machines // 20
    assert sum(endpoint == "machine" for endpoint, _ in contents(tmp_path)) == machines // 20


def test_rejecting_what_is_held_drops_it(world: World, tmp_path: Path) -> None:
    run(tmp_path, world.url, without_token())
    before = contents(tmp_path)
    altered = Altered()
    altered.lost = {"machine"}
    world.serve(altered)
    run(tmp_path, world.url, without_token(), force=True)
    run(tmp_path, world.url, without_token(), reject=("machine",))
    assert contents(tmp_path) == before
    with pytest.raises(ConfigurationError, match="nothing is held"):
        run(tmp_path, world.url, without_token(), reject=("machine",))


def test_what_was_held_cannot_be_accepted_once_newer_rows_are_there(world: World, tmp_path: Path) -> None:
    run(tmp_path, world.url, without_token())
    altered = Altered()
    altered.lost = {"machine"}
    world.serve(altered)
    held = run(tmp_path, world.url, without_token(), force=True)
    assert held.held == ["machine"]
    world.day(0)
    run(tmp_path, world.url, without_token(), force=True)
    report = run(tmp_path, world.url, without_token(), accept=("machine",))
    assert report.endpoints["machine"].missing == 0, "the hold is over: this was a run like any other"


def test_too_many_failures_abort_and_commit_nothing(world: World, tmp_path: Path) -> None:
    run(tmp_path, world.url, without_token())
    before = contents(tmp_path)
    altered = Altered(day=1)
    altered.refused = {"machine"}
    world.serve(altered)
    with pytest.raises(GuardTripped, match="machine"):
        run(tmp_path, world.url, without_token(), force=True)
    assert contents(tmp_path) == before
    statuses = [row["status"] for row in ask(tmp_path, "SELECT status FROM pokeapi.runs ORDER BY started_at")]
    assert statuses == ["done", "aborted"]


def test_an_html_page_with_status_200_goes_to_quarantine_and_the_record_stays(world: World, tmp_path: Path) -> None:
    run(tmp_path, world.url, without_token())
    before = contents(tmp_path)
    altered = Altered()
    altered.bodies = {"machine/1": b"<html>maintenance</html>"}
    world.serve(altered)
    report = run(tmp_path, world.url, without_token(), force=True)
    assert count(report) == {"quarantined": 1}
    assert contents(tmp_path) == before
    (row,) = ask(tmp_path, "FROM pokeapi.quarantine")
    assert (row["endpoint"], row["key"], row["open"]) == ("machine", "1", True)
    assert "<html>" in (tmp_path / row["object"]).read_text()
    world.day(0)
    run(tmp_path, world.url, without_token(), force=True)
    assert [row["open"] for row in ask(tmp_path, "FROM pokeapi.quarantine")] == [False]


def test_an_endpoint_that_vanishes_is_held(world: World, tmp_path: Path) -> None:
    run(tmp_path, world.url, without_token())
    before = contents(tmp_path)
    altered = Altered()
    inner = altered.find
    altered.find = lambda path: None if path.split("/")[0] == "machine" else inner(path)
    world.serve(altered)
    report = run(tmp_path, world.url, without_token(), force=True)
    assert report.held == ["machine"]
    assert contents(tmp_path) == before
