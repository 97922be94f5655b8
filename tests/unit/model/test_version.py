"""Which of two deploys is the older one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trawl.model.version import order_of


@pytest.mark.parametrize(
    ("text", "order"),
    [
        ("1785741236", 1_785_741_236_000_000),
        (1785741236, 1_785_741_236_000_000),
        ("1785741236123", 1_785_741_236_123_000),
        ("0", 0),
        ("2026-08-03T07:13:56Z", 1_785_741_236_000_000),
        ("2026-08-03T09:13:56+02:00", 1_785_741_236_000_000),
        ("2026-08-03T07:13:56", 1_785_741_236_000_000),
        ("2026-08-03T07:13:56.123457Z", 1_785_741_236_123_457),
        ("1970-01-01", 0),
    ],
)
def test_epoch_seconds_and_iso_dates_are_instants(text: object, order: int) -> None:
    assert order_of(text) == order


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "main",
        "v1.2.3",
        "-5",
        True,
        1.5,
        "²",
        "1" * 14,
        "1" * 40,
        [],
        "Mon, 03 Aug 2026 07:13:56 GMT",
    ],
)
def test_everything_else_has_no_order(text: object) -> None:
    assert order_of(text) is None


@given(st.datetimes(), st.datetimes())
def test_dates_keep_their_order_to_the_microsecond(one: object, other: object) -> None:
    orders = [order_of(moment.isoformat()) for moment in (one, other)]
    assert (orders[0] < orders[1]) == (one < other)
    assert (orders[0] == orders[1]) == (one == other)


@given(st.text(max_size=30))
def test_no_text_breaks_it(text: str) -> None:
    assert isinstance(order_of(text), int | None)
