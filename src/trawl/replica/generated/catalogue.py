"""A catalogue of generated records: nothing is stored, each document is computed when it is asked for."""

import hashlib
import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from functools import cached_property

import orjson

from trawl.model.errors import ConfigurationError
from trawl.replica.catalogue import Document, Listing, Release, as_document
from trawl.replica.generated.history import History, State
from trawl.replica.generated.plan import ENCOUNTERS, LEAST_RECORDS, Plan, Shelf
from trawl.replica.generated.shapes import BASE, SHAPES, Record, World
from trawl.replica.generated.words import Dice, mix

MOST_RECORDS = 10_000_000
MOST_DAYS = 3_650
_EPOCH = 1_785_542_400
"""When day 0 was deployed: 2026-08-01, in Unix seconds."""

_DAY_SECONDS = 86_400
_ID = re.compile(r"-?[0-9]{1,12}")
_NUMBER_IN_NAME = re.compile(r"-([0-9]{1,12})(?:-mk[0-9]+)?$")


class GeneratedCatalogue:
    """`records` documents on day 0, encounters included, and what became of them on a later day.

    The same arguments always make the same bytes. `changes` tells what differs between two days. Raises
    ConfigurationError for a number that is out of range.
    """

    def __init__(self, records: int, *, seed: int = 0, day: int = 0) -> None:
        if not LEAST_RECORDS <= records <= MOST_RECORDS:
            raise ConfigurationError(
                f"cannot generate {records} records",
                remedy=f"give a number from {LEAST_RECORDS} to {MOST_RECORDS}",
            )
        if not 0 <= day <= MOST_DAYS:
            raise ConfigurationError(f"cannot generate day {day}", remedy=f"give a day from 0 to {MOST_DAYS}")
        self._day = day
        self._plan = Plan(records)
        self._history = History(self._plan, seed, day)
        self._listings: dict[str, Listing] = {}
        salts = {endpoint: _salt(f"{seed}/{endpoint}") for endpoint in SHAPES}
        self._world = World(self._plan.shelves, salts)
        digest = hashlib.sha1(f"{records}/{seed}/{day}".encode(), usedforsecurity=False).hexdigest()
        self.release = Release(hash=digest, deploy_date=str(_EPOCH + day * _DAY_SECONDS))
        self.endpoints = frozenset(SHAPES) - {ENCOUNTERS}

    def find(self, path: str) -> Document | Listing | None:
        """See `Catalogue`."""
        if not path:
            return as_document(orjson.dumps({name: f"{BASE}/{name}/" for name in sorted({*self.endpoints, "meta"})}))
        if path == "meta":
            release = self.release
            return as_document(orjson.dumps({"deploy_date": release.deploy_date, "hash": release.hash, "tag": None}))
        endpoint, _, rest = path.partition("/")
        shelf = self._plan.shelves.get(endpoint)
        if shelf is None:
            return None
        if not rest:
            return self._listing(shelf)
        resource, _, below = rest.partition("/")
        slot = shelf.slot_of(int(resource)) if _ID.fullmatch(resource) else self._slot_named(shelf, resource)
        if below:
            shelf = self._plan.shelves.get(f"{endpoint}/{below}")
        return None if shelf is None or slot is None else self._document(shelf, slot)

    def _document(self, shelf: Shelf, slot: int) -> Document | None:
        state = self._history.state(shelf, slot, self._day)
        if state is None:
            return None
        name = self._name(shelf, slot, state) if shelf.named else ""
        dice = Dice(mix(slot) ^ self._world.salts[shelf.endpoint])
        record = Record(self._world, slot, shelf.id_of(slot), name, state, dice)
        return as_document(orjson.dumps(SHAPES[shelf.endpoint](record)))

    def _name(self, shelf: Shelf, slot: int, state: State) -> str:
        base = self._world.base_name(shelf.endpoint, slot)
        return f"{base}-mk{state.renames + 1}" if state.renames else base

    def _slot_named(self, shelf: Shelf, name: str) -> int | None:
        """The slot of a name; where two share it, the last one, as in the real service."""
        number = _NUMBER_IN_NAME.search(name)
        if number is None or not shelf.named:
            return None
        for slot in (shelf.size - 1, int(number[1])):
            state = self._history.state(shelf, slot, self._day)
            if state is not None and self._name(shelf, slot, state) == name:
                return slot
        return None

    def _listing(self, shelf: Shelf) -> Listing:
        known = self._listings.get(shelf.endpoint)
        if known is not None:
            return known
        states = self._restless[shelf.endpoint]
        absent = sorted(slot for slot, state in states.items() if state is None)
        names = {slot: self._name(shelf, slot, state) for slot, state in states.items() if state and state.renames}
        entries = _Entries(self._world, shelf, shelf.end(self._day), absent, names)
        listing = self._listings[shelf.endpoint] = Listing(len(entries), entries)
        return listing

    @cached_property
    def _restless(self) -> Mapping[str, Mapping[int, State | None]]:
        """By endpoint, the slots that lists may show otherwise than on day 0."""
        history, shelves = self._history, self._plan.shelves
        return {
            endpoint: {slot: history.state(shelves[endpoint], slot, self._day) for slot in slots}
            for endpoint, slots in history.restless(self._day).items()
        }


class _Entries:
    """The entries of a generated list, made when a slice of them is taken."""

    def __init__(self, world: World, shelf: Shelf, end: int, absent: Sequence[int], renamed: Mapping[int, str]) -> None:
        self._world = world
        self._shelf = shelf
        self._end = end
        self._absent = absent
        self._gone = frozenset(absent)
        self._renamed = renamed

    def __len__(self) -> int:
        return self._end - len(self._absent)

    def __getitem__(self, span: slice, /) -> list[bytes]:
        start, stop, _ = span.indices(len(self))
        if start >= stop:
            return []
        slots = range(self._slot(start), self._slot(stop - 1) + 1)
        return [self._entry(slot) for slot in slots if slot not in self._gone]

    def _slot(self, position: int) -> int:
        """The slot that comes at a position among those present."""
        before = bisect_right(range(len(self._absent)), position, key=lambda turn: self._absent[turn] - turn)
        return position + before

    def _entry(self, slot: int) -> bytes:
        url = f"{BASE}/{self._shelf.endpoint}/{self._shelf.id_of(slot)}/"
        if not self._shelf.named:
            return f'{{"url":"{url}"}}'.encode()
        name = self._renamed.get(slot) or self._world.base_name(self._shelf.endpoint, slot)
        return f'{{"name":"{name}","url":"{url}"}}'.encode()


def _salt(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())
