"""Durations and dotted paths."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trawl.model.values import dig, each, format_duration, parse_duration, parts, path_of

CENTURY = timedelta(days=36_525)


@given(st.timedeltas(timedelta(0), CENTURY))
def test_durations_round_trip(duration: timedelta) -> None:
    assert parse_duration(format_duration(duration)) == duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("15m", 900),
        ("24h", 86_400),
        ("6d", 518_400),
        ("2w", 1_209_600),
        ("1h 30m", 5_400),
        ("1h30m", 5_400),
        (" 5 s ", 5),
        ("1.5h", 5_400),
        ("0.1s", 0.1),
        (0, 0),
        (7, 7),
        (1.5, 1.5),
    ],
)
def test_durations_are_read_as_people_write_them(text: object, seconds: float) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        ({"days": 7}, "1w"),
        ({"hours": 36}, "36h"),
        ({"seconds": 0}, "0s"),
        ({"seconds": 1_000_001}, "1000001s"),
    ]
    + [({"milliseconds": 250}, "0.25s")],
)
def test_durations_are_written_short(duration: dict[str, int], text: str) -> None:
    assert format_duration(timedelta(**duration)) == text


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        "5",
        "s",
        "1x",
        "-5s",
        "1h-30m",
        "1h30",
        "five minutes",
        "1e3s",
        "99999999999999d",
        None,
        True,
        [],
        -1,
    ]
    + [float("nan"), float("inf"), 1e300, 10**400, timedelta(seconds=-1), timedelta(days=40_000)],
)
def test_what_is_no_duration_is_refused_with_an_example(value: object) -> None:
    with pytest.raises(ValueError, match="write for example"):
        parse_duration(value)


def test_dig_goes_through_objects_and_lists() -> None:
    value = {"a": [{"b": None}, {"0": 5}], "": 1}
    assert dig(value, "") is value
    assert dig(value, "a.0.b") is None
    assert dig(value, "a.-1.0") == 5


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("", ()),
        ("a.b", ("a", "b")),
        (r"@odata\.nextLink", ("@odata.nextLink",)),
        (r"a.b\.c.0", ("a", "b.c", "0")),
        (r"a\\.b", ("a\\", "b")),
        ("a.", ("a", "")),
    ],
)
def test_a_backslash_makes_a_dot_part_of_a_name(path: str, fields: tuple[str, ...]) -> None:
    assert parts(path) == fields
    assert path_of(fields) == path


@given(st.lists(st.text(max_size=4), max_size=4).filter(lambda fields: fields != [""]))
def test_every_name_can_be_written_as_a_path(fields: list[str]) -> None:
    assert list(parts(path_of(fields))) == fields


@pytest.mark.parametrize("path", ["b", "a.2", "a.-3", "a.x", "a.--1", "a.²", "a.0.b.c", "a.", "a.9" + "9" * 5_000])
def test_dig_says_where_there_is_nothing(path: str) -> None:
    with pytest.raises(KeyError):
        dig({"a": [{"b": 1}, 2]}, path)


def test_each_finds_every_place_through_lists() -> None:
    value = {"a": [{"b": 1}, [{"b": 2}], {"c": 3}, 4]}
    assert [holder[field] for holder, field in each(value, ("a", "b"))] == [1, 2]
    assert list(each([], ("a",))) == list(each(None, ("a",))) == []
