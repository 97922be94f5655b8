"""One table says what an answer means."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trawl.model.classify import Action, classify, remaining_age, retry_after

NOW = datetime(2026, 8, 3, 12, tzinfo=UTC)
LIMIT = timedelta(minutes=10)

EXPECTED = {
    Action.OK: {200},
    Action.NOT_MODIFIED: {304},
    Action.REDIRECT: {301, 302, 303, 307, 308},
    Action.FATAL: {401},
    Action.GONE: {404, 410},
    Action.RETRY: {408, 425, 429, 500, 502, 503, 504, *range(520, 531)},
}


def test_every_status_has_the_one_action_of_the_table() -> None:
    for status in range(100, 600):
        listed = [action for action, statuses in EXPECTED.items() if status in statuses]
        rest = Action.QUARANTINE if status < 300 else Action.LATER
        assert [classify(status)] == (listed or [rest]), status


@pytest.mark.parametrize("status", [0, 99, 600, 999, -1])
def test_what_is_no_status_goes_to_quarantine(status: int) -> None:
    assert classify(status) is Action.QUARANTINE


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("1", 1),
        (" 30 ", 30),
        ("1.5", 1.5),
        ("0.0000019", 1e-6),
        ("2." + "9" * 50, 2.999999),
        ("0000000000000005", 5),
        ("600", 600),
        ("601", 600),
        ("9" * 5_000, 600),
    ],
)
def test_seconds_are_honoured_up_to_the_limit(value: str, seconds: float) -> None:
    assert retry_after(value, NOW, LIMIT) == timedelta(seconds=seconds)


@pytest.mark.parametrize(("ahead", "wait"), [(30, 30), (600, 600), (86_400, 600)])
def test_an_http_date_is_honoured_up_to_the_limit(ahead: int, wait: int) -> None:
    value = format_datetime(NOW + timedelta(seconds=ahead), usegmt=True)
    assert retry_after(value, NOW, LIMIT) == timedelta(seconds=wait)


def test_a_date_of_another_zone_is_the_same_instant() -> None:
    assert retry_after("Mon, 03 Aug 2026 14:00:30 +0200", NOW, LIMIT) == timedelta(seconds=30)
    assert retry_after("Mon, 03 Aug 2026 12:00:30 -0000", NOW, LIMIT) == timedelta(seconds=30)


def test_a_past_date_is_refused() -> None:
    assert retry_after(format_datetime(NOW, usegmt=True), NOW, LIMIT) is None
    assert retry_after("Thu, 01 Jan 1970 00:00:00 GMT", NOW, LIMIT) is None


@pytest.mark.parametrize("value", ["-1", "-0", "-" + "9" * 50])
def test_a_negative_retry_after_is_refused(value: str) -> None:
    assert retry_after(value, NOW, LIMIT) is None


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        " ",
        "0",
        "0.0",
        "soon",
        "1.",
        ".5",
        "1.-5",
        "1.5.5",
        "1e3",
        "²",
        "٣",
        "0x10",
        "5, 5",
        "Mon",
        "1 2 3 4 5",
        "NaN",
        "\x00",
    ],
)
def test_what_is_no_wait_is_refused(value: str | None) -> None:
    assert retry_after(value, NOW, LIMIT) is None


PARTS = st.sampled_from(
    ["Mon,", "3", "99", "Aug", "2026", "99999", "0", "-1", "12:00:30", "25:61:61", "GMT", "+9999", "Z"]
)


@given(st.text(max_size=20) | st.lists(PARTS, max_size=7).map(" ".join))
def test_whatever_a_server_sends_the_wait_stays_within_its_bounds(value: str) -> None:
    wait = retry_after(value, NOW, LIMIT)
    assert wait is None or timedelta(0) < wait <= LIMIT


@pytest.mark.parametrize(
    ("cache_control", "age", "seconds"),
    [
        ("max-age=100", None, 100),
        ("max-age=100", "40", 60),
        ("max-age=100", "400", 0),
        ("max-age=100, s-maxage=50", None, 50),
        ('Public, MAX-AGE="100"', None, 100),
        ("max-age=0", None, 0),
        ("max-age=100", "-5", 100),
        ("max-age=100", "²", 100),
        ("max-age=²", None, None),
        ("max-age=-1", None, None),
        ("no-cache", None, None),
        ("", "5", None),
        ("max-age=" + "9" * 30, None, 10**9),
    ],
)
def test_what_is_left_of_a_cached_answer_is_its_lifetime_less_its_age(
    cache_control: str, age: str | None, seconds: int | None
) -> None:
    headers = {"cache-control": cache_control} | ({} if age is None else {"age": age})
    left = remaining_age(headers)
    assert left == (None if seconds is None else timedelta(seconds=seconds))
    assert left is None or NOW + left > NOW - timedelta(1)


@given(st.text(max_size=30), st.text(max_size=10))
def test_no_header_breaks_the_reading_of_a_cache(directive: str, age: str) -> None:
    left = remaining_age({"cache-control": directive, "age": age})
    assert left is None or left >= timedelta(0)
