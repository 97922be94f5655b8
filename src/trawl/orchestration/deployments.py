"""What is deployed for each source: the one description that `trawl setup` applies."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from trawl.model.names import slug_of

__all__ = ["MANAGED", "Deployment", "Schedule", "SourceSettings", "deployments_of"]

MANAGED = "managed-by:trawl"
"""The tag of what set-up made, and so may remove."""


class Strict(BaseModel):
    """A model that takes no word it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Schedule(Strict):
    """When a flow runs by itself. An empty `cron`: never."""

    cron: str
    timezone: str = "UTC"


class SourceSettings(Strict):
    """How a source is run."""

    # Off the full hour, when everybody else's schedules start.
    discover: Schedule = Schedule(cron="7 * * * *")
    refresh: Schedule = Schedule(cron="23 3 * * *")
    rate: float | Literal["unlimited"] | None = None
    """Requests per second; empty: as the source says."""
    public_calls: int = Field(default=10, ge=1)
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
