"""Keys as names of files."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trawl.model.filenames import safe_name

KEYS = (
    st.text(max_size=12)
    | st.text(min_size=100, max_size=400)
    | st.sampled_from(["A", "a", "con", "CON", "..", "", "%41"])
)
RESERVED = {"con", "prn", "aux", "nul", *(f"{d}{n}" for d in ("com", "lpt") for n in range(10))}


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("25", "25"),
        ("-1", "-1"),
        ("mr-mime", "mr-mime"),
        ("A", "%41"),
        ("..", "%2e%2e"),
        ("a/b", "a%2fb"),
        ("\0", "%00"),
        ("é", "%c3%a9"),
        ("con", "%63on"),
        ("nul.txt", "%6eul.txt"),
        ("console", "console"),
    ],
)
def test_plain_keys_stay_readable_and_others_are_spelt_out(key: str, name: str) -> None:
    assert safe_name(key) == name


@given(KEYS, KEYS)
@example("A", "a")
@example("%41", "A")
@example("a" * 300, "a" * 301)
@example("a" * 86 + "%", "a" * 300)
def test_two_keys_never_share_a_name_even_where_case_is_ignored(one: str, other: str) -> None:
    assert (safe_name(one).casefold() == safe_name(other).casefold()) == (one == other)


@given(KEYS)
@example("com1.x")
@example("." * 300)
def test_a_name_stays_in_its_folder_on_every_file_system(key: str) -> None:
    name = safe_name(key)
    assert 0 < len(name.encode()) <= 160
    assert name.isascii()
    assert not set(name) & set('/\\:*?"<>| \0')
    assert name[0] != "."
    assert name[-1] not in ". "
    assert name.partition(".")[0] not in RESERVED
