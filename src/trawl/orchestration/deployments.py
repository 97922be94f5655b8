"""What is deployed for each source: the one description that `trawl setup` applies."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from difflib import get_close_matches
from math import inf
from typing import Annotated, Any, Literal
from zoneinfo import available_timezones

from prefect._vendor.croniter.croniter import CroniterBadDateError, croniter
from prefect.client.schemas.schedules import CronSchedule
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from trawl.model.config import SLOWEST
from trawl.model.names import slug_of

__all__ = ["MANAGED", "Deployment", "Schedule", "SourceSettings", "deployments_of"]

MANAGED = "managed-by:trawl"
"""The tag of what set-up made, and so may remove."""

_FIELDS = 5  # of a cron; more of them would be seconds and years


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
            f"{cron!r} is no cron; write minute (0-59), hour (0-23), day (1-31), month (1-12) and weekday (0-7), for "
            "example '23 3 * * *'"
        )
    try:
        croniter(cron, datetime.now(UTC)).get_next()  # type: ignore[no-untyped-call]
    except CroniterBadDateError:  # Prefect would take it, and its scheduler would stumble
        raise ValueError(f"{cron!r} never comes") from None
    return cron


def _check_timezone(name: str) -> str:
    known = available_timezones()
    if name not in known:
        near = get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else "write an IANA name, for example Europe/Berlin"
        raise ValueError(f"{name!r} is no time zone; {hint}")
    return name


def _check_rate(rate: object) -> object:
    number = isinstance(rate, int | float) and not isinstance(rate, bool) and SLOWEST <= rate < inf
    if not number and rate is not None and rate != "unlimited":
        raise ValueError(f"{rate!r} is no rate; give requests per second, or unlimited")
    return rate


class Schedule(Strict):
    """When a flow runs by itself. An empty `cron`: never."""

    cron: Annotated[str, AfterValidator(_check_cron)]
    timezone: Annotated[str, AfterValidator(_check_timezone)] = "UTC"


class SourceSettings(Strict):
    """How a source is run."""

    # Off the full hour, when everybody else's schedules start.
    discover: Schedule = Schedule(cron="7 * * * *")
    refresh: Schedule = Schedule(cron="23 3 * * *")
    rate: Annotated[float | Literal["unlimited"] | None, BeforeValidator(_check_rate)] = None
    """Requests per second; empty: as the source says."""
    public_calls: int = Field(default=10, ge=1, lt=2**31)
    """Requests in flight over all runs, to begin with: operators change the limit in the UI."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """A flow with what it is given, and when it runs."""

    name: str
    entrypoint: str
    description: str
    schedule: Schedule
    slug: str
    collision: Literal["CANCEL_NEW", "ENQUEUE"]
    parameters: dict[str, Any]
    tags: list[str]
    job_variables: dict[str, Any] = field(default_factory=dict)


def deployments_of(sources: Iterable[tuple[str, SourceSettings]]) -> list[Deployment]:
    """One deployment per flow and source."""
    made: list[Deployment] = []
    for source, settings in sources:
        common: dict[str, Any] = {
            "parameters": {"sources": [source]} | ({} if settings.rate is None else {"rate": settings.rate}),
            "tags": [MANAGED, f"source:{source}"],
        }
        slug = slug_of(source)
        made += [
            Deployment(
                name=f"discover-{slug}",
                entrypoint="trawl.orchestration.flows.discover",
                description=f"Asks {source} what there is, and fetches no record.",
                schedule=settings.discover,
                slug="discover",
                collision="CANCEL_NEW",  # the one that runs sees the same lists
                **common,
            ),
            Deployment(
                name=f"refresh-{slug}",
                entrypoint="trawl.orchestration.flows.refresh",
                description=f"Fetches every record of {source} that is due.",
                schedule=settings.refresh,
                slug="refresh",
                collision="ENQUEUE",
                **common,
            ),
        ]
    return made
