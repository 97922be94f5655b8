"""Each item of a list keeps its own bytes."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trawl.model.canonical import parse
from trawl.model.slices import item_texts
from trawl.model.values import dig, path_of


@pytest.mark.parametrize(
    ("body", "path", "texts"),
    [
        (b"[3.0, 1e2, 0.10, -0]", (), [b"3.0", b"1e2", b"0.10", b"-0"]),
        (b' { "a" : [ {"x": 3.0 ,\n "x":1} , "\\u00e9" ] } ', ("a",), [b'{"x": 3.0 ,\n "x":1}', b'"\\u00e9"']),
        (b'{"d": {"l": [[1, 2 ], []]}}', ("d", "l"), [b"[1, 2 ]", b"[]"]),
        (b'{"p": [{"l": [1]}, {"l": [2.0]}]}', ("p", "-1", "l"), [b"2.0"]),
        (b'{"a": [1], "a": [2]}', ("a",), [b"2"]),
        (b'\xef\xbb\xbf{"a.b": [1]}', ("a.b",), [b"1"]),
        ('["é", "a]b\\"c"]'.encode(), (), ['"é"'.encode(), b'"a]b\\"c"']),
        (b'{"x": "\\ud83d", "a": [ "\\ud83d", {"k":[1.0]} ]}', ("a",), [b'"\\ud83d"', b'{"k":[1.0]}']),
        (b"[123456789012345678901234567890, 1e400]", (), [b"123456789012345678901234567890", b"1e400"]),
        (b"[" * 200 + b"]" * 200, (), [b"[" * 199 + b"]" * 199]),
        (b"[]", (), []),
    ],
)
def test_items_are_cut_out_as_they_stand(body: bytes, path: tuple[str, ...], texts: list[bytes]) -> None:
    assert item_texts(body, path) == texts


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=4)
    | st.sampled_from(["\ud83d", '"', "\\", "]", "{,:"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@given(
    items=st.lists(values, max_size=5),
    around=st.lists(st.text(max_size=3) | st.none(), max_size=3),
    separators=st.tuples(st.sampled_from([",", " , ", ",\n"]), st.sampled_from([":", " : "])),
    indent=st.none() | st.integers(0, 2),
    ascii_only=st.booleans(),
)
def test_no_item_is_lost_or_bent(
    items: list[Any], around: list[str | None], separators: tuple[str, str], indent: int | None, ascii_only: bool
) -> None:
    body: Any = items
    for name in reversed(around):
        body = [0, body] if name is None else {"other": [9], name: body}
    path = tuple("1" if name is None else name for name in around)
    text = json.dumps(body, separators=separators, indent=indent, ensure_ascii=ascii_only)
    raw = text.encode("utf-8", "surrogatepass")
    try:
        whole = parse(raw)
    except Exception:  # noqa: BLE001  (surrogates that are not escaped are no JSON)
        return
    texts = item_texts(raw, path)
    assert [parse(item) for item in texts] == (dig(whole, path_of(path)) if path != ("",) else whole[""])
    place = 0
    for item in texts:
        place = raw.index(item, place) + len(item)
