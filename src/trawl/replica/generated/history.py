"""What happens to generated records from day to day: a pure function of seed, number of records and day.

Each day draws a fixed number of day-0 records for each kind of change, spread evenly, and creates others,
which then stay as they are. A record drawn twice suffers the gravest; one that is absent, nothing. No draw is
stored: whether a record is drawn is arithmetic, and so is the list of those drawn.
"""

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass

from trawl.model.errors import ConfigurationError
from trawl.replica.generated.plan import ENCOUNTERS, Plan, Shelf

DAYS_AWAY = 2
"""A record that is removed for a while returns after so many days."""

ORDERS = 3
"""Orders that a reordered list can be in; its length is at least this."""

_CHANGED, _REORDERED, _RENAMED, _AWAY, _LOST = 0.012, 0.006, 0.001, 0.001, 0.001
_FOR_GOOD = 10**9

Ref = tuple[str, int]
"""An endpoint and an id."""


@dataclass(frozen=True, slots=True)
class State:
    """What a record is like on a day: how often it changed and was renamed, which order its list is in."""

    version: int = 0
    renames: int = 0
    order: int = 0


@dataclass(frozen=True, slots=True)
class Changes:
    """What differs between two days, as disjoint sets of (endpoint, id); for encounters see `ENCOUNTERS`."""

    created: frozenset[Ref]
    changed: frozenset[Ref]
    """Another content under the same name; its list may be reordered too."""

    reordered: frozenset[Ref]
    """The same content, but for the order of one list: `flavor_text_entries` or `pokemon_species`."""

    renamed: frozenset[Ref]
    """Another name; other content may differ too."""

    removed: frozenset[Ref]
    returned: frozenset[Ref]
    """Absent on the first day, though created before it; as they were, or changed meanwhile."""


@dataclass(frozen=True, slots=True)
class _Lot:
    """`size` numbers below `universe`, one golden step (mod universe) after the other: evenly spread."""

    universe: int
    size: int
    start: int
    step: int
    inverse: int

    def draws(self, index: int) -> bool:
        return index < self.universe and (index - self.start) * self.inverse % self.universe < self.size

    def drawn(self) -> Iterator[int]:
        return ((self.start + turn * self.step) % self.universe for turn in range(self.size))


@dataclass(frozen=True, slots=True)
class _Day:
    changed: _Lot
    reordered: _Lot
    renamed: _Lot
    away: _Lot
    lost: _Lot

    def drawn(self) -> Iterator[int]:
        for lot in (self.changed, self.reordered, self.renamed, self.away, self.lost):
            yield from lot.drawn()


class History:
    """The fate of every record of a plan, from day 0 to a last day."""

    def __init__(self, plan: Plan, seed: int, last_day: int) -> None:
        self.plan = plan
        self._days = [_draw(plan, f"{seed}/{day}") for day in range(1, last_day + 1)]

    def state(self, shelf: Shelf, slot: int, day: int) -> State | None:
        """What a record is like on a day, or None: not yet created, or removed."""
        if slot >= shelf.size:
            return State() if slot < shelf.end(day) else None
        if shelf.endpoint == ENCOUNTERS and self.state(self.plan.shelves["pokemon"], slot, day) is None:
            return None
        index = shelf.first_index + slot
        version = renames = order = absent_until = 0
        for today, events in enumerate(self._days[:day], 1):
            if events.lost.draws(index):
                absent_until = _FOR_GOOD
            if today < absent_until:
                continue
            if events.away.draws(index):
                absent_until = today + DAYS_AWAY
            elif events.renamed.draws(index):
                renames += 1
            elif events.reordered.draws(index):
                order = (order + 1) % ORDERS
            elif events.changed.draws(index):
                version += 1
        return None if absent_until > day else State(version, renames, order)

    def restless(self, day: int) -> dict[str, set[int]]:
        """The slots of each endpoint that may be absent or renamed on a day."""
        slots: dict[str, set[int]] = {endpoint: set() for endpoint in self.plan.shelves}
        for number, events in enumerate(self._days[:day], 1):
            lots = [events.renamed, events.lost] + ([events.away] if number + DAYS_AWAY > day else [])
            for lot in lots:
                for index in lot.drawn():
                    shelf, slot = self.plan.locate(index)
                    slots[shelf.endpoint].add(slot)
        return slots

    def between(self, first: int, second: int) -> Changes:
        """What differs on the second day from the first."""
        found: dict[str, set[Ref]] = {name: set() for name in Changes.__dataclass_fields__}
        for shelf, slot in self._touched(first, second):
            before, after = self.state(shelf, slot, first), self.state(shelf, slot, second)
            if before != after:
                found[_class_of(before, after)].add((shelf.endpoint, shelf.id_of(slot)))
        for shelf in self.plan.shelves.values():
            born = range(shelf.end(first), shelf.end(second))
            found["created"].update((shelf.endpoint, shelf.id_of(slot)) for slot in born)
        return Changes(**{name: frozenset(refs) for name, refs in found.items()})

    def _touched(self, first: int, second: int) -> set[tuple[Shelf, int]]:
        encounters = self.plan.shelves[ENCOUNTERS]
        touched: set[tuple[Shelf, int]] = set()
        for events in self._days[max(first - DAYS_AWAY, 0) : second]:
            for index in events.drawn():
                shelf, slot = self.plan.locate(index)
                touched.add((shelf, slot))
                if shelf.endpoint == "pokemon":
                    touched.add((encounters, slot))
        return touched


def changes(records: int, *, seed: int = 0, first: int, second: int) -> Changes:
    """What differs between two days of what `GeneratedCatalogue(records, seed=seed, day=...)` serves.

    Raises ConfigurationError if the days are not 0 <= first <= second.
    """
    if not 0 <= first <= second:
        raise ConfigurationError(f"no changes from day {first} to day {second}", remedy="give 0 <= first <= second")
    return History(Plan(records), seed, second).between(first, second)


def _class_of(before: State | None, after: State | None) -> str:
    if after is None:
        return "removed"
    if before is None:
        return "returned"
    if before.renames != after.renames:
        return "renamed"
    return "changed" if before.version != after.version else "reordered"


def _draw(plan: Plan, salt: str) -> _Day:
    return _Day(
        changed=_lot(plan.records, _CHANGED, f"{salt}/changed"),
        reordered=_lot(plan.reorderable, _REORDERED, f"{salt}/reordered"),
        renamed=_lot(plan.named, _RENAMED, f"{salt}/renamed"),
        away=_lot(plan.own, _AWAY, f"{salt}/away"),
        lost=_lot(plan.own, _LOST, f"{salt}/lost"),
    )


def _lot(universe: int, rate: float, salt: str) -> _Lot:
    start = int.from_bytes(hashlib.blake2b(salt.encode(), digest_size=8).digest()) % universe
    step = max(int(universe * (math.sqrt(5) - 1) / 2), 1)
    while math.gcd(step, universe) != 1:
        step += 1
    return _Lot(universe, max(round(universe * rate), 1), start, step, pow(step, -1, universe))
