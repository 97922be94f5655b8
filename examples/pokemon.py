"""What the showcase makes of PokeAPI's documents. Pure functions: they are tested without a server."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

PLACEHOLDER = (
    "data:image/svg+xml;utf8,<svg xmlns='http://www.w3.org/2000/svg' width='96' height='96'>"
    "<rect width='96' height='96' fill='%23eeeeee'/><text x='48' y='54' text-anchor='middle'>no sprite</text></svg>"
)


def artifact_key(*words: str) -> str:
    """A key that Prefect takes (lower-case letters, digits and dashes), of any words: `Mr. Mime` becomes `mr-mime`."""
    text = "-".join(words).lower()
    kept = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in text)
    return "-".join(part for part in kept.split("-") if part)


def types_of(record: Mapping[str, Any]) -> list[str]:
    """A Pokémon's types, the first one first."""
    return [entry["type"]["name"] for entry in sorted(record["types"], key=lambda entry: entry["slot"])]


def sprite_of(record: Mapping[str, Any]) -> str:
    """Where its picture is; a placeholder where it has none."""
    return record.get("sprites", {}).get("front_default") or PLACEHOLDER


def row_of(record: Mapping[str, Any]) -> dict[str, Any]:
    """A Pokémon as a row of a table: height in metres, weight in kilograms (PokeAPI gives tenths)."""
    return {
        "id": record["id"],
        "name": record["name"],
        "types": ", ".join(types_of(record)),
        "height_m": record["height"] / 10,
        "weight_kg": record["weight"] / 10,
    }


def evolutions(link: Mapping[str, Any], before: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every way through an evolution chain, from its first member to a last one; `eevee` has eight."""
    way = (*before, link["species"]["name"])
    if not link["evolves_to"]:
        yield way
    for following in link["evolves_to"]:
        yield from evolutions(following, way)


def report(
    greeting: str, record: Mapping[str, Any], ways: Iterable[tuple[str, ...]], notes: Iterable[str] = (), *, full: bool
) -> str:
    """The spotlight in Markdown."""
    row = row_of(record)
    lines = [f"# {record['name'].title()}", "", f"_{greeting}_", "", f"![{record['name']}]({sprite_of(record)})", ""]
    lines += [f"- **{name}**: {value}" for name, value in row.items() if full or name in {"id", "types"}]
    lines += ["", "## Evolutions", "", *(f"- {' → '.join(way)}" for way in ways)]
    return "\n".join([*lines, "", *(f"> {note}" for note in notes)])
