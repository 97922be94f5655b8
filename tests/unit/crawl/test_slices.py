"""How a plan is cut: which endpoints share a shard, and which have several."""

from collections import defaultdict
from math import ceil

from hypothesis import given
from hypothesis import strategies as st

from trawl.lake.runs.plans import _slices

WEIGHTS = st.dictionaries(
    st.text("abcdef", min_size=1, max_size=4),
    st.tuples(st.integers(0, 2), st.floats(0.001, 20, allow_nan=False)),
    max_size=40,
)


@given(weights=WEIGHTS)
def test_slices_are_numbered_without_a_gap_and_none_is_too_heavy_or_of_two_levels(
    weights: dict[str, tuple[int, float]],
) -> None:
    cut = _slices([(level, endpoint, weight) for endpoint, (level, weight) in weights.items()]).to_pylist()
    assert sorted(row["endpoint"] for row in cut) == sorted(weights)
    sharing: dict[int, list[str]] = defaultdict(list)
    for row in cut:
        assert row["number"] == ceil(weights[row["endpoint"]][1])
        for place in range(row["first"], row["first"] + row["number"]):
            sharing[place].append(row["endpoint"])
    assert sorted(sharing) == list(range(len(sharing)))
    for endpoints in sharing.values():
        assert len({weights[endpoint][0] for endpoint in endpoints}) == 1
        assert len(endpoints) == 1 or sum(weights[endpoint][1] for endpoint in endpoints) <= 1 + 1e-9
    levels = [weights[endpoints[0]][0] for _, endpoints in sorted(sharing.items())]
    assert levels == sorted(levels), "parents are fetched before children"


@given(weights=WEIGHTS)
def test_small_endpoints_of_a_level_share_where_there_is_room(weights: dict[str, tuple[int, float]]) -> None:
    rows = [(level, endpoint, weight / 20.1) for endpoint, (level, weight) in weights.items()]
    total: dict[int, float] = defaultdict(float)
    for level, _, weight in rows:
        total[level] += weight
    used = len({row["first"] for row in _slices(rows).to_pylist()})
    assert used <= sum(1 + 2 * weight for weight in total.values())
