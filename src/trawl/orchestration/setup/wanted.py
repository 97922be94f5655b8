"""From the set-up file to the objects that it asks for. Whatever is wrong with the file is found here, before anybody is asked."""

import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from copy import deepcopy
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
from prefect import Flow
from prefect.flows import load_flow_from_entrypoint
from prefect.utilities.callables import parameter_schema
from prefect.workers.process import ProcessWorker

from trawl.model.errors import ConfigurationError
from trawl.model.names import did_you_mean
from trawl.sources import get_crawler

from .automations import automations_of
from .deployments import MANAGED, RUN_ENV, Deployment, deployments_of, extra_deployments
from .merging import Wanted
from .objects.automations import named
from .objects.block_types import wanted_type
from .objects.deployed import SCHEDULE
from .objects.minio_users import policy_for
from .settings import MorePool, PoolType, Settings
from .wanted_blocks import NOTIFY, wanted_blocks

__all__ = ["release", "wanted_objects"]


def wanted_objects(settings: Settings, origin: str = "the set-up file") -> list[Wanted]:
    """Everything that is to be there, in the order in which it is made: what others name comes first.

    Raises ConfigurationError, with `origin` and the place in it.
    """
    pools = pools_of(settings)
    blocks = list(wanted_blocks(settings, origin))
    notify = None if settings.notify is None else settings.notify.block or NOTIFY
    deployments = list(_deployments(settings, pools, origin))
    return [
        *(Wanted("bucket", name, {}) for name in _buckets(settings)),
        *_minio_user(settings, origin),
        *(wanted_type(slug) for slug in dict.fromkeys(["source-config", *(b.name.partition("/")[0] for b in blocks)])),
        *blocks,
        *(Wanted("limit", name, {"limit": limit}, {"active": True}) for name, limit in _limits(settings).items()),
        *(
            Wanted("variable", name, {"value": one.value, "tags": sorted({MANAGED, *one.tags})})
            for name, one in settings.variables.items()
        ),
        *(_pool(name, pool) for name, pool in pools.items()),
        *(
            Wanted("queue", f"{pool}/{name}", {}, {"priority": rank})
            for pool, one in pools.items()
            for rank, name in enumerate(one.queues, start=1)
        ),
        *deployments,
        *_automations(settings, notify, deployments, origin),
    ]


def pools_of(settings: Settings) -> dict[str, MorePool]:
    """The installation's pool, then the further ones."""
    own = settings.pool
    if own.name in settings.pools:
        raise ConfigurationError(
            f"pools.{own.name}: it is the installation's own pool, `pool`", remedy="describe it in one place"
        )
    first = MorePool(
        type=own.type, base_job_template=own.base_job_template, concurrency=own.concurrency, queues=settings.queues
    )
    return {own.name: first, **settings.pools}


def _pool(name: str, pool: MorePool) -> Wanted:
    """A template that the file does not give is the new pool's only: whoever has one of their own keeps it."""
    once: dict[str, Any] = {} if pool.concurrency is None else {"concurrency_limit": pool.concurrency}
    if pool.base_job_template:
        return Wanted("work pool", name, {"type": pool.type, "base_job_template": pool.base_job_template}, once)
    return Wanted("work pool", name, {"type": pool.type}, {"base_job_template": template_of(pool), **once})


def template_of(pool: MorePool) -> dict[str, Any]:
    """The pool's base job template: the file's, else that of Prefect's process worker."""
    return pool.base_job_template or ProcessWorker.get_default_base_job_template()


def _buckets(settings: Settings) -> list[str]:
    own = [] if settings.results is None else [settings.results.bucket]
    return list(dict.fromkeys([*settings.buckets, *own]))


def _minio_user(settings: Settings, origin: str) -> Iterator[Wanted]:
    if settings.minio_user:
        variables = (
            "AWS_ENDPOINT_URL",
            "AWS_ACCESS_KEY_ID",
            "AWS_SECRET_ACCESS_KEY",
            "MINIO_ROOT_USER",
            "MINIO_ROOT_PASSWORD",
        )
        for missing in (name for name in variables if not os.environ.get(name)):
            raise ConfigurationError(
                f"{origin}: minio_user: the environment variable {missing} is not set",
                remedy="it takes the store's address, the user to make (AWS_*) and the one that may make it (MINIO_ROOT_*)",
            )
        yield Wanted("MinIO user", os.environ["AWS_ACCESS_KEY_ID"], {"policy": policy_for(_buckets(settings))})


def _limits(settings: Settings) -> dict[str, int]:
    made = {get_crawler(source).get_gcl_name(): one.public_calls for source, one in settings.sources.items()}
    return made | settings.limits


# -- deployments -------------------------------------------------------------------------------------------


def _deployments(settings: Settings, pools: Mapping[str, MorePool], origin: str) -> Iterator[Wanted]:
    builtin = deployments_of(settings.sources.items(), settings.shard)
    taken = {one.name for one in builtin}
    for name in settings.deployments:
        if name in taken:
            raise ConfigurationError(
                f"{origin}: deployments.{name}: Trawl makes a deployment of that name itself",
                remedy="choose another name",
            )
    for place, one in [
        *((_place(settings, one), one) for one in builtin),
        *((f"deployments.{one.name}", one) for one in extra_deployments(settings.deployments.items())),
    ]:
        name = one.pool or settings.pool.name
        if name not in pools:
            raise ConfigurationError(
                f"{origin}: {place}.pool: no pool {name!r} is described",
                remedy=f"{did_you_mean(name, pools)}known are: {', '.join(pools)}",
            )
        _check_job_variables(one.job_variables, template_of(pools[name]), f"{origin}: {place}")
        flow = _loaded(one, f"{origin}: {place}")
        _check_parameters(one, flow, f"{origin}: {place}")
        yield _wanted(one, flow, name, pools[name].type)


def _place(settings: Settings, deployment: Deployment) -> str:
    for source in settings.sources:
        if f"source:{source}" in deployment.tags:
            return f"sources.{source}"
    return "shard"


def _wanted(one: Deployment, flow: Flow[..., Any], pool: str, pool_type: PoolType) -> Wanted:
    # Without a step Prefect would copy the folder that the run starts in, all of it, as if it were the code.
    directory = one.directory or ("/tmp" if pool_type == "kubernetes" else str(Path.cwd()))  # noqa: S108  the pod's own
    variables = {**one.job_variables, "env": {**RUN_ENV, **one.job_variables.get("env", {})}}
    fields: dict[str, Any] = {
        "version": release(),
        "description": one.description if one.description is not None else flow.description,
        "parameters": one.parameters,
        "tags": sorted(one.tags),
        "work_pool_name": pool,
        "work_queue_name": one.queue,
        "entrypoint": one.entrypoint,
        "job_variables": variables,
        "parameter_openapi_schema": parameter_schema(flow).model_dump_for_openapi(),
        "enforce_parameter_schema": True,
        "concurrency": None
        if one.concurrency is None
        else {"limit": one.concurrency, "collision_strategy": one.collision},
        "pull_steps": [{"prefect.deployments.steps.set_working_directory": {"directory": directory}}],
    }
    once: dict[str, Any] = {}
    for slug, schedule in one.schedules.items():
        fields[SCHEDULE + slug] = {"schedule": schedule.timing(), "parameters": schedule.parameters}
        once[SCHEDULE + slug] = schedule.active
    always = frozenset({"version", "entrypoint", "parameter_openapi_schema", "pull_steps"})
    return Wanted("deployment", f"{flow.name}/{one.name}", fields, once, always=always)


def _loaded(one: Deployment, place: str) -> Flow[..., Any]:
    try:
        flow: Flow[..., Any] = load_flow_from_entrypoint(one.entrypoint)
    except Exception as error:
        raise ConfigurationError(
            f"{place}: no flow is at {one.entrypoint!r}: {type(error).__name__}: {' '.join(str(error).split())[:300]}",
            remedy="write module.flow, or path/to/file.py:flow relative to the folder where set-up runs",
        ) from error
    return flow


def _check_job_variables(variables: Mapping[str, Any], template: Mapping[str, Any], place: str) -> None:
    """Prefect takes a misspelled name without a word, and the run then goes without what was meant."""
    schema = deepcopy(dict(template.get("variables", {})))
    known = list(schema.get("properties", {}))
    for name in variables:
        if name not in known and name.partition(".")[0] != "env":
            hint = did_you_mean(name, known)
            raise ConfigurationError(
                f"{place}: job_variables.{name}: the pool's job template has no such variable",
                remedy=f"{hint}known are: {', '.join(known)}",
            )
    schema.pop("required", None)
    try:
        jsonschema.validate(dict(variables), schema)
    except jsonschema.ValidationError as error:
        where = ".".join(["job_variables", *map(str, error.absolute_path)])
        said = "a value that the pool's template does not allow" if "env" in where else error.message
        raise ConfigurationError(f"{place}: {where}: {said}", remedy="see the template's `variables`") from None


def _check_parameters(one: Deployment, flow: Flow[..., Any], place: str) -> None:
    """Every name is a parameter's, and every value one that the flow takes: a run would fail only when its time comes."""
    known = parameter_schema(flow).properties
    given = [("parameters", one.parameters)]
    given += [(f"schedule {slug}: parameters", schedule.parameters) for slug, schedule in one.schedules.items()]
    for where, parameters in given:
        _check_names(parameters, known, f"{place}: {where}", f"the flow {flow.name!r}")
        schema = {**parameter_schema(flow).model_dump_for_openapi(), "required": []}
        try:
            jsonschema.validate(dict(parameters), schema)
        except jsonschema.ValidationError as error:
            path = ".".join([where, *map(str, error.absolute_path)])
            raise ConfigurationError(
                f"{place}: {path}: {error.message}", remedy=f"see the flow {flow.name!r}"
            ) from None


def _check_names(parameters: Iterable[str], known: Collection[str], place: str, flow: str) -> None:
    for name in parameters:
        if name not in known:
            hint = did_you_mean(name, known)
            raise ConfigurationError(
                f"{place}.{name}: {flow} has no such parameter",
                remedy=f"{hint}known are: {', '.join(known) or 'none'}",
            )


# -- automations -------------------------------------------------------------------------------------------


def _automations(settings: Settings, notify: str | None, deployments: list[Wanted], origin: str) -> Iterator[Wanted]:
    known = {one.name.partition("/")[2]: one for one in deployments}
    for name, body in automations_of(settings, notify):
        for action in body["actions"]:
            run = action.get("deployment")
            if run is not None and run not in known:
                hint = did_you_mean(run, known)
                raise ConfigurationError(
                    f"{origin}: automations.{name}.run: no deployment {run!r}",
                    remedy=f"{hint}known are: {', '.join(known)}",
                )
            if run is not None:
                # An event fills the values in, so that the names alone can be checked.
                _check_names(
                    action.get("parameters", {}),
                    known[run].fields["parameter_openapi_schema"].get("properties", {}),
                    f"{origin}: automations.{name}.parameters",
                    f"the flow of {known[run].name!r}",
                )
        try:
            fields = named({"name": name, **body})
        except ValueError as error:
            raise ConfigurationError(
                f"{origin}: automations.{name}: {' '.join(str(error).split())[:300]}",
                remedy="docs/setup.md shows the fields of an automation",
            ) from None
        yield Wanted("automation", name, fields, {"enabled": True})


def release() -> str:
    """The version that the UI shows: the package's, with the revision that the image was built from."""
    revision = os.environ.get("TRAWL_REVISION")
    return f"{version('trawl')}+{revision[:12]}" if revision else version("trawl")
