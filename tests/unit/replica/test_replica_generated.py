"""Generated data: exact numbers, and days that differ by what `changes` says."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trawl.model.errors import ConfigurationError
from trawl.replica import (
    ENCOUNTERS,
    Catalogue,
    Changes,
    Document,
    GeneratedCatalogue,
    Listing,
    changes,
)

UNORDERED = ("flavor_text_entries", "pokemon_species")


def listed(catalogue: Catalogue, endpoint: str) -> dict[int, str]:
    """Id and name (or "") of everything in a list."""
    found = catalogue.find(endpoint)
    assert isinstance(found, Listing)
    entries = [json.loads(entry) for entry in found.entries[0 : found.count]]
    assert len(entries) == found.count
    return {int(entry["url"].split("/")[-2]): entry.get("name", "") for entry in entries}


def bodies(catalogue: Catalogue) -> dict[tuple[str, int], bytes]:
    """Every document that the lists lead to, encounters included."""
    found = {}
    for endpoint in catalogue.endpoints:
        for key in listed(catalogue, endpoint):
            document = catalogue.find(f"{endpoint}/{key}")
            assert isinstance(document, Document)
            found[endpoint, key] = document.body
            if endpoint == "pokemon":
                link = json.loads(document.body)["location_area_encounters"]
                encounters = catalogue.find(link.removeprefix("https://pokeapi.co/api/v2/"))
                assert isinstance(encounters, Document)
                found[ENCOUNTERS, key] = encounters.body
    return found


def unordered(body: bytes) -> Any:
    content = json.loads(body)
    if isinstance(content, dict):
        for field in UNORDERED:
            if field in content:
                content[field] = sorted(content[field], key=json.dumps)
    return content


def observed(before: dict[Any, bytes], after: dict[Any, bytes], ever: set[Any]) -> Changes:
    """What a careful reader of both days finds."""
    both = [ref for ref in before.keys() & after.keys() if before[ref] != after[ref]]
    names = {ref: [json.loads(day[ref])["name"] for day in (before, after)] for ref in both if named(before[ref])}
    renamed = {ref for ref, (old, new) in names.items() if old != new}
    reordered = {ref for ref in both if unordered(before[ref]) == unordered(after[ref])}
    new = after.keys() - before.keys()
    return Changes(
        created=frozenset(new - ever),
        changed=frozenset(set(both) - renamed - reordered),
        reordered=frozenset(reordered),
        renamed=frozenset(renamed),
        removed=frozenset(before.keys() - after.keys()),
        returned=frozenset(new & ever),
    )


def named(body: bytes) -> bool:
    content = json.loads(body)
    return isinstance(content, dict) and "name" in content


@pytest.mark.parametrize("records", [10, 11, 12, 57, 1_000, 4_321])
def test_day_0_holds_exactly_the_records_asked_for(records: int) -> None:
    assert len(bodies(GeneratedCatalogue(records))) == records


@settings(deadline=None, max_examples=15, derandomize=True, database=None)
@given(st.integers(10, 1_200), st.integers(-5, 5), st.tuples(st.integers(0, 6), st.integers(0, 6)).map(sorted))
def test_days_differ_by_what_changes_says(records: int, seed: int, days: list[int]) -> None:
    first, second = days
    history = [bodies(GeneratedCatalogue(records, seed=seed, day=day)) for day in range(second + 1)]
    ever = {ref for day in history[: first + 1] for ref in day}
    told = changes(records, seed=seed, first=first, second=second)
    assert observed(history[first], history[second], ever) == told


def test_every_kind_of_change_happens() -> None:
    told = changes(1_000, first=1, second=4)
    assert all(getattr(told, kind) for kind in Changes.__dataclass_fields__)


def test_a_day_changes_about_two_per_cent() -> None:
    told = changes(100_000, seed=3, first=7, second=8)
    total = sum(len(getattr(told, kind)) for kind in Changes.__dataclass_fields__)
    assert 1_500 < total < 2_500


def test_a_day_and_itself_do_not_differ() -> None:
    assert changes(1_000, first=3, second=3) == Changes(*[frozenset()] * 6)


def test_the_same_arguments_make_the_same_bytes() -> None:
    assert bodies(GeneratedCatalogue(200, seed=5, day=3)) == bodies(GeneratedCatalogue(200, seed=5, day=3))


def test_another_seed_is_another_world() -> None:
    ours, theirs = GeneratedCatalogue(200), GeneratedCatalogue(200, seed=1)
    assert ours.release != theirs.release
    assert listed(ours, "item") != listed(theirs, "item")


def test_a_renamed_record_is_listed_and_found_under_its_new_name_alone() -> None:
    before, after = GeneratedCatalogue(1_000), GeneratedCatalogue(1_000, day=1)
    for endpoint, key in changes(1_000, first=0, second=1).renamed:
        old, new = listed(before, endpoint)[key], listed(after, endpoint)[key]
        assert old != new
        assert after.find(f"{endpoint}/{new}") == after.find(f"{endpoint}/{key}")
        assert after.find(f"{endpoint}/{old}") is None


def test_records_are_found_by_name_and_the_last_of_two_wins() -> None:
    catalogue = GeneratedCatalogue(500)
    names = listed(catalogue, "item")
    for name, key in {name: key for key, name in names.items()}.items():
        assert catalogue.find(f"item/{name}") == catalogue.find(f"item/{key}")
    assert len(set(names.values())) == len(names) - 1


def test_ids_are_odd_where_the_real_ones_are() -> None:
    catalogue = GeneratedCatalogue(5_000)
    assert list(listed(catalogue, "move-ailment"))[:2] == [-1, 0]
    items = list(listed(catalogue, "item"))
    assert items == sorted(items)
    assert max(items) > len(items)
    assert set(listed(catalogue, "machine").values()) == {""}
    assert any(not name.isascii() for name in listed(catalogue, "item").values())


@pytest.mark.parametrize(
    "path", ["item/17", "item/0", "item/999999", "item/nobody", "machine/x-1", "item/1/encounters"]
)
def test_what_was_never_generated_is_not_found(path: str) -> None:
    assert GeneratedCatalogue(1_000).find(path) is None


def test_now_and_then_a_document_is_big() -> None:
    sizes = sorted(
        len(body) for (endpoint, _), body in bodies(GeneratedCatalogue(2_500)).items() if endpoint == "pokemon"
    )
    assert sizes[-1] > 20 * sizes[len(sizes) // 2]


@pytest.mark.parametrize("slices", [(0, 1), (10, 250), (249, 400), (5, 5), (900, 1_000)])
def test_a_slice_of_a_list_is_that_part_of_the_whole(slices: tuple[int, int]) -> None:
    found = GeneratedCatalogue(5_000, day=9).find("item")
    assert isinstance(found, Listing)
    whole = found.entries[0 : len(found.entries)]
    start, stop = slices
    assert found.entries[start:stop] == whole[start:stop]


def test_ten_million_records_are_there_at_once() -> None:
    catalogue = GeneratedCatalogue(10_000_000)
    found = catalogue.find("machine")
    assert isinstance(found, Listing)
    assert found.count > 1_000_000
    assert len(found.entries[found.count - 3 : found.count]) == 3


@pytest.mark.parametrize("wrong", [{"records": 9}, {"records": 10_000_001}, {"records": 10, "day": -1}])
def test_a_wrong_number_is_refused_with_what_would_be_right(wrong: dict[str, int]) -> None:
    with pytest.raises(ConfigurationError, match="from") as refused:
        GeneratedCatalogue(**wrong)
    assert refused.value.remedy


@pytest.mark.parametrize(("first", "second"), [(1, 0), (-1, 2)])
def test_time_goes_forward(first: int, second: int) -> None:
    with pytest.raises(ConfigurationError, match="first <= second"):
        changes(100, first=first, second=second)
