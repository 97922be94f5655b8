"""What describes a source: one YAML file, checked here as a whole before any request.

The classes are the edge: they read what a person wrote, and say what is wrong with it in that person's words.
What the engine asks of an endpoint again and again (its key policy, its unordered paths) is prepared once.
"""

import re
from datetime import timedelta
from functools import cached_property
from ipaddress import ip_address
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)

from .contract import Contract
from .keys import KeyPolicy, fields_of
from .values import Duration, parse_duration, parts

NAME = r"[a-z][a-z0-9_]*"
ENDPOINT = r"[a-z0-9][a-z0-9_.-]*"

SLOWEST = 1e-5
"""Requests per second: fewer than one a day are no crawl."""

# Folders and schemas that a lake and its SQL have for themselves.
_TAKEN = frozenset({"hosts", "information_schema", "main", "memory", "pg_catalog", "system", "temp"})

# Where nothing is a value of its own, though not the default; and mappings whose keys are the API's.
_NULLABLE = frozenset({"list", "detail", "size_param"})
_NULLABLE_IN: dict[str, frozenset[str]] = {
    "fields": frozenset(),
    "params": frozenset(),
    "contract": _NULLABLE | {"key"},
}

_HOST = re.compile(r"(?!\.)(?!.*\.\.)[^\s/@%\\]+")
_LONGEST = 2_000  # characters of a base address
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SECRETS = frozenset(
    [
        "authorization",
        "proxy-authorization",
        "cookie",
        "api-key",
        "apikey",
        "x-api-key",
        "x-auth-key",
        "x-auth-token",
        "x-access-token",
        "private-token",
        "access-token",
        "client-secret",
        "password",
    ]
)


# A small endpoint's mass: nearly all of several.
_SEVERAL, _NEARLY_ALL = 5, 0.9


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, ignored_types=(cached_property,))


def check_base_url(url: str) -> str:
    """An http(s) address without query, fragment and credentials; no slash at its end."""
    shown = re.sub(r"//[^/?#]*@|[?#].*", lambda part: "//...@" if part[0][0] == "/" else "", url)
    if len(url) > _LONGEST:
        raise ValueError(f"{shown[:80]!r}... is longer than {_LONGEST} characters")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port  # (reading the port is its check)
        if re.fullmatch(r"[0-9.]+", host or ""):
            ip_address(host or "")
    except ValueError as error:
        raise ValueError(f"{shown!r} is not an address: {error}") from None
    if parts.scheme not in {"http", "https"} or not host or not _HOST.fullmatch(host):
        raise ValueError(f"{shown!r} is not an http(s) address; write for example https://api.example.com/v1")
    if "@" in parts.netloc:
        raise ValueError("an address must not contain credentials; use `credentials` with a reference")
    if "?" in url or "#" in url:
        raise ValueError(f"{shown!r} must not have a query or a fragment")
    if not url.isprintable() or " " in url:
        raise ValueError(f"{shown!r} holds white space or invisible characters")
    return url.rstrip("/")


def host_of(url: str) -> str:
    """A host has one name: in lower case, and with no port where it is the scheme's own."""
    parts = urlsplit(url)
    return parts.netloc.lower().removesuffix(":443" if parts.scheme == "https" else ":80")


def _check_some(value: timedelta) -> timedelta:
    if not value:
        raise ValueError("0s leaves no time for an answer")
    return value


def _check_param(value: Any) -> Any:
    if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise ValueError("a parameter is text or an integer; write what is to be sent in quotes")


def _check_params(params: dict[str, str | int]) -> dict[str, str | int]:
    for name in params:
        _refuse_secret(name)
    return params


def _refuse_secret(name: str) -> None:
    if name.lower().replace("_", "-") in _SECRETS:
        raise ValueError(f"{name} holds a secret: use `credentials` with a reference")


BaseUrl = Annotated[str, AfterValidator(check_base_url)]
Ratio = Annotated[float, Field(strict=True, ge=0, le=1)]
Whole = Annotated[int, Field(strict=True)]
Params = Annotated[dict[str, Annotated[str | int, BeforeValidator(_check_param)]], AfterValidator(_check_params)]


class Rate(_Strict):
    """How hard the host may be asked. The rate belongs to the host; Trawl spaces requests evenly."""

    requests_per_second: Annotated[float, Field(strict=True, ge=SLOWEST, le=10_000)] = 5
    connections: Annotated[Whole, Field(ge=1, le=256)] = 4


class Requests(_Strict):
    """The limits of one request."""

    timeout: Annotated[Duration, AfterValidator(_check_some)] = parse_duration("30s")
    attempts: Annotated[Whole, Field(ge=1, le=20)] = 5
    max_bytes: Annotated[Whole, Field(ge=1024)] = 64 * 2**20
    max_backoff: Duration = parse_duration("30s")
    max_retry_after: Duration = parse_duration("10m")


class Credentials(_Strict):
    """Where the secret lies; never the secret itself. `bearer` sends `Authorization: Bearer ...`."""

    kind: Literal["bearer", "basic", "header", "query"] = "bearer"
    name: str | None = None
    env: str | None = None
    file: str | None = None
    block: str | None = None

    @model_validator(mode="after")
    def _one_reference(self) -> Self:
        if sum(bool(ref) for ref in (self.env, self.file, self.block)) != 1:
            raise ValueError("give exactly one reference to the secret: env, file or block")
        if self.env and not _VARIABLE.fullmatch(self.env):
            raise ValueError("`env` is the name of an environment variable, not the secret")
        if self.kind in {"header", "query"} and not self.name:
            raise ValueError(f"kind {self.kind} needs the `name` of the {self.kind}")
        if self.kind == "header" and not _HEADER.fullmatch(self.name or ""):
            raise ValueError(f"{self.name!r} is not a valid header name")
        return self


class VersionToken(_Strict):
    """What tells that the whole API changed.

    A document holds a token; a header may repeat it on every answer.
    """

    path: str
    field: str
    order: str | None = None
    header: str | None = None
    order_header: str | None = None
    max_age: Duration = parse_duration("24h")
    audit: Ratio = 0.01

    @field_validator("path")
    @classmethod
    def _no_fields(cls, path: str) -> str:
        return _check_template(path, set())


class NoPages(_Strict):
    """The whole list in one answer."""

    kind: Literal["none"] = "none"


class _Pages(_Strict):
    """What holds for every list of several pages.

    `more` leads to a flag that says whether there are further pages: where it is named, it alone decides.
    """

    more: str | None = None
    max_pages: Annotated[Whole, Field(ge=1)] = 10_000
    max_empty_pages: Annotated[Whole, Field(ge=0)] = 10


LastPage = Literal["empty", "short", "count"]


class OffsetPages(_Pages):
    """`limit` and `offset`; one snapshot where `limit` is at least the count.

    What ends the list: an `empty` page, unless the source states that a `short` one does, or that the `count` is right.
    """

    kind: Literal["offset"]
    last_page: LastPage = "empty"
    limit: Annotated[Whole, Field(ge=1)] = 100
    limit_param: str = "limit"
    offset_param: str = "offset"


class NumberedPages(_Pages):
    """`page=1`, `page=2`, ..., to the same ends as `offset`. With `size_param: null` the API decides the size."""

    kind: Literal["page"]
    last_page: LastPage = "empty"
    size: Annotated[Whole, Field(ge=1)] = 100
    size_param: str | None = "per_page"
    page_param: str = "page"
    first: Whole = 1

    @property
    def limit(self) -> int | None:
        """How many items a page is asked to hold, or is said to; None where only the API knows."""
        return self.size if self.size_param is not None or "size" in self.model_fields_set else None


class _ToldPages(_Pages):
    """Pages of which each names the next.

    The end is `told` (absent, null, false, empty, or the value `end`), or also where a page is `empty`. A field that not
    even the first page has is an `error`, unless the API leaves it out where there is one page only: then it is the `end`.
    """

    last_page: Literal["told", "empty"] = "told"
    absent: Literal["error", "end"] = "error"
    end: str | Whole | None = None


class CursorPages(_ToldPages):
    """The body holds a token that the next request repeats."""

    kind: Literal["cursor"]
    cursor: str
    param: str


class LinkPages(_ToldPages):
    """The body (`field`) or the Link header (no `field`) holds the next page's address."""

    kind: Literal["link"]
    field: str | None = None


Pagination = Annotated[NoPages | OffsetPages | NumberedPages | CursorPages | LinkPages, Field(discriminator="kind")]


class ListConfig(_Strict):
    """How an endpoint is listed."""

    path: str = "{endpoint}/"
    params: Params = {}
    items: str = ""
    count: str | None = None
    ignore: tuple[str, ...] = ()
    pagination: Pagination = NoPages()

    @field_validator("path")
    @classmethod
    def _known_fields(cls, path: str) -> str:
        return _check_template(path, {"endpoint"})

    @model_validator(mode="after")
    def _counted(self) -> Self:
        pages = self.pagination
        if isinstance(pages, OffsetPages | NumberedPages) and pages.last_page == "count" and self.count is None:
            raise ValueError("`pagination.last_page: count` needs a `count`: where the body says how many there are")
        return self


class DetailConfig(_Strict):
    """How one record is fetched.

    The path may hold `{key}`, `{label}`, `{endpoint}`, `{item.FIELD}` (of the list) and `{parent.FIELD}`.
    """

    path: str = "{endpoint}/{key}/"
    params: Params = {}

    @field_validator("path")
    @classmethod
    def _known_fields(cls, path: str) -> str:
        return _check_template(path, {"endpoint", "key", "label"}, prefixes=("item.", "parent."))


def _check_key_field(value: Any) -> Any:
    if isinstance(value, str) or (isinstance(value, list) and value and all(isinstance(v, str) for v in value)):
        return value
    raise ValueError(f"{value!r} is neither a field's path nor a list of paths")


class KeyConfig(_Strict):
    """The field (or fields) of a list's item that identify the record; `pattern` cuts the key out of it."""

    field: Annotated[str | list[str], BeforeValidator(_check_key_field)] = "id"
    pattern: str | None = None

    @field_validator("pattern")
    @classmethod
    def _one_group(cls, pattern: str | None) -> str | None:
        if pattern is None:
            return None
        try:
            groups = re.compile(pattern).groups
        except re.error as error:
            raise ValueError(f"{pattern!r} is not a regular expression: {error}") from None
        if groups != 1:
            raise ValueError(f"{pattern!r} needs exactly one group, the key, for example '/(\\d+)/$'")
        return pattern


class Threshold(_Strict):
    """More than this share *and* more than this number."""

    ratio: Ratio
    count: Annotated[Whole, Field(ge=0)]

    def exceeded(self, number: int, of: int) -> bool:
        """Whether `number` out of `of` is too many."""
        return number > self.count and number > self.ratio * of


class MassThreshold(Threshold):
    """More than this share, and more than this number or nearly all: more than 90 % of at least five."""

    def exceeded(self, number: int, of: int) -> bool:
        nearly_all = of >= _SEVERAL and number > _NEARLY_ALL * of
        return number > self.ratio * of and (number > self.count or nearly_all)


class ChangedThreshold(MassThreshold):
    """The same, and what happens then."""

    action: Literal["alarm", "hold"] = "alarm"


class Guards(_Strict):
    """When an endpoint's changes are too large to be believed."""

    missing: Threshold = Threshold(ratio=0.10, count=5)
    changed: ChangedThreshold = ChangedThreshold(ratio=0.50, count=50)
    failed: Threshold = Threshold(ratio=0.10, count=5)
    keyless: Threshold = Threshold(ratio=0.10, count=5)
    quarantined: MassThreshold = MassThreshold(ratio=0.50, count=50)
    tombstone_after: Duration = parse_duration("6d")


class EndpointConfig(_Strict):
    """One collection of a source. Every field has a default, so that `endpoints: {users: {}}` is a start."""

    parent: str | None = None
    list: ListConfig | None = ListConfig()
    detail: DetailConfig | None = DetailConfig()
    key: KeyConfig = KeyConfig()
    label: str | None = None
    contract: Contract = Contract()
    freshness: Duration = parse_duration("24h")
    unordered: tuple[str, ...] = ()
    guards: Guards = Guards()

    @model_validator(mode="after")
    def _listed_somehow(self) -> Self:
        if self.parent is None and self.list is None:
            raise ValueError("an endpoint needs a `list`, or a `parent` whose records it follows")
        if self.parent is not None and self.detail is None:
            raise ValueError("a child needs a `detail`: the path from its parent's record")
        named = fields_of(self.detail.path) if self.detail is not None else ("key",)
        if self.parent is None and any(name.startswith("parent.") for name in named):
            raise ValueError("`{parent.FIELD}` needs a `parent`")
        if self.parent is not None and self.list is not None:
            raise ValueError("a child follows its parent's records: it has no `list` of its own")
        if any(name.startswith("parent.") for name in named) and not all(
            name.startswith(("parent.", "key")) for name in named
        ):
            raise ValueError("with `{parent.FIELD}` a path can contain only `{key}`")
        if self.list is None and any(name.startswith("item.") for name in named):
            raise ValueError("`{item.FIELD}` needs a `list`")
        if not any(name != "endpoint" for name in named):
            raise ValueError("the `detail` path is the same for every record; write for example {endpoint}/{key}/")
        return self

    @cached_property
    def key_policy(self) -> KeyPolicy:
        """`key`, ready to be applied to items."""
        fields = (self.key.field,) if isinstance(self.key.field, str) else tuple(self.key.field)
        return KeyPolicy(fields, re.compile(self.key.pattern) if self.key.pattern else None)

    @cached_property
    def repeated(self) -> KeyPolicy | None:
        """What makes the keys, where a document may repeat them: an item is its own key's source, a child has its parent's."""
        return None if self.parent is not None or self.detail is None else self.key_policy

    @cached_property
    def unordered_paths(self) -> tuple[tuple[str, ...], ...]:
        """Innermost first, so that an outer list is sorted by what its items mean."""
        return tuple(sorted((parts(path) for path in self.unordered), key=len, reverse=True))


class Defaults(EndpointConfig):
    """What holds for every endpoint; whether it is enough for one is that endpoint's question."""

    @model_validator(mode="after")
    def _listed_somehow(self) -> Self:
        return self


class SourceConfig(_Strict):
    """An API. `defaults` holds for every endpoint that does not say otherwise."""

    name: Annotated[str, Field(pattern=f"^{NAME}$", max_length=40)]
    title: str = ""
    base_url: BaseUrl
    user_agent: str | None = None
    headers: dict[str, str] = {}
    rate: Rate = Rate()
    calls_limit: str | None = None
    """The Prefect limit whose slots are concurrent requests; `<name>-public-calls` if none is named."""
    requests: Requests = Requests()
    credentials: Credentials | None = None
    version_token: VersionToken | None = None
    defaults: Defaults = Defaults()
    endpoints: Annotated[dict[str, EndpointConfig], Field(min_length=1)]

    @model_validator(mode="before")
    @classmethod
    def _apply_defaults(cls, data: Any) -> Any:
        if not isinstance(data, dict) or not isinstance(data.get("endpoints"), dict):
            return data
        defaults = data.get("defaults") or {}
        if not isinstance(defaults, dict):
            return data
        endpoints = {
            name: _inherit_endpoint(defaults, {} if endpoint is None else endpoint)
            for name, endpoint in data["endpoints"].items()
        }
        return data | {"endpoints": endpoints}

    @field_validator("name")
    @classmethod
    def _free_name(cls, name: str) -> str:
        if name in _TAKEN:
            raise ValueError(f"{name!r} is reserved in a lake or in SQL; choose another name")
        return name

    @field_validator("headers")
    @classmethod
    def _no_secrets(cls, headers: dict[str, str]) -> dict[str, str]:
        for name, value in headers.items():
            _refuse_secret(name)
            if not _HEADER.fullmatch(name):
                raise ValueError(f"{name!r} is not a valid header name")
            _check_header(name, value)
        return headers

    @field_validator("user_agent")
    @classmethod
    def _sendable(cls, value: str | None) -> str | None:
        return value if value is None else _check_header("user_agent", value)

    @model_validator(mode="after")
    def _related(self) -> Self:
        for name, endpoint in self.endpoints.items():
            if not re.fullmatch(ENDPOINT, name):
                raise ValueError(f"endpoint name {name!r}: use lower-case letters, digits, '-', '_' and '.'")
            if endpoint.parent is not None and endpoint.parent not in self.endpoints:
                raise ValueError(f"endpoint {name!r}: its parent {endpoint.parent!r} is not an endpoint")
        self.levels  # noqa: B018  (a circle of parents is found here)
        return self

    @property
    def uncontracted(self) -> list[str]:
        """The endpoints of whose documents nothing is asked but the key, where they repeat it."""
        return [name for name, one in self.endpoints.items() if one.detail is not None and not one.contract.written]

    @cached_property
    def told(self) -> dict[str, dict[str, str]]:
        """By parent, the children whose path its document tells, with the path's template."""
        found: dict[str, dict[str, str]] = {}
        for name, endpoint in self.endpoints.items():
            if endpoint.parent is not None and endpoint.detail is not None and "{parent." in endpoint.detail.path:
                found.setdefault(endpoint.parent, {})[name] = endpoint.detail.path
        return found

    @cached_property
    def levels(self) -> tuple[tuple[str, ...], ...]:
        """The endpoints in the order in which they can be crawled: parents before their children."""
        depth: dict[str, int] = {}

        def measure(name: str, trail: tuple[str, ...]) -> int:
            if name in trail:
                raise ValueError(f"the parents of endpoint {name!r} form a cycle")
            if name not in depth:
                parent = self.endpoints[name].parent
                depth[name] = 0 if parent is None else 1 + measure(parent, (*trail, name))
            return depth[name]

        deepest = max(measure(name, ()) for name in self.endpoints)
        return tuple(tuple(n for n in self.endpoints if depth[n] == d) for d in range(deepest + 1))

    @property
    def host(self) -> str:
        """The host that the rate belongs to."""
        return host_of(self.base_url)


def _check_header(name: str, value: str) -> str:
    if not value or not (value.isascii() and value.isprintable()):
        raise ValueError(f"{name} is empty or holds characters that no header can carry")
    return value


def _inherit_endpoint(defaults: dict[str, Any], own: Any) -> Any:
    """An endpoint with its defaults; a child does not inherit `list`."""
    if not isinstance(own, dict):
        return own
    child = {"list": None} if own.get("parent") is not None else {}
    return _inherit(defaults | child, own)


def _inherit(defaults: dict[str, Any], own: dict[str, Any], nullable: frozenset[str] = _NULLABLE) -> dict[str, Any]:
    """Deep merge. `null` takes a default away: Trawl's own is left, or nothing where that can be."""
    merged = dict(defaults)
    for name, value in own.items():
        inherited = merged.pop(name, None)
        if isinstance(value, dict) and isinstance(inherited, dict) and _same_kind(name, value, inherited):
            merged[name] = _inherit(inherited, value, _NULLABLE_IN.get(name, _NULLABLE))
        elif value is not None or name in nullable:
            merged[name] = value
    return merged


def _same_kind(name: str, value: dict[str, Any], inherited: dict[str, Any]) -> bool:
    """Whether two mappings describe the same kind of thing: another kind starts afresh."""
    tag = {"pagination": "kind", "contract": "type"}.get(name)
    return tag is None or tag not in value or value[tag] == inherited.get(tag)


def _check_template(path: str, known: set[str], prefixes: tuple[str, ...] = ()) -> str:
    """A path template, relative to the base address: a slash at its start says nothing."""
    for field in fields_of(path):
        if field not in known and not any(field.startswith(p) and field != p for p in prefixes):
            names = ", ".join([*sorted(known), *(f"{prefix}FIELD" for prefix in prefixes)])
            raise ValueError(f"{{{field}}} in {path!r} is unknown; known are {names or 'none here'}")
    if re.search(r"[{}]", re.sub(r"\{[^{}]*\}", "", path)):
        raise ValueError(f"{path!r} has an unmatched brace")
    if "://" in path or path.startswith("//"):
        raise ValueError(f"{path!r} must be relative to base_url")
    return path.removeprefix("/")
