"""What holds of a lake wherever it lies, in a folder or in a bucket: a test class to derive from."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import Any

import pytest

from trawl.crawl import maintain
from trawl.lake import Lake, LogFile, SourceLake
from trawl.lake.store import Conflict, Store
from trawl.model.canonical import parse
from trawl.model.decide import Rules, settle
from trawl.model.errors import LeaseHeld, StaleCommit
from trawl.model.records import Answer, Event, Prior, Refusal, State
from trawl.transport import utc_now

_SOURCE = "contract"
_AT_ONCE = 8


class LakeContract:
    """Storage for which every law holds keeps what Trawl promises. Derive from it with a fixture:

    >>> class TestMyStorage(LakeContract):
    ...     @pytest.fixture
    ...     def lake_url(self):
    ...         return f"s3://bucket/{uuid.uuid4().hex}"  # a place where no lake is yet, for each test  # doctest: +SKIP

    """

    @pytest.fixture
    def lake_url(self) -> str:
        """A place where no lake is yet, another one for each test."""
        raise NotImplementedError(f"{type(self).__name__} needs a fixture `lake_url`")

    @pytest.fixture
    def lake(self, lake_url: str) -> Lake:
        found = Lake(lake_url)
        found.store.make()
        return found

    # -- objects -------------------------------------------------------------------------------------------

    def test_an_object_comes_back_as_it_was_put(self, lake: Lake) -> None:
        content = bytes(range(256)) * 1000
        lake.store.put("a/b c%20é.bin", content)
        assert lake.store.get("a/b c%20é.bin") == content
        lake.store.put("a/b c%20é.bin", b"")
        assert lake.store.get("a/b c%20é.bin") == b""

    def test_what_is_not_there_is_none_and_may_be_deleted(self, lake: Lake) -> None:
        assert lake.store.get("a/none") is None
        assert lake.store.get_tagged("a/none") is None
        lake.store.delete("a/none")
        lake.store.put("a/some", b"1")
        lake.store.delete("a/some")
        assert lake.store.get("a/some") is None

    def test_objects_and_folders_are_found_below_their_prefix(self, lake: Lake) -> None:
        for path in ("a/1", "a/b/2", "a/b/3", "c/4"):
            lake.store.put(path, path.encode())
        assert {found["path"]: found["size"] for found in lake.store.scan("a")} == {"a/1": 3, "a/b/2": 5, "a/b/3": 5}
        assert lake.store.folders() == ["a", "c"]
        assert lake.store.folders("a") == ["b"]

    def test_an_object_is_created_once(self, lake: Lake) -> None:
        lake.store.create("a/once", b"first")
        with pytest.raises(Conflict):
            lake.store.create("a/once", b"second")
        assert lake.store.get("a/once") == b"first"

    def test_only_who_saw_the_last_content_may_swap_it(self, lake: Lake) -> None:
        old = lake.store.swap("a/x", b"1", None)
        with pytest.raises(Conflict):
            lake.store.swap("a/x", b"2", None)
        new = lake.store.swap("a/x", b"22", old)
        with pytest.raises(Conflict):
            lake.store.swap("a/x", b"333", old)
        assert lake.store.get_tagged("a/x") == (b"22", new)

    def test_of_many_who_create_or_swap_at_once_one_wins(self, lake: Lake, lake_url: str) -> None:
        tag = lake.store.swap("a/swapped", b"0", None)

        def both(number: int) -> tuple[bool, bool]:
            store = Store(lake_url)
            content = str(number + 1).encode()
            return (
                _won(lambda: store.create("a/created", content)),
                _won(lambda: store.swap("a/swapped", content, tag)),
            )

        with ThreadPoolExecutor(_AT_ONCE) as pool:
            won = list(pool.map(both, range(_AT_ONCE)))
        for name, wins in zip(("a/created", "a/swapped"), zip(*won, strict=True), strict=True):
            assert sum(wins) == 1, f"{name}: {sum(wins)} writers believe that they won"
            assert lake.store.get(name) == str(wins.index(True) + 1).encode()

    # -- leases --------------------------------------------------------------------------------------------

    def test_a_source_has_one_writer_until_that_lets_go(self, lake: Lake) -> None:
        source, other = lake.source(_SOURCE), Lake(lake.url).source(_SOURCE)
        lease = source.lease("first", utc_now)
        lease.take()
        with pytest.raises(LeaseHeld, match="first"):
            other.lease("second", utc_now).take()
        lease.check()
        lease.release()
        assert source.holder(utc_now()) is None
        second = other.lease("second", utc_now)
        second.take()
        second.release()

    def test_a_lease_runs_out_and_is_taken_over(self, lake: Lake) -> None:
        source = lake.source(_SOURCE)
        old = source.lease("old", utc_now)
        old.take()
        new = source.lease("new", lambda: utc_now() + timedelta(seconds=61))
        new.take()
        old.release()
        held = source.holder(utc_now())
        assert held is not None, "the release of who had lost the lease took it from who holds it"
        assert held.run == "new"
        new.release()

    # -- commits -------------------------------------------------------------------------------------------

    def test_a_commit_is_seen_whole_and_not_before(self, lake: Lake) -> None:
        source = lake.source(_SOURCE)
        base = source.log.make()
        history = _History(source)
        files = history.run("r1", 0, {"a": 1, "b": 2, "c": 3})
        more = history.run("r1", 0, {"d": 4}, endpoint="others")
        assert self._present(lake) == {}
        source.log.commit(base, "r1", [*files, *more])
        assert self._present(lake) == {"a": 1, "b": 2, "c": 3, "d": 4}
        assert source.log.holds("r1")

    def test_a_repeated_commit_changes_nothing(self, lake: Lake) -> None:
        source = lake.source(_SOURCE)
        base = source.log.make()
        files = _History(source).run("r1", 0, {"a": 1})
        source.log.commit(base, "r1", files)
        committed = source.log.make()
        source.log.commit(base, "r1", files)
        source.log.commit(committed, "r1", files)
        assert source.log.make().version == committed.version == base.version + 1
        assert self._present(lake) == {"a": 1}

    def test_a_stale_commit_is_refused_whole(self, lake: Lake) -> None:
        source = lake.source(_SOURCE)
        stale = source.log.make()
        history = _History(source)
        late = _History(source).run("late", 0, {"a": 0, "z": 0})
        source.log.commit(stale, "r1", history.run("r1", 0, {"a": 1}))
        with pytest.raises(StaleCommit, match="changed since"):
            source.log.commit(stale, "late", late)
        assert not source.log.holds("late")
        assert self._present(lake) == {"a": 1}

    def test_of_many_who_commit_at_once_one_wins(self, lake: Lake, lake_url: str) -> None:
        lake.source(_SOURCE).log.make()
        together = Barrier(_AT_ONCE)

        def commit(number: int) -> bool:
            source = Lake(lake_url).source(_SOURCE)
            base = source.log.make()
            assert base.version == 0
            files = _History(source).run(f"r{number}", 0, {"a": number})
            together.wait()
            try:
                source.log.commit(base, f"r{number}", files)
            except StaleCommit:
                return False
            return True

        with ThreadPoolExecutor(_AT_ONCE) as pool:
            won = list(pool.map(commit, range(_AT_ONCE)))
        assert sum(won) == 1, f"{sum(won)} writers believe that they won"
        assert self._present(lake) == {"a": won.index(True)}

    def test_sources_of_one_lake_do_not_meet(self, lake: Lake) -> None:
        for name, value in ((_SOURCE, 1), ("another", 2)):
            source = lake.source(name)
            source.log.commit(source.log.make(), "r1", _History(source).run("r1", 0, {"a": value}))
        assert lake.sources() == ["another", _SOURCE]
        assert self._present(lake) == {"a": 1}

    # -- history -------------------------------------------------------------------------------------------

    def test_as_of_tells_what_was_known_then_also_after_maintenance(self, lake: Lake) -> None:
        source = lake.source(_SOURCE)
        history = _History(source)
        days: list[dict[str, int | None]] = [{"a": 1, "b": 1}, {"a": 1, "b": 2}, {"a": 1, "b": 2}, {"a": 1, "b": None}]
        for day, values in enumerate(days):
            source.log.commit(source.log.make(), f"r{day}", history.run(f"r{day}", day, values))

        def check() -> None:
            assert self._present(lake, as_of=_at(-0.5)) == {}
            for day, values in enumerate(days):
                known = {key: value for key, value in values.items() if value is not None}
                assert self._present(lake, as_of=_at(day + 0.5)) == known, f"on day {day}"
            assert self._present(lake) == {"a": 1}
            versions = lake.query(f"SELECT key, version FROM {_SOURCE}.versions ORDER BY ALL").rows()
            assert [(row["key"], row["version"]) for row in versions] == [("a", 1), ("b", 1), ("b", 2)]

        check()
        maintain(lake, _SOURCE)
        check()

    def _present(self, lake: Lake, **more: Any) -> dict[str, Any]:
        rows = lake.query(f"SELECT key, payload FROM {_SOURCE}.records WHERE state = 'present'", **more).rows()
        found = [(row["key"], parse(row["payload"].encode())["value"]) for row in rows]
        assert len(dict(found)) == len(found), "a record appears twice"
        return dict(found)


class _History:
    """Runs of a source that says these values of its records: what is new, changed, the same, or gone (None)."""

    def __init__(self, source: SourceLake) -> None:
        self._source = source
        self._known: dict[str, Prior] = {}

    def run(self, run: str, day: float, values: dict[str, Any], endpoint: str = "things") -> list[LogFile]:
        """The files of one run, uncommitted."""
        writer = self._source.log.writer(run, "0")
        rules = Rules(run, (), timedelta(0))
        for key, value in values.items():
            prior = self._known.get(key) or _unknown(endpoint, key)
            if value is None:
                rows = [settle(replace(prior, event=Event.LOST), Refusal(_at(day), 404), rules).row]
                refused = replace(prior, state=State.MISSING, refused_at=rows[0].refused_at, floor=rows[0].valid_from)
                rows.append(settle(refused, Refusal(_at(day + 0.1), 404), rules).row)
            else:
                body = b'{"value": %d}' % value
                rows = [settle(prior, Answer(_at(day), body, parse(body)), rules).row]
            for row in rows:
                writer.add(row)
            last = rows[-1]
            content = {} if last.version is None else {name: getattr(last, name) for name in _CONTENT}
            self._known[key] = replace(prior, event=Event.NONE, state=last.state, floor=last.valid_from, **content)
        self._source.write_run(writer, self._source.log.snapshot(), run, _at(day), {})
        return writer.close()


_CONTENT = (
    "version",
    "byte_hash",
    "canonical_hash",
    "semantic_hash",
    "bytes",
    "first_seen",
    "changed_at",
    "payload_run",
)


def _unknown(endpoint: str, key: str) -> Prior:
    nothing: dict[str, Any] = dict.fromkeys(Prior.__dataclass_fields__)
    known = {"endpoint": endpoint, "key": key, "event": Event.NEW, "state": State.PRESENT, "version": 0, "failures": 0}
    return Prior(**nothing | known)


def _at(day: float) -> datetime:
    return datetime(2026, 8, 1, tzinfo=UTC) + timedelta(days=day)


def _won(write: Callable[[], object]) -> bool:
    with suppress(Conflict):
        write()
        return True
    return False
