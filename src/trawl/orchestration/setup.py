"""Brings a Prefect server to what an installation needs, as often as it is run.

What Trawl owns (pool, its template, deployments) is set; what an operator turns (the public-calls limit, a
paused schedule, a paused deployment) is made once and then left.
"""

import logging
import os
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from http import HTTPStatus
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol
from urllib.parse import urlsplit

from prefect import Flow
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import (
    DeploymentScheduleCreate,
    DeploymentScheduleUpdate,
    DeploymentUpdate,
    GlobalConcurrencyLimitCreate,
    WorkPoolCreate,
    WorkPoolUpdate,
)
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterTags,
)
from prefect.client.schemas.objects import ConcurrencyLimitStrategy, ConcurrencyOptions
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.schedules import CronSchedule
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
from prefect.flows import load_flow_from_entrypoint
from prefect.utilities.callables import parameter_schema
from pydantic import AfterValidator, Field

from trawl.model.errors import ConfigurationError, Retriable
from trawl.model.names import public_calls_name
from trawl.orchestration.api import connected
from trawl.orchestration.deployments import (
    MANAGED,
    Deployment,
    SourceSettings,
    Strict,
    deployments_of,
)
from trawl.sources import source_names
from trawl.sources.reading import checked, parse, read_text

__all__ = ["Pool", "Settings", "apply", "load_settings"]

log = logging.getLogger("trawl.setup")

_DESCRIBED = "docs/cluster.md, and the chart's values.schema.json for each value"


_BUCKETS = "check the name, AWS_ENDPOINT_URL, AWS_REGION, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"


def _check_name(name: str) -> str:
    if not name or not name.isprintable() or set("/%&<>") & set(name):
        raise ValueError(f"{name!r} is no name for Prefect: it is empty, or holds one of / % & < >")
    return name


def _check_source(name: str) -> str:
    """The flows run from the same image as set-up: what is not registered here is not there."""
    known = source_names()
    if name not in known:
        near = get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise ValueError(f"unknown source {name!r}; {hint}known are: {', '.join(known)}")
    return name


Name = Annotated[str, AfterValidator(_check_name)]
Source = Annotated[str, AfterValidator(_check_source)]


class Pool(Strict):
    """The work pool: Kubernetes with the chart's template, else processes on this machine."""

    name: Name = "trawl"
    type: Literal["kubernetes", "process"] = "process"
    base_job_template: dict[str, Any] = Field(default_factory=dict)


class Settings(Strict):
    """The file that the chart writes from its values. Every field may be left out."""

    pool: Pool = Pool()
    queues: tuple[Name, ...] = ("high-priority", "default")
    """First come first: a queue is served before those after it."""
    buckets: tuple[str, ...] = ()
    sources: dict[Source, SourceSettings] = Field(default_factory=lambda: {"pokeapi": SourceSettings()})


def load_settings(file: Path | None) -> Settings:
    """Read the settings, and find all that is wrong with them: a mistake is named with its place and value."""
    if file is None:
        return Settings()
    data = parse(read_text(file, "the set-up file"), str(file), Settings, _DESCRIBED)
    return checked({} if data is None else data, str(file), Settings, _DESCRIBED)


async def apply(settings: Settings) -> None:
    """Make everything; each step says what it did."""
    make_buckets(settings.buckets)
    async with connected() as client:
        await make_pool(client, settings.pool)
        await make_queues(client, settings.pool.name, settings.queues)
        for source, of_source in settings.sources.items():
            await make_limit(client, public_calls_name(source), of_source.public_calls)
        wanted = deployments_of(settings.sources.items())
        existing = await managed_deployments(client)
        for deployment in wanted:
            await deploy(client, deployment, settings.pool, existing.get(deployment.name))
        names = {deployment.name for deployment in wanted}
        for name, obsolete in existing.items():
            if name not in names:
                await client.delete_deployment(obsolete.id)
                log.info("deployment %s: removed, its source is no longer configured", name)


class ObjectStore(Protocol):
    """What is used of boto3's client, which has no types."""

    exceptions: Any

    def create_bucket(self, **arguments: Any) -> object: ...


def make_buckets(buckets: Iterable[str]) -> None:
    """Create the buckets that are not there; endpoint and credentials come from the usual AWS_* variables."""
    names = list(buckets)
    if not names:
        return
    import boto3  # type: ignore[import-untyped]  # noqa: PLC0415  half a second, needed by this step alone
    from botocore.config import Config  # type: ignore[import-untyped]  # noqa: PLC0415
    from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError  # type: ignore[import-untyped]  # noqa: PLC0415

    region = os.environ.get("AWS_REGION", "us-east-1")
    endpoint = os.environ.get("AWS_ENDPOINT_URL")
    # MinIO, and most of what speaks S3, knows a bucket by the path.
    style = {"addressing_style": "path"} if endpoint else {}
    config = Config(s3=style, retries={"max_attempts": 10})
    # us-east-1 is refused as a constraint: it is where a bucket goes without one.
    place = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    where = urlsplit(endpoint).netloc if endpoint else "AWS"
    try:
        s3: ObjectStore = boto3.client("s3", endpoint_url=endpoint, region_name=region, config=config)
        for name in names:
            try:
                s3.create_bucket(Bucket=name, **place)
            except s3.exceptions.BucketAlreadyOwnedByYou:
                log.info("bucket %s: exists", name)
            else:
                log.info("bucket %s: made at %s", name, where)
    except HTTPClientError as error:
        raise Retriable(f"buckets: {error}", remedy="check AWS_ENDPOINT_URL and that the server runs") from None
    except (BotoCoreError, ClientError, ValueError) as error:
        status = getattr(error, "response", {}).get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise Retriable(f"buckets: {error}") from None
        raise ConfigurationError(f"buckets: {error}", remedy=_BUCKETS) from None


async def make_pool(client: PrefectClient, pool: Pool) -> None:
    try:
        existing = await client.read_work_pool(pool.name)
    except ObjectNotFound:
        await client.create_work_pool(WorkPoolCreate(**pool.model_dump(exclude_defaults=False)))
        log.info("work pool %s: made", pool.name)
        return
    if existing.type != pool.type:
        raise ConfigurationError(
            f"The work pool {pool.name!r} is of type {existing.type!r}, not {pool.type!r}",
            remedy="Remove it (`prefect work-pool delete`) or give this installation another pool.",
        )
    if pool.base_job_template and existing.base_job_template != pool.base_job_template:
        await client.update_work_pool(pool.name, WorkPoolUpdate(base_job_template=pool.base_job_template))
        log.info("work pool %s: its job template is brought up to date", pool.name)
    else:
        log.info("work pool %s: up to date", pool.name)


async def make_queues(client: PrefectClient, pool: str, queues: Iterable[str]) -> None:
    """Make the queues, each with its rank as its priority; those that exist are left as they are."""
    existing = {queue.name for queue in await client.read_work_queues(work_pool_name=pool)}
    for priority, name in enumerate(queues, start=1):
        if name not in existing:
            await client.create_work_queue(name=name, work_pool_name=pool, priority=priority)
            log.info("queue %s: made with priority %s", name, priority)


async def make_limit(client: PrefectClient, name: str, limit: int) -> None:
    try:
        existing = await client.read_global_concurrency_limit_by_name(name)
    except ObjectNotFound:
        await client.create_global_concurrency_limit(GlobalConcurrencyLimitCreate(name=name, limit=limit))
        log.info("limit %s: made, %s", name, limit)
    else:
        log.info("limit %s: exists, left at %s", name, existing.limit)


async def managed_deployments(client: PrefectClient) -> Mapping[str, DeploymentResponse]:
    mine = DeploymentFilter(tags=DeploymentFilterTags(all_=[MANAGED]))
    found: list[DeploymentResponse] = []
    while page := await client.read_deployments(deployment_filter=mine, limit=200, offset=len(found)):
        found += page
    return {deployment.name: deployment for deployment in found}


async def deploy(client: PrefectClient, wanted: Deployment, pool: Pool, existing: DeploymentResponse | None) -> None:
    """Create the deployment or update it; whether it or its schedule is paused stays the operator's."""
    # Without a step Prefect would copy the folder that the run starts in, all of it, as if it were the code.
    working_directory = "/tmp" if pool.type == "kubernetes" else str(Path.cwd())  # noqa: S108  the pod's own
    flow: Flow[..., Any] = load_flow_from_entrypoint(wanted.entrypoint)
    schedule = (
        CronSchedule(cron=wanted.schedule.cron, timezone=wanted.schedule.timezone) if wanted.schedule.cron else None
    )
    common: dict[str, Any] = {
        "version": release(),
        "description": wanted.description,
        "parameters": wanted.parameters,
        "tags": wanted.tags,
        "work_pool_name": pool.name,
        "work_queue_name": "default",
        "entrypoint": wanted.entrypoint,
        "job_variables": wanted.job_variables,
        "parameter_openapi_schema": parameter_schema(flow).model_dump_for_openapi(),
        "enforce_parameter_schema": True,
        "concurrency_limit": 1,
        "concurrency_options": ConcurrencyOptions(collision_strategy=ConcurrencyLimitStrategy(wanted.collision)),
        "pull_steps": [{"prefect.deployments.steps.set_working_directory": {"directory": working_directory}}],
    }
    if existing is None:
        flow_id = await client.create_flow(flow)
        try:
            await client.create_deployment(
                flow_id=flow_id,
                name=wanted.name,
                schedules=[DeploymentScheduleCreate(schedule=schedule, slug=wanted.slug)] if schedule else [],
                **common,
            )
        except ObjectAlreadyExists as error:  # pragma: no cover  two set-ups at the same moment
            raise ConfigurationError(f"Another set-up is running: {wanted.name} was just made") from error
        log.info("deployment %s: made", wanted.name)
        return

    for stored in existing.schedules:
        if stored.slug == wanted.slug and schedule is None:
            await client.delete_deployment_schedule(existing.id, stored.id)
    await client.update_deployment(
        existing.id,
        DeploymentUpdate(
            schedules=[DeploymentScheduleUpdate(schedule=schedule, slug=wanted.slug)] if schedule else [],
            **common,
        ),
    )
    log.info("deployment %s: up to date", wanted.name)


def release() -> str:
    """The version that the UI shows: the package's, with the revision that the image was built from."""
    revision = os.environ.get("TRAWL_REVISION")
    return f"{version('trawl')}+{revision[:12]}" if revision else version("trawl")
