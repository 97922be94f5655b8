"""The bodies of generated records: PokeAPI's fields in PokeAPI's order, at about its sizes.

Everything follows from seed, slot and state. What a record says of others are their names of day 0: so that a
rename changes one record, and what changes between two days is known. The service's own small collections
(languages, versions, ...) are referred to though they are not generated.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from trawl.replica.catalogue import ORIGIN, PREFIX
from trawl.replica.generated.history import State
from trawl.replica.generated.plan import ENCOUNTERS, Shelf
from trawl.replica.generated.words import Dice, name_of

BASE = f"{ORIGIN}{PREFIX}"
_SPRITES = "https://raw.githubusercontent.com/PokeAPI/sprites/master/sprites"
_BIG_EVERY = 211
"""One pokemon in so many has hundreds of moves: a body of some 100 kB among those of 3 kB."""

Json = dict[str, Any]


def _refs(endpoint: str, *names: str) -> list[Json]:
    return [{"name": name, "url": f"{BASE}/{endpoint}/{key}/"} for key, name in enumerate(names, 1)]


_LANGUAGES = _refs("language", "ja-hrkt", "roomaji", "ko", "zh-hant", "fr", "de", "es", "it", "en")
_VERSIONS = _refs("version", "red", "blue", "yellow", "gold", "silver", "crystal", "ruby", "sapphire")
_GROUPS = _refs("version-group", "red-blue", "yellow", "gold-silver", "crystal", "ruby-sapphire", "emerald")
_TYPES = _refs("type", "normal", "fighting", "flying", "poison", "ground", "rock", "bug", "ghost", "steel")
_STATS = _refs("stat", "hp", "attack", "defense", "special-attack", "special-defense", "speed")
_GENERATIONS = _refs("generation", "generation-i", "generation-ii", "generation-iii", "generation-iv")
_METHODS = _refs("encounter-method", "walk", "old-rod", "good-rod", "super-rod", "surf")
_ATTRIBUTES = _refs("item-attribute", "countable", "consumable", "usable-overworld")
_CATEGORIES = _refs("item-category", "stat-boosts", "effort-drop", "medicine")
_DAMAGE_CLASSES = _refs("move-damage-class", "status", "physical", "special")
_EGG_GROUPS = _refs("egg-group", "monster", "water1", "bug", "flying")
_ABILITIES = _refs("ability", "stench", "drizzle", "speed-boost")
_LEVEL_UP = _refs("evolution-trigger", "level-up")[0]
_EN = _LANGUAGES[8]


@dataclass(frozen=True, slots=True)
class World:
    """What all records share: the shelves they refer to, and a salt that makes another seed another world."""

    shelves: Mapping[str, Shelf]
    salts: Mapping[str, int]

    def base_name(self, endpoint: str, slot: int) -> str:
        """A record's name on day 0. The last item shares that of the first, as `roseli-berry` does."""
        shelf = self.shelves[endpoint]
        twin = endpoint == "item" and slot == shelf.size - 1 >= 2
        return name_of(self.salts[endpoint], 0 if twin else slot)

    def ref(self, endpoint: str, slot: int) -> Json:
        """A link to a record, as PokeAPI writes it."""
        key = self.shelves[endpoint].id_of(slot)
        return {"name": self.base_name(endpoint, slot), "url": f"{BASE}/{endpoint}/{key}/"}


@dataclass(frozen=True, slots=True)
class Record:
    """One record on one day, and the dice that decide its content: the same every day."""

    world: World
    slot: int
    id: int
    name: str
    state: State
    dice: Dice

    def any(self, endpoint: str) -> Json:
        """A link to a record of another endpoint."""
        return self.world.ref(endpoint, self.dice.roll(self.world.shelves[endpoint].size))

    def reordered(self, entries: list[Json]) -> list[Json]:
        """A list of at least three different entries, in the order of the day."""
        order = self.state.order
        return entries[order:] + entries[:order]

    def names(self) -> list[Json]:
        """What the record is called in a few languages; unlike its name, this never changes."""
        title = self.dice.words(4)
        return [{"language": language, "name": f"{title[:-1]} ({language['name']})"} for language in _LANGUAGES[4:]]

    def flavor_texts(self, text: str, where: str) -> list[Json]:
        """The list that reorderings happen to; each entry has another version or version group."""
        versions = _VERSIONS if where == "version" else _GROUPS
        count = 3 + self.dice.roll(4)
        return self.reordered(
            [{text: self.dice.words(12), "language": _EN, where: version} for version in versions[:count]]
        )


def _item(record: Record) -> Json:
    roll = record.dice.roll
    return {
        "attributes": _ATTRIBUTES[: roll(4)],
        "baby_trigger_for": None,
        "category": _CATEGORIES[roll(3)],
        "cost": 100 * roll(50) + 10 * record.state.version,
        "effect_entries": [{"effect": record.dice.words(20), "language": _EN, "short_effect": record.dice.words(8)}],
        "flavor_text_entries": record.flavor_texts("text", "version_group"),
        "fling_effect": None,
        "fling_power": None if roll(2) else 10 * roll(10),
        "game_indices": [{"game_index": record.id, "generation": _GENERATIONS[roll(4)]}],
        "held_by_pokemon": [],
        "id": record.id,
        "machines": [],
        "name": record.name,
        "names": record.names(),
        "sprites": {"default": f"{_SPRITES}/items/{record.slot}.png"},
    }


def _move(record: Record) -> Json:
    roll = record.dice.roll
    return {
        "accuracy": None if roll(4) == 0 else 50 + roll(51),
        "damage_class": _DAMAGE_CLASSES[roll(3)],
        "effect_chance": None,
        "effect_entries": [{"effect": record.dice.words(16), "language": _EN, "short_effect": record.dice.words(8)}],
        "flavor_text_entries": record.flavor_texts("flavor_text", "version_group"),
        "generation": _GENERATIONS[roll(4)],
        "id": record.id,
        "learned_by_pokemon": [record.any("pokemon") for _ in range(roll(6))],
        "machines": [],
        "meta": {"ailment": record.any("move-ailment"), "ailment_chance": 10 * roll(4), "crit_rate": roll(3)},
        "name": record.name,
        "names": record.names(),
        "power": 10 * roll(15) + record.state.version,
        "pp": 5 * (1 + roll(8)),
        "priority": roll(3) - 1,
        "type": _TYPES[roll(9)],
    }


def _pokemon_species(record: Record) -> Json:
    roll = record.dice.roll
    return {
        "base_happiness": 70,
        "capture_rate": 3 + roll(253) + 256 * record.state.version,
        "color": record.any("pokemon-color"),
        "egg_groups": _EGG_GROUPS[: 1 + roll(2)],
        "evolution_chain": {"url": record.any("evolution-chain")["url"]},
        "evolves_from_species": None,
        "flavor_text_entries": record.flavor_texts("flavor_text", "version"),
        "gender_rate": roll(10) - 1,
        "genera": [{"genus": record.dice.words(4), "language": _EN}],
        "generation": _GENERATIONS[roll(4)],
        "habitat": None,
        "id": record.id,
        "is_baby": roll(20) == 0,
        "name": record.name,
        "names": record.names(),
        "order": record.id,
        "varieties": [{"is_default": True, "pokemon": record.any("pokemon")}],
    }


def _pokemon_color(record: Record) -> Json:
    count = record.world.shelves["pokemon-species"].size
    first = record.dice.roll(count)
    # Distinct entries, however few species there are: an order must be visible.
    members = [record.world.ref("pokemon-species", first + place) for place in range(3 + record.dice.roll(5))]
    extra = [record.world.ref("pokemon-species", first + 10 + place) for place in range(record.state.version)]
    return {
        "id": record.id,
        "name": record.name,
        "names": record.names(),
        "pokemon_species": record.reordered(members) + extra,
    }


def _pokemon(record: Record) -> Json:
    roll = record.dice.roll
    moves = 300 + roll(300) if record.slot % _BIG_EVERY == _BIG_EVERY - 1 else roll(8)
    return {
        "abilities": [
            {"ability": ability, "is_hidden": slot == 3, "slot": slot}
            for slot, ability in enumerate(_ABILITIES[: 1 + roll(3)], 1)
        ],
        "base_experience": None if roll(20) == 0 else 40 + roll(300),
        "forms": [{"name": record.name, "url": f"{BASE}/pokemon-form/{record.id}/"}],
        "game_indices": [{"game_index": record.id, "version": version} for version in _VERSIONS],
        "height": 1 + roll(40),
        "held_items": [],
        "id": record.id,
        "is_default": True,
        "location_area_encounters": f"{BASE}/pokemon/{record.id}/encounters",
        "moves": [
            {
                "move": record.any("move"),
                "version_group_details": [
                    {"level_learned_at": roll(60), "order": None, "version_group": _GROUPS[roll(6)]}
                ],
            }
            for _ in range(moves)
        ],
        "name": record.name,
        "order": record.id if roll(10) else -1,
        "past_types": [],
        "species": record.any("pokemon-species"),
        "sprites": {
            "back_default": f"{_SPRITES}/pokemon/back/{record.id}.png",
            "back_female": None,
            "front_default": f"{_SPRITES}/pokemon/{record.id}.png",
        },
        "stats": [{"base_stat": 5 + roll(200), "effort": roll(4), "stat": stat} for stat in _STATS],
        "types": [{"slot": 1, "type": _TYPES[roll(9)]}],
        "weight": 1 + roll(9000) + record.state.version,
    }


def _location_area(record: Record) -> Json:
    roll = record.dice.roll
    return {
        "encounter_method_rates": [
            {
                "encounter_method": method,
                "version_details": [{"rate": 5 * roll(20), "version": _VERSIONS[roll(8)]}],
            }
            for method in _METHODS[: roll(5)]
        ],
        "game_index": record.id + 100_000 * record.state.version,
        "id": record.id,
        "location": {"name": record.dice.words(4)[:-1], "url": f"{BASE}/location/{1 + roll(900)}/"},
        "name": record.name,
        "names": record.names(),
        "pokemon_encounters": [{"pokemon": record.any("pokemon"), "version_details": []} for _ in range(roll(6))],
    }


def _move_ailment(record: Record) -> Json:
    moves = [record.any("move") for _ in range(1 + record.dice.roll(6))]
    return {
        "id": record.id,
        "moves": moves + moves[:1] * record.state.version,
        "name": record.name,
        "names": record.names(),
    }


def _evolution_chain(record: Record) -> Json:
    link: Json | None = None
    for depth in range(record.dice.roll(3), -1, -1):
        level = {
            "min_level": 16 + depth + record.state.version,
            "trigger": _LEVEL_UP,
        }
        link = {
            "evolution_details": [level],
            "evolves_to": [link] if link else [],
            "is_baby": False,
            "species": record.any("pokemon-species"),
        }
    return {"baby_trigger_item": None, "chain": link, "id": record.id}


def _machine(record: Record) -> Json:
    group = 1 + record.dice.roll(20) + 100 * record.state.version
    return {
        "id": record.id,
        "item": record.any("item"),
        "move": record.any("move"),
        "version_group": {"name": f"version-group-{group}", "url": f"{BASE}/version-group/{group}/"},
    }


def _encounters(record: Record) -> list[Json]:
    roll = record.dice.roll
    if record.state.version == 0 and roll(4) == 0:
        return []
    return [
        {
            "location_area": record.any("location-area"),
            "version_details": [
                {
                    "encounter_details": [
                        {
                            "chance": 5 * roll(20),
                            "condition_values": [],
                            "max_level": 60 + record.state.version,
                            "method": _METHODS[roll(5)],
                            "min_level": 2 + roll(50),
                        }
                    ],
                    "max_chance": 100,
                    "version": _VERSIONS[roll(8)],
                }
            ],
        }
        for _ in range(1 + roll(3))
    ]


SHAPES: Mapping[str, Callable[[Record], Any]] = {
    "item": _item,
    "move": _move,
    "pokemon-species": _pokemon_species,
    "pokemon-color": _pokemon_color,
    "pokemon": _pokemon,
    "location-area": _location_area,
    "move-ailment": _move_ailment,
    "evolution-chain": _evolution_chain,
    "machine": _machine,
    ENCOUNTERS: _encounters,
}
