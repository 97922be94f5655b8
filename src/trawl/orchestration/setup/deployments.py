"""What is deployed: the one description that `trawl setup` applies, and that prefect.yaml repeats."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

from trawl.model.names import slug_of

from .schedules import Schedule
from .settings import Extra, SourceSettings

__all__ = ["HEARTBEAT", "MANAGED", "RUN_ENV", "Deployment", "deployments_of", "extra_deployments"]

MANAGED = "managed-by:trawl"
"""The tag of what set-up made, and so may remove."""

HEARTBEAT = 30
"""Seconds between a run's signs of life. The automation that looks for runs without any waits for three of them: change
both together, or healthy runs are marked as crashed.
"""

RUN_ENV = {"PREFECT_LOGGING_EXTRA_LOGGERS": "trawl", "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(HEARTBEAT)}
"""What every run has in its environment."""

_FLOWS = "trawl.orchestration.flows"
Collision = Literal["CANCEL_NEW", "ENQUEUE"]


@dataclass(frozen=True, slots=True)
class Deployment:
    """A flow with what it is given, and when it runs. `concurrency` None: as many runs at once as come."""

    name: str
    entrypoint: str
    description: str | None
    schedules: dict[str, Schedule]
    tags: list[str]
    parameters: dict[str, Any] = field(default_factory=dict)
    concurrency: int | None = 1
    collision: Collision = "ENQUEUE"
    pool: str | None = None
    queue: str = "default"
    job_variables: dict[str, Any] = field(default_factory=dict)
    directory: str | None = None


def deployments_of(
    sources: Iterable[tuple[str, SourceSettings]], shard: dict[str, Any] | None = None
) -> list[Deployment]:
    """Four deployments per source, one that looks at all of them, and one for their shards."""
    made: list[Deployment] = []
    named: list[str] = []
    for source, settings in sources:
        named.append(source)
        slug = slug_of(source)
        of_source = partial(
            Deployment,
            tags=[MANAGED, f"source:{source}"],
            pool=settings.pool,
            job_variables=settings.job_variables,
        )
        rate = {} if settings.rate is None else {"rate": settings.rate}
        pods = {} if settings.pods == 1 else {"pods": settings.pods}
        made += [
            of_source(
                name=f"discover-{slug}",
                entrypoint=f"{_FLOWS}.discover",
                description=f"Lists {source} and finds out what is due; fetches no record.",
                schedules=_slugged("discover", settings.discover),
                collision="CANCEL_NEW",  # the one that runs sees the same lists
                parameters={"sources": [source], **rate},
            ),
            of_source(
                name=f"refresh-{slug}",
                entrypoint=f"{_FLOWS}.refresh",
                description=f"Fetches every record of {source} that is due.",
                schedules=_slugged("refresh", settings.refresh),
                parameters={"sources": [source], **rate, **pods},
            ),
            of_source(
                name=f"maintain-{slug}",
                entrypoint=f"{_FLOWS}.maintain",
                description=f"Compacts the lake of {source} and deletes what is no longer needed.",
                schedules=_slugged("maintain", settings.maintain),
                parameters={"sources": [source]},
            ),
            of_source(
                name=f"decide-{slug}",
                entrypoint=f"{_FLOWS}.decide",
                description=f"Accepts or rejects what is held of {source}; the report of a held run leads here.",
                schedules={},
                parameters={"source": source},
            ),
        ]
    if named:
        made += [
            Deployment(
                name="self-check",
                entrypoint="trawl.orchestration.checking.check",
                description="Looks at what a crawl needs: machine, lake and each source's API. `helm test` runs it.",
                schedules={},
                parameters={"sources": sorted(named)},
                tags=[MANAGED],
            ),
            Deployment(
                name="crawl-shard",
                entrypoint=f"{_FLOWS}.crawl_shard",
                description="One shard of a refresh, in a separate pod. Started only by refreshes.",
                schedules={},
                concurrency=None,
                tags=[MANAGED],
                job_variables=shard or {},
            ),
        ]
    return made


def extra_deployments(extras: Iterable[tuple[str, Extra]]) -> list[Deployment]:
    """The deployments of flows that are not Trawl's own."""
    return [
        Deployment(
            name=name,
            entrypoint=extra.entrypoint,
            description=extra.description,
            schedules=_slugged(name, extra.schedules),
            parameters=extra.parameters,
            tags=[MANAGED, *extra.tags],
            concurrency=extra.concurrency,
            collision=extra.collision,
            pool=extra.pool,
            queue=extra.queue,
            job_variables=extra.job_variables,
            directory=extra.directory,
        )
        for name, extra in extras
    ]


def _slugged(name: str, schedules: Iterable[Schedule]) -> dict[str, Schedule]:
    """The schedules that come, by slug: their own, or the flow's (`refresh`, `refresh-2`, ...)."""
    listed = list(schedules)
    taken = {schedule.slug for schedule in listed}
    made: dict[str, Schedule] = {}
    for place, schedule in enumerate(listed, start=1):
        slug = schedule.slug or (name if place == 1 else f"{name}-{place}")
        while schedule.slug is None and slug in taken:
            slug += "-more"
        if schedule.timing() is not None:
            made[slug] = schedule
    return made
