"""What describes a source: one YAML file, checked here as a whole before any request.

The classes are the edge: they read what a person wrote, and say what is wrong with it in that person's words. What the
engine asks of an endpoint again and again (its key policy, its unordered paths) is prepared here once.
"""

import re
from functools import cached_property
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from .contract import Contract
from .keys import KeyPolicy, fields_of
from .values import Duration, parse_duration

NAME = r"[a-z][a-z0-9_]*"
ENDPOINT = r"[a-z0-9][a-z0-9_.-]*"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, ignored_types=(cached_property,))


def check_base_url(url: str) -> str:
    """An http(s) address without query, fragment and credentials; no slash at its end."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"{url!r} is no http(s) address; write for example https://api.example.com/v1")
    if parts.username or parts.password:
        raise ValueError("an address must not hold credentials; use `credentials` with a reference")
    if parts.query or parts.fragment:
        raise ValueError(f"{url!r} must not have a query or a fragment")
    try:
        parts.port  # noqa: B018  (reading it is the check)
    except ValueError:
        raise ValueError(f"{url!r} has no valid port") from None
    return url.rstrip("/")


BaseUrl = Annotated[str, AfterValidator(check_base_url)]
Ratio = Annotated[float, Field(ge=0, le=1)]


class Rate(_Strict):
    """How hard the host may be asked. The rate belongs to the host; Trawl spaces requests evenly."""

    requests_per_second: Annotated[float, Field(gt=0, le=10_000)] = 5
    connections: Annotated[int, Field(ge=1, le=256)] = 4


class Requests(_Strict):
    """The limits of one request."""

    timeout: Duration = parse_duration("30s")
    attempts: Annotated[int, Field(ge=1, le=20)] = 5
    max_bytes: Annotated[int, Field(ge=1024)] = 64 * 2**20
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
        if self.kind in {"header", "query"} and not self.name:
            raise ValueError(f"kind {self.kind} needs the `name` of the {self.kind}")
        return self


class VersionToken(_Strict):
    """What tells that the whole API changed: a document with a token, and a header that repeats it on every answer."""

    path: str
    field: str
    order: str | None = None
    header: str | None = None
    order_header: str | None = None
    max_age: Duration = parse_duration("24h")
    audit: Ratio = 0.01


class NoPages(_Strict):
    """The whole list in one answer."""

    kind: Literal["none"] = "none"


class OffsetPages(_Strict):
    """`limit` and `offset`; one snapshot where `limit` is at least the count."""

    kind: Literal["offset"]
    limit: Annotated[int, Field(ge=1)] = 100
    limit_param: str = "limit"
    offset_param: str = "offset"


class NumberedPages(_Strict):
    """`page=1`, `page=2`, ..., until a page is short or the count is reached."""

    kind: Literal["page"]
    size: Annotated[int, Field(ge=1)] = 100
    size_param: str | None = "per_page"
    page_param: str = "page"
    first: int = 1


class CursorPages(_Strict):
    """The body holds a token that the next request repeats."""

    kind: Literal["cursor"]
    cursor: str
    param: str


class LinkPages(_Strict):
    """The body (`field`) or the Link header (no `field`) holds the next page's address."""

    kind: Literal["link"]
    field: str | None = None


Pagination = Annotated[
    NoPages | OffsetPages | NumberedPages | CursorPages | LinkPages, Field(discriminator="kind")
]


class ListConfig(_Strict):
    """How an endpoint is listed."""

    path: str = "{endpoint}/"
    params: dict[str, str | int] = {}
    items: str = ""
    count: str | None = None
    pagination: Pagination = NoPages()

    @field_validator("path")
    @classmethod
    def _known_fields(cls, path: str) -> str:
        return _check_template(path, {"endpoint"})


class DetailConfig(_Strict):
    """How one record is fetched. `{key}`, `{label}`, `{endpoint}`, `{item.FIELD}` (of the list), `{parent.FIELD}`."""

    path: str = "{endpoint}/{key}/"
    params: dict[str, str | int] = {}

    @field_validator("path")
    @classmethod
    def _known_fields(cls, path: str) -> str:
        return _check_template(path, {"endpoint", "key", "label"}, prefixes=("item.", "parent."))


class KeyConfig(_Strict):
    """The field (or fields) of a list's item that identify the record; `pattern` cuts the key out of it."""

    field: str | list[str] = "id"
    pattern: str | None = None

    @field_validator("pattern")
    @classmethod
    def _one_group(cls, pattern: str | None) -> str | None:
        if pattern is None:
            return None
        try:
            groups = re.compile(pattern).groups
        except re.error as error:
            raise ValueError(f"{pattern!r} is no regular expression: {error}") from None
        if groups != 1:
            raise ValueError(f"{pattern!r} needs exactly one group, the key, for example '/(\\d+)/$'")
        return pattern


class Threshold(_Strict):
    """More than this share *and* more than this number."""

    ratio: Ratio
    count: Annotated[int, Field(ge=0)]

    def exceeded(self, number: int, of: int) -> bool:
        return number > self.count and number > self.ratio * of


class ChangedThreshold(Threshold):
    action: Literal["alarm", "hold"] = "alarm"


class Guards(_Strict):
    """When an endpoint's news is too bad to be believed."""

    missing: Threshold = Threshold(ratio=0.10, count=5)
    changed: ChangedThreshold = ChangedThreshold(ratio=0.50, count=50)
    failed: Threshold = Threshold(ratio=0.10, count=5)
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
        if self.detail is not None and self.parent is None and "{parent." in self.detail.path:
            raise ValueError("`{parent.FIELD}` needs a `parent`")
        return self

    @cached_property
    def key_policy(self) -> KeyPolicy:
        fields = (self.key.field,) if isinstance(self.key.field, str) else tuple(self.key.field)
        return KeyPolicy(fields, re.compile(self.key.pattern) if self.key.pattern else None)

    @cached_property
    def unordered_paths(self) -> tuple[tuple[str, ...], ...]:
        """Innermost first, so that an outer list is sorted by what its items mean."""
        return tuple(sorted((tuple(path.split(".")) for path in self.unordered), key=len, reverse=True))


class SourceConfig(_Strict):
    """An API. `defaults` holds for every endpoint that does not say otherwise."""

    name: Annotated[str, Field(pattern=f"^{NAME}$", max_length=40)]
    title: str = ""
    base_url: BaseUrl
    user_agent: str | None = None
    headers: dict[str, str] = {}
    rate: Rate = Rate()
    requests: Requests = Requests()
    credentials: Credentials | None = None
    version_token: VersionToken | None = None
    defaults: EndpointConfig = EndpointConfig()
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
            name: _inherit(defaults, {} if endpoint is None else endpoint)
            for name, endpoint in data["endpoints"].items()
        }
        return data | {"endpoints": endpoints}

    @field_validator("headers")
    @classmethod
    def _no_secrets(cls, headers: dict[str, str]) -> dict[str, str]:
        for name in headers:
            if name.lower() in {"authorization", "cookie", "proxy-authorization", "x-api-key"}:
                raise ValueError(f"{name} holds a secret: use `credentials` with a reference")
        return headers

    @model_validator(mode="after")
    def _related(self) -> Self:
        for name, endpoint in self.endpoints.items():
            if not re.fullmatch(ENDPOINT, name):
                raise ValueError(f"endpoint name {name!r}: use lower-case letters, digits, '-', '_' and '.'")
            if endpoint.parent is not None and endpoint.parent not in self.endpoints:
                raise ValueError(f"endpoint {name!r}: its parent {endpoint.parent!r} is no endpoint")
        self.levels  # noqa: B018  (a circle of parents is found here)
        return self

    @cached_property
    def levels(self) -> tuple[tuple[str, ...], ...]:
        """The endpoints in the order in which they can be crawled: parents before their children."""
        depth: dict[str, int] = {}

        def measure(name: str, trail: tuple[str, ...]) -> int:
            if name in trail:
                raise ValueError(f"the parents of endpoint {name!r} form a circle")
            if name not in depth:
                parent = self.endpoints[name].parent
                depth[name] = 0 if parent is None else 1 + measure(parent, (*trail, name))
            return depth[name]

        deepest = max(measure(name, ()) for name in self.endpoints)
        return tuple(tuple(n for n in self.endpoints if depth[n] == d) for d in range(deepest + 1))

    @property
    def host(self) -> str:
        return urlsplit(self.base_url).netloc


def _inherit(defaults: dict[str, Any], own: Any) -> Any:
    """Deep merge; a child does not inherit `list`, and `null` takes a default away."""
    if not isinstance(own, dict):
        return own
    merged = {key: value for key, value in defaults.items() if not (key == "list" and "parent" in own)}
    if "parent" in own:
        merged["list"] = None
    for key, value in own.items():
        inherited = merged.get(key)
        merged[key] = _inherit(inherited, value) if _same_kind(value, inherited) else value
    return merged


def _same_kind(value: Any, inherited: Any) -> bool:
    """Whether two mappings describe the same kind of thing: another `kind` or `type` starts afresh."""
    if not isinstance(value, dict) or not isinstance(inherited, dict):
        return False
    return all(value[tag] == inherited.get(tag) for tag in ("kind", "type") if tag in value)


def _check_template(path: str, known: set[str], prefixes: tuple[str, ...] = ()) -> str:
    for field in fields_of(path):
        if field not in known and not field.startswith(prefixes or ("\0",)):
            names = ", ".join([*sorted(known), *(f"{prefix}FIELD" for prefix in prefixes)])
            raise ValueError(f"{{{field}}} in {path!r} is unknown; known are {names}")
    if "://" in path or path.startswith("//"):
        raise ValueError(f"{path!r} must be relative to base_url")
    return path
