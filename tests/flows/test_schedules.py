"""Schedules come when they say: the moments and parameters of the runs that Prefect would make."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from prefect.server.schemas.schedules import CronSchedule, IntervalSchedule, RRuleSchedule
from pydantic import ValidationError

from trawl.orchestration.setup.deployments import deployments_of
from trawl.orchestration.setup.schedules import Schedule, as_timing
from trawl.orchestration.setup.settings import SourceSettings

MODELS = {"cron": CronSchedule, "interval": IntervalSchedule, "rrule": RRuleSchedule}


def comes(number: int = 3, start: datetime | None = None, **written: Any) -> list[str]:
    """The first moments of a schedule, in UTC, as the server's scheduler has them."""
    timing = Schedule(**written).timing()
    assert timing is not None
    kind = next(name for name in MODELS if name in timing)
    made = MODELS[kind].model_validate(timing)
    found = asyncio.run(made.get_dates(n=number, start=start or datetime(2027, 3, 27, 12, tzinfo=UTC)))
    return [f"{moment.astimezone(UTC):%m-%d %H:%M}" for moment in found]


def test_a_cron_follows_its_time_zone_over_the_change_of_clocks() -> None:
    assert comes(cron="23 3 * * *", timezone="Europe/Berlin") == ["03-28 01:23", "03-29 01:23", "03-30 01:23"]
    assert comes(cron="23 3 * * *") == ["03-28 03:23", "03-29 03:23", "03-30 03:23"]


def test_an_interval_counts_from_its_anchor() -> None:
    anchored = {"interval": "6h", "anchor": "2027-01-01T00:30:00"}
    assert comes(**anchored) == ["03-27 12:30", "03-27 18:30", "03-28 00:30"]
    berlin = comes(interval="24h", anchor="2027-01-01T09:00:00", timezone="Europe/Berlin")
    assert berlin == ["03-28 07:00", "03-29 07:00", "03-30 07:00"]


def test_an_interval_without_an_anchor_is_the_same_at_every_set_up() -> None:
    assert Schedule(interval="6h").timing() == Schedule(interval="6h").timing()
    assert comes(interval="6h") == ["03-27 12:00", "03-27 18:00", "03-28 00:00"]


def test_a_rule_ends_with_its_until() -> None:
    rule = "FREQ=WEEKLY;BYDAY=MO;BYHOUR=9;BYMINUTE=0;BYSECOND=0;UNTIL=20270407T000000"
    assert comes(number=5, rrule=rule, timezone="Europe/Berlin") == ["03-29 07:00", "04-05 07:00"]


@pytest.mark.parametrize(
    "written",
    [
        {"cron": "23 3 * * *", "timezone": "Europe/Berlin"},
        {"interval": "90m", "anchor": "2027-01-01T00:30:00+02:00"},
        {"interval": "24h", "timezone": "Asia/Tokyo"},
        {"rrule": "FREQ=DAILY;UNTIL=20990101T000000"},
    ],
)
def test_a_schedule_reads_the_same_however_the_server_spells_it(written: dict[str, Any]) -> None:
    timing = Schedule(**written).timing()
    assert timing is not None
    assert as_timing(timing) == timing
    kind = next(name for name in MODELS if name in timing)
    assert as_timing(MODELS[kind].model_validate(timing).model_dump(mode="json")) == timing


def test_an_empty_cron_never_comes() -> None:
    assert Schedule(cron="").timing() is None


def test_a_deployment_has_several_schedules_each_with_its_parameters() -> None:
    settings = SourceSettings.model_validate(
        {
            "refresh": [
                {"cron": "23 3 * * *"},
                {"interval": "6h", "slug": "often", "active": False, "parameters": {"endpoints": ["pokemon"]}},
                {"cron": "1 1 1 * *", "parameters": {"force": True}},
                {"cron": ""},
            ]
        }
    )
    refresh = next(one for one in deployments_of([("pokeapi", settings)]) if one.name == "refresh-pokeapi")
    assert list(refresh.schedules) == ["refresh", "often", "refresh-3"]
    assert [one.parameters for one in refresh.schedules.values()] == [{}, {"endpoints": ["pokemon"]}, {"force": True}]
    assert [one.active for one in refresh.schedules.values()] == [True, False, True]


def test_a_slug_of_ones_own_never_hides_another_schedule() -> None:
    settings = SourceSettings.model_validate(
        {"refresh": [{"cron": "1 1 * * *", "slug": "refresh-2"}, {"cron": "2 2 * * *"}]}
    )
    refresh = next(one for one in deployments_of([("pokeapi", settings)]) if one.name == "refresh-pokeapi")
    assert len(refresh.schedules) == 2


@pytest.mark.parametrize(
    "written",
    [{}, {"cron": "1 1 * * *", "anchor": "2027-01-01"}, {"interval": "0s"}, {"cron": "1 1 * * *", "timezone": "Mars"}],
)
def test_what_is_no_schedule_is_refused(written: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Schedule(**written)
