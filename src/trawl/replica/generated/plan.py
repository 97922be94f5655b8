"""How N records are laid out over endpoints: which ids there are, and where each comes in a count of all.

A record is known by its *slot* in its endpoint, 0 for the first; ids leave gaps, slots do not. Over all
endpoints, the records of day 0 are numbered by *index*, such that those that can change in the same ways lie
together: first those with a list to reorder, then others with a name, without one, and sub-resources.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

ENCOUNTERS = "pokemon/encounters"
"""What stands for the endpoint of /pokemon/ID/encounters, with the pokemon's id, in sets of changes."""

_RUN = 16
"""After so many ids one is left out."""

_ONE_BIRTH_IN = 300


@dataclass(frozen=True, slots=True)
class Kind:
    """What an endpoint is like, at any size."""

    endpoint: str
    share: float
    """Its part of all records; machines take what is left."""

    first_id: int = 1
    most: int | None = None
    """Some collections stay small however many records there are."""

    born_at_least: int = 0
    """Records created per day, however small the collection is."""


REORDERABLE = (
    Kind("item", 0.18, born_at_least=1),
    Kind("move", 0.09),
    Kind("pokemon-species", 0.09),
    Kind("pokemon-color", 0.02, most=10),
)
NAMED = (Kind("pokemon", 0.11), Kind("location-area", 0.13), Kind("move-ailment", 0.02, first_id=-1, most=22))
UNNAMED = (Kind("evolution-chain", 0.05), Kind("machine", 0.0))
LEAST_RECORDS = len((*REORDERABLE, *NAMED, *UNNAMED, ENCOUNTERS))
"""One of each kind, and the encounters of one pokemon."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """The records of one endpoint."""

    endpoint: str
    size: int
    """Records on day 0."""

    first_index: int
    first_id: int
    born_per_day: int
    named: bool

    def id_of(self, slot: int) -> int:
        """The id at a slot."""
        return self.first_id + slot + slot // _RUN

    def slot_of(self, id: int) -> int | None:
        """The slot of an id; None in a gap and before the first."""
        run, place = divmod(id - self.first_id, _RUN + 1)
        return None if run < 0 or place == _RUN else run * _RUN + place

    def end(self, day: int) -> int:
        """One past the last slot that was ever filled up to a day."""
        return self.size + self.born_per_day * day


@dataclass(frozen=True)
class Plan:
    """The shelves for a number of records, at least one on each."""

    records: int

    @cached_property
    def shelves(self) -> Mapping[str, Shelf]:
        """By endpoint; the encounters come last, on a shelf like the pokemon's."""
        sizes = self._sizes()
        shelves: dict[str, Shelf] = {}
        index = 0
        for kind in (*REORDERABLE, *NAMED, *UNNAMED):
            size = sizes[kind.endpoint]
            born = max(kind.born_at_least, 0 if kind.most else size // _ONE_BIRTH_IN)
            named = kind not in UNNAMED
            shelves[kind.endpoint] = Shelf(kind.endpoint, size, index, kind.first_id, born, named)
            index += size
        parents = shelves["pokemon"]
        shelves[ENCOUNTERS] = Shelf(ENCOUNTERS, parents.size, index, parents.first_id, parents.born_per_day, False)
        return shelves

    @cached_property
    def reorderable(self) -> int:
        """Indexes below this have a list to reorder."""
        return self.shelves[NAMED[0].endpoint].first_index

    @cached_property
    def named(self) -> int:
        """Indexes below this have a name."""
        return self.shelves[UNNAMED[0].endpoint].first_index

    @cached_property
    def own(self) -> int:
        """Indexes below this are not encounters."""
        return self.shelves[ENCOUNTERS].first_index

    @cached_property
    def _descending(self) -> tuple[Shelf, ...]:
        return tuple(reversed(tuple(self.shelves.values())))

    def locate(self, index: int) -> tuple[Shelf, int]:
        """The shelf and slot of an index."""
        shelf = next(shelf for shelf in self._descending if shelf.first_index <= index)
        return shelf, index - shelf.first_index

    def _sizes(self) -> dict[str, int]:
        *kinds, rest = (*REORDERABLE, *NAMED, *UNNAMED)
        spare = self.records - LEAST_RECORDS
        sizes = {kind.endpoint: min(1 + int(spare * kind.share), kind.most or self.records) for kind in kinds}
        sizes[rest.endpoint] = self.records - sum(sizes.values()) - sizes["pokemon"]
        return sizes
