"""The set-up file: what a person, or the chart, asks `trawl setup` for. docs/setup.md goes through it key by key."""

from collections.abc import Mapping
from datetime import timedelta
from math import inf
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from trawl.model.config import SLOWEST
from trawl.model.names import BLOCK_NAME, did_you_mean
from trawl.model.values import Duration, of_form, parse_duration
from trawl.sources import source_names
from trawl.sources.reading import checked, parse, read_text

from .schedules import Schedule, Schedules, Strict

__all__ = ["Extra", "Pool", "Reference", "Rule", "Settings", "SourceSettings", "load_settings"]

_DESCRIBED = "docs/setup.md describes every key; in a cluster the chart's values.schema.json, too"
_VARIABLE = r"[a-z0-9]+([_-][a-z0-9]+)*"


def _check_name(name: str) -> str:
    if not name or not name.isprintable() or set("/%&<>") & set(name):
        raise ValueError(f"{name!r} is not a valid name in Prefect: it is empty, or holds one of / % & < >")
    return name


def _check_source(name: str) -> str:
    """The flows run from the same image as set-up: what is not registered here is not there."""
    known = source_names()
    if name not in known:
        hint = did_you_mean(name, known)
        raise ValueError(f"unknown source {name!r}; {hint}known are: {', '.join(known)}")
    return name


def _check_rate(rate: object) -> object:
    number = isinstance(rate, int | float) and not isinstance(rate, bool) and SLOWEST <= rate < inf
    if not number and rate is not None and rate != "unlimited":
        raise ValueError(f"{rate!r} is not a valid rate; give requests per second, or unlimited")
    return rate


def _check_within(within: timedelta) -> timedelta:
    if within < timedelta(minutes=1):
        raise ValueError("less than 1m would also match runs that are just starting")
    return within


def _as_variable(value: object) -> object:
    return value if isinstance(value, Mapping) and "value" in value else {"value": value}


Name = Annotated[str, AfterValidator(_check_name)]
BlockName = Annotated[str, of_form(BLOCK_NAME, "is not a valid block name; write lower-case letters, digits and '-'")]
Block = Annotated[
    str,
    of_form(
        f"{BLOCK_NAME}/{BLOCK_NAME}", "names no block; write its type and its name, for example slack-webhook/alerts"
    ),
]
VariableName = Annotated[
    str, of_form(_VARIABLE, "is not a valid variable name; write lower-case letters, digits, '_' and '-'")
]
Source = Annotated[str, AfterValidator(_check_source)]
Slots = Annotated[int, Field(ge=1, lt=2**31)]
JobVariables = dict[str, Any]
PoolType = Literal["kubernetes", "process"]

QUEUES = ("high-priority", "default")


class AnyPool(Strict):
    """A work pool: Kubernetes with the chart's template, else processes on this machine."""

    type: PoolType = "process"
    base_job_template: dict[str, Any] = Field(default_factory=dict)
    concurrency: Slots | None = None
    """Initial number of runs at the same time; operators change it in the UI."""


class Pool(AnyPool):
    """The installation's pool: its name tells installations on one server apart."""

    name: Name = "trawl"


class MorePool(AnyPool):
    """A further pool, for runs that need another template, other nodes or a limit of their own."""

    queues: tuple[Name, ...] = QUEUES


class Reference(Strict):
    """Where a secret lies, never the secret itself."""

    env: Annotated[str, Field(min_length=1)] | None = None
    file: Path | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.env is None) == (self.file is None):
            raise ValueError("give one reference to the secret: env or file")
        return self


class Variable(Strict):
    """A variable of Prefect's: any JSON, and tags."""

    value: Any
    tags: tuple[str, ...] = ()


class SourceSettings(Strict):
    """How a source is run. Schedules stand off the full hour, when everybody else's start."""

    discover: Schedules = (Schedule(cron="7 * * * *"),)
    refresh: Schedules = (Schedule(cron="23 3 * * *"),)
    maintain: Schedules = (Schedule(cron="41 4 * * 0"),)
    rate: Annotated[float | Literal["unlimited"] | None, BeforeValidator(_check_rate)] = None
    """Requests per second; empty: the source's own rate."""
    public_calls: Slots = 10
    """Initial number of concurrent requests over all runs: operators change the limit in the UI."""
    pods: Slots = 1
    """The number of flow runs over which a refresh distributes its shards."""
    block: bool = True
    """Whether a block holds the source's configuration, to be edited in the UI."""
    pool: Name | None = None
    """The pool of its runs; empty: the installation's."""
    job_variables: JobVariables = Field(default_factory=dict)


class Extra(Strict):
    """A deployment of a flow that is not Trawl's own, `module.flow` or `path/to/file.py:flow`."""

    entrypoint: str
    description: str | None = None
    parameters: dict[str, Any] = Field(default_factory=dict)
    schedules: Schedules = ()
    tags: tuple[str, ...] = ()
    pool: Name | None = None
    queue: Name = "default"
    concurrency: Slots | None = None
    collision: Literal["ENQUEUE", "CANCEL_NEW"] = "ENQUEUE"
    job_variables: JobVariables = Field(default_factory=dict)
    directory: str | None = None
    """Where the run is started: a path of the entrypoint's is relative to it."""


class Rule(Strict):
    """An event that starts a deployment's run. The event may come from anywhere: a flow, `prefect event emit`, any program."""

    event: Annotated[str, Field(min_length=1)]
    resource: Annotated[str, Field(min_length=1)] = "*"
    run: Name
    parameters: dict[str, Any] = Field(default_factory=dict)
    description: str = ""


class Watch(Strict):
    """The automations that are always useful; each can be left out."""

    discovery: bool = True
    """If a discovery finds records due, the source's refresh starts."""
    zombies: bool = True
    """A run without a heartbeat for 90 s is marked as crashed."""
    stuck: Annotated[Duration, AfterValidator(_check_within)] | None = parse_duration("15m")
    """A run that has been Pending for so long causes a notification (or, without `notify`, is marked as crashed)."""
    failures: bool = True
    """A notification for each failed or crashed run, if `notify` is set."""


class Notify(Strict):
    """Who is told: a block that is there, or a Slack webhook whose address is a secret by reference."""

    block: Block | None = None
    slack: Reference | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.block is None) == (self.slack is None):
            raise ValueError("give one of block and slack")
        return self


class Results(Strict):
    """Where tasks keep their results: a bucket, and the block (of the same name, if none is given) that names it."""

    bucket: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")] = "minio-crawler-results"
    block: BlockName | None = None
    credentials: BlockName = "trawl-minio"
    folder: str = ""

    @property
    def block_name(self) -> str:
        return self.block or self.bucket.replace(".", "-")


class Settings(Strict):
    """The file that the chart writes from its values. Every field may be left out."""

    pool: Pool = Pool()
    queues: tuple[Name, ...] = QUEUES
    """By priority: a queue is served before those after it."""
    pools: dict[Name, MorePool] = Field(default_factory=dict)
    buckets: tuple[str, ...] = ()
    minio_user: bool = False
    """Whether the user of AWS_ACCESS_KEY_ID is made on MinIO, limited to the buckets above; by the user of MINIO_ROOT_USER."""
    results: Results | None = None
    sources: dict[Source, SourceSettings] = Field(default_factory=lambda: {"pokeapi": SourceSettings()})
    shard: JobVariables = Field(default_factory=dict)
    """Job variables of `crawl-shard`, the deployment which fetches shards in separate pods."""
    secrets: dict[BlockName, Reference] = Field(default_factory=dict)
    variables: dict[VariableName, Annotated[Variable, BeforeValidator(_as_variable)]] = Field(default_factory=dict)
    limits: dict[Name, Slots] = Field(default_factory=dict)
    deployments: dict[Name, Extra] = Field(default_factory=dict)
    watch: Watch = Watch()
    notify: Notify | None = None
    automations: dict[Name, Rule] = Field(default_factory=dict)


def load_settings(file: Path | None) -> Settings:
    """Read the settings, and find all that is wrong with them: a mistake is named with its place and value."""
    if file is None:
        return Settings()
    data = parse(read_text(file, "the set-up file"), str(file), Settings, _DESCRIBED)
    return checked({} if data is None else data, str(file), Settings, _DESCRIBED)
