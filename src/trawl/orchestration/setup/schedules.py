"""Schedules as a person writes them, checked before anybody is asked.

- `{cron: "23 3 * * *", timezone: Europe/Berlin}`
- `{interval: 6h, anchor: "2026-01-01T00:30:00", timezone: Europe/Berlin}`
- `{rrule: "FREQ=WEEKLY;BYDAY=MO;UNTIL=20280101T000000", timezone: UTC, active: false}`
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo, available_timezones

from dateutil import rrule as rules  # type: ignore[import-untyped]
from prefect._vendor.croniter.croniter import CroniterBadDateError, croniter
from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule, RRuleSchedule
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from trawl.model.names import did_you_mean
from trawl.model.values import Duration

__all__ = ["Schedule", "Schedules", "Strict"]

_FIELDS = 5  # of a cron; more of them would be seconds and years
_SLUG = r"[a-z0-9]([a-z0-9-]*[a-z0-9])?"


class Strict(BaseModel):
    """A model that takes no word it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _check_cron(cron: str) -> str:
    """Five fields that Prefect takes, and a moment at which they come; or nothing."""
    if not cron:
        return cron
    try:
        CronSchedule(cron=cron)
        known = len(cron.split()) == _FIELDS
    except ValidationError:
        known = False
    if not known:
        raise ValueError(
            f"{cron!r} is not a cron expression; write minute (0-59), hour (0-23), day (1-31), month (1-12) and weekday (0-7), for "
            "example '23 3 * * *'"
        )
    try:
        croniter(cron, datetime.now(UTC)).get_next()  # type: ignore[no-untyped-call]
    except CroniterBadDateError:  # Prefect would take it, and its scheduler would stumble
        raise ValueError(f"{cron!r} matches no date") from None
    return cron


def _check_timezone(name: str) -> str:
    known = available_timezones()
    if name not in known:
        hint = did_you_mean(name, known).strip() or "write an IANA name, for example Europe/Berlin"
        raise ValueError(f"{name!r} is not a time zone; {hint}")
    return name


def _check_interval(interval: timedelta) -> timedelta:
    if interval < timedelta(minutes=1):
        raise ValueError(f"{interval.total_seconds():g} s between two runs is too short; write at least 1m")
    return interval


def _check_anchor(anchor: object) -> object:
    if isinstance(anchor, datetime):
        return anchor
    try:
        return datetime.fromisoformat(str(anchor))
    except ValueError:
        raise ValueError(f"{anchor!r} is not a date and time; write for example '2026-01-01T00:30:00'") from None


def _check_rrule(rule: str) -> str:
    """A rule that dateutil and Prefect read, that UNTIL ends in a moment they can compare, and that still comes."""
    try:
        found = rules.rrulestr(rule, dtstart=datetime(2020, 1, 1))  # noqa: DTZ001  Prefect reads it so
        RRuleSchedule(rrule=rule)
    except (ValidationError, ValueError, TypeError) as error:
        reason = "" if isinstance(error, ValidationError) else f" ({error})"
        if "UNTIL" in reason:
            reason = " (UNTIL is in the schedule's own time zone: write it without Z)"
        raise ValueError(
            f"{rule!r} is not an rrule{reason}; write for example 'FREQ=WEEKLY;BYDAY=MO;UNTIL=20271231T000000'"
        ) from None
    if isinstance(found, rules.rrule) and found.after(datetime.now()) is None:  # noqa: DTZ005
        raise ValueError(f"{rule!r} has no future run: its UNTIL or COUNT has passed")
    return rule


class Schedule(Strict):
    """When a flow runs by itself: one of cron, interval and rrule. An empty `cron`: never.

    Attributes:
        slug: its name within the deployment; the flow's, or the flow's with a number, if empty.
        active: how it is made; from then on an operator's switch in the UI holds.
        parameters: what its runs are given beside (and before) the deployment's own.

    """

    cron: Annotated[str, AfterValidator(_check_cron)] | None = None
    interval: Annotated[Duration, AfterValidator(_check_interval)] | None = None
    anchor: Annotated[datetime, BeforeValidator(_check_anchor)] | None = None
    rrule: Annotated[str, AfterValidator(_check_rrule)] | None = None
    timezone: Annotated[str, AfterValidator(_check_timezone)] = "UTC"
    slug: Annotated[str, Field(pattern=f"^{_SLUG}$")] | None = None
    active: bool = True
    parameters: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        given = [name for name in ("cron", "interval", "rrule") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"give one of cron, interval and rrule{', not ' + ' and '.join(given) if given else ''}")
        if self.anchor is not None and self.interval is None:
            raise ValueError("`anchor` is the start of an `interval`: it cannot be used with another schedule")
        return self

    def timing(self) -> dict[str, Any] | None:
        """The schedule as Prefect's API has it; None for one that never comes."""
        if self.cron is not None:
            if not self.cron:
                return None
            return CronSchedule(cron=self.cron, timezone=self.timezone).model_dump(mode="json")
        if self.rrule is not None:
            return RRuleSchedule(rrule=self.rrule, timezone=self.timezone).model_dump(mode="json")
        assert self.interval is not None
        # A fixed moment even where none is given: Prefect would take that of the call, and no set-up would equal another.
        anchor = self.anchor or datetime(2020, 1, 1)  # noqa: DTZ001
        if anchor.tzinfo is None:
            anchor = anchor.replace(tzinfo=ZoneInfo(self.timezone))
        return as_timing(
            {"interval": self.interval.total_seconds(), "anchor_date": anchor.isoformat(), "timezone": self.timezone}
        )

    def text(self) -> str:
        """The schedule in a few words: `23 3 * * * (UTC)`."""
        if self.cron is not None:
            return f"{self.cron} ({self.timezone})" if self.cron else "never"
        if self.rrule is not None:
            return f"{self.rrule} ({self.timezone})"
        return f"every {self.interval} ({self.timezone})"


def as_timing(timing: Mapping[str, Any]) -> dict[str, Any]:
    """A schedule of Prefect's API in one spelling, whichever the server gave it."""
    model = CronSchedule if "cron" in timing else RRuleSchedule if "rrule" in timing else IntervalSchedule
    dumped: dict[str, Any] = model.model_validate(timing).model_dump(mode="json")
    if "anchor_date" in dumped:
        moment = datetime.fromisoformat(dumped["anchor_date"]).astimezone(UTC)
        dumped["anchor_date"] = moment.isoformat().replace("+00:00", "Z")
        dumped["interval"] = timedelta_of(timing["interval"]).total_seconds()
    return dumped


def timedelta_of(value: Any) -> timedelta:
    """Of seconds, as the API has them."""
    return value if isinstance(value, timedelta) else timedelta(seconds=float(value))


def _listed(value: object) -> object:
    return [value] if isinstance(value, Mapping | Schedule) else value


def _distinct(schedules: tuple[Schedule, ...]) -> tuple[Schedule, ...]:
    slugs = [one.slug for one in schedules if one.slug is not None]
    if twice := {slug for slug in slugs if slugs.count(slug) > 1}:
        raise ValueError(f"the slug {min(twice)!r} appears twice")
    return schedules


Schedules = Annotated[tuple[Schedule, ...], BeforeValidator(_listed), AfterValidator(_distinct)]
"""One schedule, or a list of them; an empty list: never."""
