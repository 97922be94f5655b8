"""What changed between two documents."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trawl.model.canonical import dumps
from trawl.model.diff import diff


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"a": 2}, [("a", "changed")]),
        ({"a": True}, {"a": 1}, [("a", "changed")]),
        ({"a": 1, "b": 2}, {"b": 2, "c": 3}, [("a", "removed"), ("c", "added")]),
        ({"a": {"b": 1}}, {"a": {"b": 2}}, [("a.b", "changed")]),
        ({"a": {}}, {"a": None}, [("a", "changed")]),
        ({"a": [1, 2]}, {"a": [2, 1]}, [("a", "reordered")]),
        ({"a": [{"b": 1}]}, {"a": [{"b": 2}]}, [("a[0].b", "changed")]),
        ({"a": [1]}, {"a": [1, 1]}, [("a[1]", "added")]),
        ({"a": [1, 1, 2]}, {"a": [2]}, [("a[0]", "removed"), ("a[1]", "removed")]),
        ([{"name": "x", "n": 1}, {"name": "y"}], [{"name": "y"}, {"name": "x", "n": 2}], [("[x].n", "changed")]),
        (
            {"names": [{"name": "Bulba", "language": {"name": "en"}}, {"name": "Bisa", "language": {"name": "de"}}]},
            {"names": [{"name": "Bulbo", "language": {"name": "en"}}, {"name": "Biso", "language": {"name": "de"}}]},
            [("names[en].name", "changed"), ("names[de].name", "changed")],
        ),
        ([{"stat": {"name": "hp"}, "n": 1}], [{"stat": {"name": "hp"}, "n": 2}], [("[hp].n", "changed")]),
        (
            [{"id": 1}, {"id": 2, "n": 1}],
            [{"id": 2, "n": 2}, {"id": 3}],
            [("[1]", "removed"), ("[2].n", "changed"), ("[3]", "added")],
        ),
        (
            [{"name": "x"}, {"name": "x", "n": 1}],
            [{"name": "x", "n": 2}, {"name": "x", "n": 3}],
            [("[0].n", "added"), ("[1].n", "changed")],
        ),
        (1, 2, [("the document", "changed")]),
    ],
)
def test_differences_are_named_by_path_and_kind(old: object, new: object, said: list[tuple[str, str]]) -> None:
    assert [(item.path, item.kind) for item in diff(old, new)] == said


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(0, 3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "id", "name"]), inner | st.sampled_from(["x", "y"]), max_size=3)
    ),
    max_leaves=8,
)


@given(VALUES, VALUES)
def test_there_is_a_difference_exactly_where_documents_differ(old: object, new: object) -> None:
    assert bool(list(diff(old, new))) == (dumps(old) != dumps(new))


def test_long_lists_are_compared_in_one_pass() -> None:
    old = [{"n": number} for number in range(20_000)]
    assert [item.path for item in diff(old, [*old[1:], {"n": -1}, {"n": -2}])] == [
        "[0]",
        "[19999]",
        "[20000]",
    ]
    assert json.loads(json.dumps(next(iter(diff(old, old[1:]))).old)) == {"n": 0}
