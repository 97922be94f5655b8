"""A key identifies a record for ever; its path leads to that record and no other."""

import re
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trawl.model.canonical import parse
from trawl.model.config import KeyConfig
from trawl.model.errors import TornListing
from trawl.model.keys import KeyPolicy, fields_of, fill, key_at, scalar

TEXT = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=12)


@pytest.mark.parametrize(
    ("item", "key"),
    [
        ('{"id": 0}', "0"),
        ('{"id": -1}', "-1"),
        ('{"id": "0"}', "0"),
        ('{"id": 18446744073709551616}', "18446744073709551616"),
        ('{"id": -9223372036854775809}', "-9223372036854775809"),
        ('{"id": 7.0}', "7"),
        ('{"id": "jalapeño"}', "jalapeño"),
    ],
)
def test_integers_and_text_are_keys(item: str, key: str) -> None:
    assert KeyPolicy(("id",)).key_of(parse(item.encode())) == key


@pytest.mark.parametrize(
    "item",
    ["{}", '{"id": null}', '{"id": true}', '{"id": ""}', '{"id": 1.5}', '{"id": [1]}', '{"id": {}}', "7"]
    + ['{"id": "\\ud800"}', '{"id": 1e999}', '{"id": 0.12345678901234567890}'],
)
def test_an_item_without_a_usable_key_tears_the_listing(item: str) -> None:
    with pytest.raises(TornListing, match="no key at 'id'"):
        KeyPolicy(("id",)).key_of(parse(item.encode()))


@pytest.mark.parametrize(("url", "key"), [("/api/move-ailment/-1/", "-1"), ("https://h/x/0/", "0")])
def test_a_pattern_cuts_the_key_out(url: str, key: str) -> None:
    assert KeyPolicy(("url",), re.compile(r"/(-?\d+)/$")).key_of({"url": url}) == key


@pytest.mark.parametrize(
    ("pattern", "text"),
    [(r"/(-?\d+)/$", "/x/1"), (r"(\d*)$", "x"), (r"(a)?b", "b"), (r"/(-?\d+)/$", "/x/--1/")],
)
def test_a_pattern_that_finds_nothing_tears_the_listing(pattern: str, text: str) -> None:
    with pytest.raises(TornListing, match="does not match"):
        KeyPolicy(("url",), re.compile(pattern)).key_of({"url": text})


@given(st.tuples(TEXT, TEXT), st.tuples(TEXT, TEXT))
def test_composite_keys_never_collide(one: tuple[str, str], other: tuple[str, str]) -> None:
    policy = KeyPolicy(("a", "b"))
    keys = [policy.key_of(dict(zip("ab", parts, strict=True))) for parts in (one, other)]
    assert (keys[0] == keys[1]) == (one == other)
    assert [unquote(part) for part in keys[0].split(":")] == [unquote(unquote(p.replace("%", "%25"))) for p in one]


@pytest.mark.parametrize(
    ("one", "other"),
    [(("a:b", "c"), ("a", "b:c")), (("a%3Ab", "c"), ("a:b", "c")), (("a", "%"), ("a", "%25"))],
)
def test_the_separator_of_a_composite_key_is_quoted_in_its_parts(one: tuple[str, str], other: tuple[str, str]) -> None:
    policy = KeyPolicy(("a", "b"))
    assert policy.key_of(dict(zip("ab", one, strict=True))) != policy.key_of(dict(zip("ab", other, strict=True)))


def test_a_nested_field_can_be_a_key() -> None:
    assert KeyPolicy(("a.b.0",)).key_of({"a": {"b": [5]}}) == "5"


def test_a_label_that_no_file_can_hold_is_none() -> None:
    assert scalar({"name": "\ud800"}, "name") is None
    assert scalar({"name": "pokémon 𝒳"}, "name") == "pokémon 𝒳"


@given(TEXT)
def test_a_value_is_one_segment_of_its_path(value: str) -> None:
    path = fill("{endpoint}/{key}/", endpoint="e", key=value)
    head, segment, tail = path.split("/")
    assert (head, tail) == ("e", "")
    assert unquote(segment) == value
    assert not set(segment) & set("?#\\ ")


@pytest.mark.parametrize(
    ("value", "segment"),
    [
        ("a/b?c#d", "a%2Fb%3Fc%23d"),
        ("é", "%C3%A9"),
        ("..", "%2E%2E"),
        (".", "%2E"),
        ("", "%2E"),
        (None, "%2E"),
    ]
    + [("...", "..."), ("a.b", "a.b"), ("~", "~"), ("%", "%25"), ("damage+ailment", "damage%2Bailment")],
)
def test_values_are_quoted_and_dots_never_lead_elsewhere(value: str | None, segment: str) -> None:
    assert fill("x/{key}/", key=value) == f"x/{segment}/"


def test_a_value_that_is_the_whole_path_stays_as_it_is() -> None:
    assert fill("{item.url}", **{"item.url": "https://h/a?b=c"}) == "https://h/a?b=c"


def test_the_fields_of_a_template_are_found_in_order() -> None:
    assert fields_of("{endpoint}/{key}/{item.a}") == ("endpoint", "key", "item.a")


def test_several_fields_are_one_policy() -> None:
    assert KeyConfig(field=["a", "b"]).field == ["a", "b"]


@pytest.mark.parametrize(
    ("policy", "document", "key"),
    [
        (KeyPolicy(("id",)), {"id": 5}, "5"),
        (KeyPolicy(("id",)), {"id": None}, None),
        (KeyPolicy(("id",)), ["id"], None),
        (KeyPolicy(("a", "b")), {"a": 1, "b": "x:y"}, "1:x%3Ay"),
        (KeyPolicy(("a", "b")), {"a": 1}, None),
        (KeyPolicy(("url",), re.compile(r"/(\d+)/$")), {"url": "https://h/a/7/"}, "7"),
        (KeyPolicy(("url",), re.compile(r"/(\d+)/$")), {"url": "https://home.example.com"}, None),
    ],
)
def test_a_document_tells_its_key_as_an_item_does_or_tells_none(
    policy: KeyPolicy, document: object, key: str | None
) -> None:
    assert policy.told_by(document) == key


@given(TEXT, st.sampled_from(["{endpoint}/{key}/", "x/{key}", "x?id={key}", "x/{key}/{key}.json", "{key}"]))
def test_the_key_is_read_back_from_the_path_that_it_made(key: str, template: str) -> None:
    key = key.strip("./") or "x"
    if template != "{key}" or (not set("?#&\n\r") & set(key)):
        assert key_at(template, "a", fill(template, endpoint="a", key=key)) == key


@pytest.mark.parametrize(
    ("template", "path"),
    [
        ("{endpoint}/{key}", "b/7"),
        ("{endpoint}/{key}", "a/7/more"),
        ("x/{key}/{key}", "x/7/8"),
        ("{item.url}", "a/7"),
        ("{endpoint}/{label}", "a/7"),
    ],
)
def test_no_key_is_read_from_a_path_of_another_kind(template: str, path: str) -> None:
    assert key_at(template, "a", path) is None


def test_a_slash_or_a_query_more_is_the_same_path() -> None:
    assert [key_at("{endpoint}/{key}", "a", path) for path in ("a/7", "a/7/", "a/7?b=1", "a/7/#c")] == ["7"] * 4
