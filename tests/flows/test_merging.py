"""What set-up decides, for any object: three values of each field, and who wrote them."""

from typing import Any

import pytest

from trawl.orchestration.setup.merging import ABSENT, Found, Memory, Step, Wanted, plan
from trawl.orchestration.setup.showing import differences

KEY = ("limit", "calls")


def wish(**fields: Any) -> Wanted:
    return Wanted(*KEY, fields)


def there(ours: bool = False, **fields: Any) -> dict[tuple[str, str], Found]:
    return {KEY: Found("1", fields, ours)}


def remembering(**fields: Any) -> Memory:
    return Memory("salt").after([Step("make", KEY, wish(**fields))])


@pytest.mark.parametrize(
    ("wanted", "found", "written", "action", "changed", "left"),
    [
        ({"a": 1}, None, None, "make", ["a"], []),
        ({"a": 1}, {"a": 1}, None, "same", [], []),
        ({"a": 2}, {"a": 1}, {"a": 1}, "change", ["a"], []),
        ({"a": 1}, {"a": 5}, {"a": 1}, "left", [], ["a"]),
        ({"a": 2}, {"a": 5}, {"a": 1}, "left", [], ["a"]),
        ({"a": 5}, {"a": 5}, {"a": 1}, "same", [], []),
        ({"a": 1}, {"a": 5}, None, "left", [], ["a"]),  # somebody made it before set-up ever came
        ({"a": 2, "b": 2}, {"a": 1, "b": 5}, {"a": 1, "b": 1}, "change", ["a"], ["b"]),
        ({"a": 1, "b": 2}, {"a": 1}, {"a": 1}, "change", ["b"], []),  # a field that is new
        ({"a": 1, "b": 2}, {"a": 1}, {"a": 1, "b": 2}, "left", [], ["b"]),  # a field that somebody took away
        ({"a": 1}, {"a": 1, "b": 2}, {"a": 1, "b": 2}, "change", ["b"], []),  # a field that is not wanted any more
        ({"a": 1}, {"a": 1, "b": 3}, {"a": 1, "b": 2}, "left", [], ["b"]),
        ({"a": 1}, {"a": 1, "b": 3}, {"a": 1}, "same", [], []),  # a field that somebody added
        ({"a": None}, {}, None, "same", [], []),
    ],
)
def test_a_field_is_written_only_over_what_set_up_wrote(
    wanted: dict[str, Any],
    found: dict[str, Any] | None,
    written: dict[str, Any] | None,
    action: str,
    changed: list[str],
    left: list[str],
) -> None:
    memory = Memory("salt") if written is None else remembering(**written)
    [step] = plan([wish(**wanted)], {} if found is None else there(**found), memory)
    assert (step.action, list(step.changes), list(step.left)) == (action, changed, left)


def test_overwriting_resets_what_a_person_edited() -> None:
    [step] = plan([wish(a=1)], there(a=5), remembering(a=1), overwrite=True)
    assert (step.action, step.changes["a"].new) == ("change", 1)


def test_what_only_trawl_makes_is_taken_over_where_nothing_is_remembered() -> None:
    assert plan([wish(a=1)], there(ours=True, a=5), Memory("salt"))[0].action == "change"


def test_a_field_that_nobody_edits_by_hand_is_always_set() -> None:
    [step] = plan([Wanted(*KEY, {"a": 1}, always=frozenset({"a"}))], there(a=5), remembering(a=2))
    assert step.action == "change"


@pytest.mark.parametrize(
    ("found", "memory", "action"),
    [
        (there(a=1), remembering(a=1), ["remove"]),
        (there(a=2), remembering(a=1), ["left"]),
        (there(a=1), Memory("salt"), []),
        (there(ours=True, a=1), Memory("salt"), ["remove"]),
        ({}, remembering(a=1), []),
    ],
)
def test_only_what_set_up_made_and_nobody_edited_is_removed(
    found: dict[tuple[str, str], Found], memory: Memory, action: list[str]
) -> None:
    assert [step.action for step in plan([], found, memory)] == action


def test_what_others_name_is_removed_after_them() -> None:
    keys = [("block", "a/a"), ("automation", "b")]
    found = {key: Found("1", {}, ours=True) for key in keys}
    assert [step.key for step in plan([], found, Memory("salt"))] == keys[::-1]


def test_an_edited_field_stays_edited_at_every_further_run() -> None:
    memory = remembering(a=1, b=1)
    for value in (2, 3):
        steps = plan([wish(a=value, b=value)], there(a=value - 1, b=9), memory)
        assert (list(steps[0].changes), steps[0].left) == (["a"], ("b",))
        memory = memory.after(steps)
    assert memory.wrote(KEY, "b", 1)


@pytest.mark.parametrize("done", [1, 2])
def test_a_set_up_that_was_killed_before_it_remembered_knows_its_own_work(done: int) -> None:
    """It writes down first what it is about to write: found is then the old value (1) or its own (2)."""
    first = remembering(a=1)
    expecting = first.expecting(plan([wish(a=2)], there(a=1), first))
    assert plan([wish(a=3)], there(a=done), expecting)[0].action == "change"


def test_what_somebody_else_made_just_so_stays_theirs() -> None:
    steps = plan([wish(a=1)], there(a=1), Memory("salt"))
    assert not Memory("salt").after(steps).knows(KEY)


def test_a_memory_survives_its_storage_and_tells_nothing() -> None:
    memory = remembering(a="hunter2")
    again = Memory.of(memory.to_dict(), "other")
    assert again == memory
    assert "hunter2" not in str(memory.to_dict())
    assert again.hash("hunter2") != Memory("pepper").hash("hunter2")


def test_what_another_set_up_wrote_meanwhile_is_known_too() -> None:
    since = remembering(a=1)
    other, own = remembering(a=2), remembering(a=3)
    joined = own.joined(other, since)
    assert [joined.wrote(KEY, "a", value) for value in (1, 2, 3)] == [False, True, True]


def test_the_difference_shows_what_differs_deep_inside_and_no_secret() -> None:
    new = {"x": {"y": 1, "api_token": "canary"}, "value": "canary"}
    wanted = Wanted(*KEY, new, secret=frozenset({"value"}))
    [step] = plan([wanted], there(x={"y": 0, "api_token": "c"}, value="old-canary"), Memory("salt"), overwrite=True)
    lines = differences(step, hidden=("token",))
    assert lines[0] == ("x.y", "0", "1")
    assert "canary" not in str(lines)
    assert str(ABSENT) == "nothing"
