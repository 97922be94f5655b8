"""Documents are compared by what they say: exactly, and never by how they spell it."""

import json
from contextlib import suppress
from fractions import Fraction
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trawl.model.canonical import MAX_DEPTH, byte_hash, dumps, fingerprint, parse, sort_unordered
from trawl.model.config import EndpointConfig
from trawl.model.errors import BrokenBody

TEXT = st.text(st.characters(exclude_categories=()), max_size=12)
NUMBERS = st.one_of(
    st.integers(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=15,
)
# Near each other, so that some are the same number: 1, 1.0, 10e-1, 0.1e+1, ...
SPELLED = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["", "-"]),
    st.sampled_from(["0", "1", "10", "100", "9007199254740993", "18446744073709551616", "1" * 30]),
    st.sampled_from(["", ".0", ".00", ".5", ".50", ".1234567890123456789", "." + "1" * 40]),
    st.sampled_from(["", "e0", "E1", "e-1", "e+2", "e-2", "e18", "e-400", "e400"]),
)


def canonical(text: str) -> bytes:
    return dumps(parse(text.encode()))


def meaning(body: str, *unordered: str) -> bytes:
    return fingerprint(parse(body.encode()), EndpointConfig(unordered=unordered).unordered_paths).semantic


@given(JSON)
def test_every_json_value_survives_exactly(value: object) -> None:
    body = json.dumps(value)
    assert reference(canonical(body).decode()) == reference(body)


@given(JSON)
def test_spelling_white_space_and_key_order_do_not_count(value: object) -> None:
    body = json.dumps(value)
    other = json.dumps(turned(value), indent=2, ensure_ascii="\\ud" in body)
    assert canonical(other) == canonical(body)


def turned(value: object) -> object:
    """The same value, every object's keys in the other order."""
    if isinstance(value, dict):
        return {key: turned(value[key]) for key in reversed(value)}
    return [turned(item) for item in value] if isinstance(value, list) else value


def reference(body: str) -> object:
    """A value whose numbers are exact and no booleans, by nothing but the standard library."""
    return tagged(json.loads(body, parse_int=Fraction, parse_float=Fraction))


def tagged(value: object) -> object:
    if isinstance(value, dict):
        return {key: tagged(item) for key, item in value.items()}
    return [tagged(item) for item in value] if isinstance(value, list) else (type(value), value)


@given(SPELLED, SPELLED)
def test_numbers_are_equal_if_and_only_if_they_are_the_same_number(one: str, other: str) -> None:
    assert (canonical(one) == canonical(other)) == (Fraction(one) == Fraction(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1", "1.0"),
        ("1e2", "100.0"),
        ("0", "-0"),
        ("0", "-0.0"),
        ("1e20", "100000000000000000000"),
        ("0.10", "0.1"),
        ("123456789012345678901234567890", "123456789012345678901234567890.000"),
        ('"\\u00e9"', '"é"'),
        ('"\\/"', '"/"'),
    ],
)
def test_a_value_has_one_canonical_form_whatever_its_spelling(one: str, other: str) -> None:
    assert canonical(one) == canonical(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("9223372036854775807", "9223372036854775808"),
        ("18446744073709551615", "18446744073709551616"),
        ("123456789012345678901234567890", "123456789012345678901234567891"),
        ("9007199254740992e0", "9007199254740993e0"),
        ("0." + "1" * 60, "0." + "1" * 59 + "2"),
        ("1e400", "1e401"),
        ("1e-400", "0"),
        ("1e1000001", "1e1000002"),
        ("4e-324", "5e-324"),
        ("1", "true"),
        ("1", '"1"'),
        ("12345678901234567890123", '"12345678901234567890123"'),
        ('["\\ud800", 12345678901234567890123]', '["\\ud800", "12345678901234567890123"]'),
        ('"\\ud800"', '"\\udc00"'),
        ('"\\ud800"', '"\\\\ud800"'),
        ("null", "[]"),
        ("{}", "[]"),
    ],
)
def test_different_values_never_share_a_canonical_form(one: str, other: str) -> None:
    assert canonical(one) != canonical(other)


def test_whole_numbers_are_integers() -> None:
    assert [type(item) for item in parse(b"[1.0, 1e2, -0.0, 1.5]")] == [int, int, int, float]


def test_a_lone_surrogate_is_kept() -> None:
    assert parse(b'{"a":"\\ud83d"}') == {"a": "\ud83d"}


def test_a_byte_order_mark_is_no_part_of_the_document() -> None:
    assert parse(b'\xef\xbb\xbf{"a":1}') == {"a": 1}


@pytest.mark.parametrize("tail", ["", "1.0", "12345678901234567890"])
def test_of_a_key_that_stands_twice_the_last_counts_on_every_path(tail: str) -> None:
    assert parse(f'[{{"a":1,"a":2}}{tail and "," + tail}]'.encode())[0] == {"a": 2}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"NaN",
        b"[Infinity]",
        b"[-Infinity]",
        b"{'a': 1}",
        b'{"a": 1,}',
        b"[1] 2",
        b"01",
        b"+1",
        b"1.",
        b'"\xff"',
        b'"\xed\xa0\x80"',
        b'"a\nb"',
        b"<html></html>",
        b'{"cut": "of',
        '{"a": 1}'.encode("utf-16"),
        b"1e99999999999999999999",
    ],
)
def test_what_is_no_json_is_a_broken_body(body: bytes) -> None:
    with pytest.raises(BrokenBody, match="not JSON"):
        parse(body)


@given(st.binary(max_size=40))
def test_any_bytes_are_a_value_or_a_broken_body(body: bytes) -> None:
    with suppress(BrokenBody):
        assert len(fingerprint(parse(body)).canonical) == 16


@pytest.mark.parametrize("inner", ["", "1.0", '"\\ud800"', "12345678901234567890123"])
@pytest.mark.parametrize(("left", "right"), [("[", "]"), ('{"a":', "}")])
def test_as_deep_as_allowed_is_hashed_and_deeper_is_refused(left: str, right: str, inner: str) -> None:
    inner = inner or "[]"
    levels = MAX_DEPTH - inner.count("[")
    deep = parse((left * levels + inner + right * levels).encode())
    assert len(fingerprint(deep, (("a",), ("a", "a"))).semantic) == 16
    for depth in (levels + 3, 500, 990, 1_010, 100_000):
        with pytest.raises(BrokenBody, match="nested deeper"):
            parse((left * depth + inner + right * depth).encode())


def test_lists_keep_their_order_unless_declared_unordered() -> None:
    one, other = '{"a": [1, 2], "b": [1, 2]}', '{"a": [2, 1], "b": [1, 2]}'
    assert meaning(one) != meaning(other)
    assert meaning(one, "b") != meaning(other, "b")
    assert meaning(one, "a") == meaning(other, "a")


def test_the_canonical_hash_sees_a_reordering_that_the_semantic_one_does_not() -> None:
    one, other = (fingerprint(parse(body), (("a",),)) for body in (b'{"a":[1,2]}', b'{"a":[2,1]}'))
    assert one.semantic == other.semantic
    assert one.canonical != other.canonical
    assert one.canonical == one.semantic == byte_hash(b'{"a":[1,2]}')


@pytest.mark.parametrize("declared", [("a.b", "a"), ("a", "a.b")])
def test_nested_unordered_lists_are_sorted_innermost_first(declared: tuple[str, ...]) -> None:
    one = '{"a": [{"b": [1, 9]}, {"b": [2, 3]}]}'
    other = '{"a": [{"b": [3, 2]}, {"b": [9, 1]}]}'
    assert meaning(one, *declared) == meaning(other, *declared)


def test_an_unordered_path_leads_through_lists_of_lists() -> None:
    one, other = '{"a": [[{"b": [1, 2]}], []]}', '{"a": [[{"b": [2, 1]}], []]}'
    assert meaning(one, "a.b") == meaning(other, "a.b")


def test_equal_items_of_an_unordered_list_still_count() -> None:
    assert meaning('{"a": [1, 1, 2]}', "a") != meaning('{"a": [1, 2, 2]}', "a")


@given(st.lists(JSON, max_size=5), st.randoms(use_true_random=False))
def test_any_order_of_an_unordered_list_means_the_same(items: list[object], chance: Random) -> None:
    shuffled = chance.sample(items, len(items))
    assert meaning(json.dumps({"a": items}), "a") == meaning(json.dumps({"a": shuffled}), "a")


@pytest.mark.parametrize("items", [(True, 1), (False, 0), (None, False), ("1", 1)])
def test_values_that_python_takes_for_equal_are_sorted_too(items: tuple[object, object]) -> None:
    assert meaning(json.dumps({"a": items}), "a") == meaning(json.dumps({"a": items[::-1]}), "a")


def test_what_is_no_list_at_an_unordered_path_stays() -> None:
    value = {"a": {"b": 1}, "c": None, "d": [{}, 3]}
    assert not sort_unordered(value, (("a",), ("c",), ("d", "e"), ("nothing", "here")))
