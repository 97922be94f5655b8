"""A source is checked as a whole before any request, and its endpoints inherit what it says once."""

from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from trawl.model.config import (
    EndpointConfig,
    Guards,
    MassThreshold,
    SourceConfig,
    Threshold,
    check_base_url,
    host_of,
)


def source(**more: Any) -> SourceConfig:
    return SourceConfig.model_validate({"name": "api", "base_url": "https://h/v1", "endpoints": {"a": None}} | more)


def endpoint(own: Any, defaults: dict[str, Any] | None = None) -> EndpointConfig:
    return source(endpoints={"a": own, "root": {"list": {"items": "x"}}}, defaults=defaults or {}).endpoints["a"]


def refused(**more: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        source(**more)
    return str(caught.value)


# -- addresses ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://api.example.com/v1/", "https://api.example.com/v1"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("http://[::1]:8000/a", "http://[::1]:8000/a"),
        ("HTTPS://Example.com", "HTTPS://Example.com"),
        ("https://例え.jp/ä", "https://例え.jp/ä"),
    ],
)
def test_an_http_address_is_kept_without_its_last_slash(url: str, kept: str) -> None:
    assert check_base_url(url) == kept


@pytest.mark.parametrize(
    "url",
    [
        "",
        "api.example.com",
        "/v1",
        "ftp://h/x",
        "file:///etc/passwd",
        "http://",
        "http:///x",
        "https://h:99999/",
    ]
    + ["https://h:x/", "http://[", "https://h/v1?", "https://h/v1#", "https://h/?a=1", "https://h/v 1"]
    + ["https://a b/", "https://h\\@evil/", "https://h/\x00", "https://@h/", "https://u:p@h/", " https://h"],
)
def test_what_is_no_base_address_is_refused(url: str) -> None:
    with pytest.raises(ValueError):
        check_base_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://user:s3cret@h/",
        "ftp://user:s3cret@h/",
        "https://h/?key=s3cret",
        "https://h/#s3cret",
        "x://s3cret@[",
    ],
)
def test_a_refused_address_does_not_show_its_secret(url: str) -> None:
    with pytest.raises(ValueError) as caught:
        check_base_url(url)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://API.example.com/v1", "api.example.com"),
        ("https://h:443/", "h"),
        ("http://h:80/", "h"),
        ("http://h:443/", "h:443"),
        ("http://[::1]:8000/", "[::1]:8000"),
    ],
)
def test_a_host_has_one_name_whatever_the_spelling(url: str, host: str) -> None:
    assert source(base_url=url).host == host_of(url) == host


# -- inheritance -------------------------------------------------------------------------------------------


def test_an_endpoint_inherits_every_default() -> None:
    found = endpoint(None, {"freshness": "1h", "label": "name", "contract": {"fields": {"id": "integer"}}})
    assert (found.freshness, found.label, found.contract.fields) == (
        timedelta(hours=1),
        "name",
        {"id": "integer"},
    )


def test_an_endpoints_own_word_is_merged_deeply() -> None:
    defaults = {"list": {"items": "results", "params": {"a": 1}}, "contract": {"fields": {"id": "integer"}}}
    found = endpoint(
        {"list": {"params": {"b": 2}}, "contract": {"fields": {"kind": "string", "type": "string"}}}, defaults
    )
    assert found.list is not None
    assert (found.list.items, found.list.params) == ("results", {"a": 1, "b": 2})
    assert found.contract.fields == {"id": "integer", "kind": "string", "type": "string"}


def test_a_list_replaces_the_inherited_one() -> None:
    assert endpoint({"unordered": []}, {"unordered": ["a"]}).unordered == ()
    assert endpoint({"unordered": ["b"]}, {"unordered": ["a"]}).unordered == ("b",)


@pytest.mark.parametrize(
    ("own", "read", "default"),
    [
        ({"label": None}, lambda e: e.label, None),
        ({"contract": None}, lambda e: e.contract.fields, {}),
        ({"contract": {"fields": {"id": None, "list": None}}}, lambda e: e.contract.fields, {}),
        ({"freshness": None}, lambda e: e.freshness, timedelta(hours=24)),
        ({"unordered": None}, lambda e: e.unordered, ()),
        ({"key": {"pattern": None}}, lambda e: (e.key.field, e.key.pattern), ("url", None)),
        ({"list": {"pagination": None}}, lambda e: e.list.pagination.kind, "none"),
        ({"list": {"params": {"a": None}}}, lambda e: e.list.params, {}),
        ({"detail": None}, lambda e: e.detail, None),
    ],
)
def test_null_takes_a_default_away(own: dict[str, Any], read: Any, default: object) -> None:
    defaults = {
        "label": "name",
        "freshness": "1h",
        "unordered": ["a"],
        "key": {"field": "url", "pattern": r"/(\d+)/$"},
        "contract": {"fields": {"id": "integer", "list": "array"}},
        "list": {"params": {"a": 1}, "pagination": {"kind": "offset", "limit": 7}},
        "detail": {"path": "x/{key}"},
    }
    assert read(endpoint({}, defaults)) != default
    assert read(endpoint(own, defaults)) == default


def test_another_kind_starts_afresh() -> None:
    defaults = {
        "list": {"pagination": {"kind": "offset", "limit": 7}},
        "contract": {"fields": {"id": "integer"}},
    }
    found = endpoint({"list": {"pagination": {"kind": "page"}}, "contract": {"type": "array"}}, defaults)
    assert found.list is not None
    assert (found.list.pagination.kind, found.contract.fields) == ("page", {})
    same = endpoint({"list": {"pagination": {"kind": "offset", "limit_param": "n"}}}, defaults)
    assert same.list is not None
    assert same.list.pagination.model_dump(exclude_unset=True) == {"kind": "offset", "limit": 7, "limit_param": "n"}


def test_a_list_that_ends_by_its_count_needs_one() -> None:
    pagination = {"kind": "offset", "last_page": "count"}
    with pytest.raises(ValueError, match="needs a `count`"):
        endpoint({"list": {"pagination": pagination}})
    assert endpoint({"list": {"pagination": pagination, "count": "total"}}).list is not None


def test_a_child_does_not_inherit_the_list() -> None:
    assert endpoint({"parent": "root"}, {"list": {"items": "results"}}).list is None
    own = endpoint({"parent": None}, {"list": {"items": "results"}}).list
    assert own is not None
    assert own.items == "results"


def test_defaults_need_not_be_an_endpoint_themselves() -> None:
    found = source(
        defaults={"list": None, "detail": {"path": "{parent.url}"}},
        endpoints={"a": {"list": {"items": "x"}, "detail": {"path": "{key}"}}, "b": {"parent": "a"}},
    )
    assert found.endpoints["b"].detail is not None
    assert found.endpoints["b"].detail.path == "{parent.url}"


# -- relations ---------------------------------------------------------------------------------------------


def test_parents_come_before_their_children() -> None:
    found = source(endpoints={"c": {"parent": "b"}, "b": {"parent": "a"}, "a": None, "d": None})
    assert found.levels == (("a", "d"), ("b",), ("c",))


@pytest.mark.parametrize(
    "parents",
    [{"a": "a"}, {"a": "b", "b": "a"}, {"a": "b", "b": "c", "c": "a"}, {"a": "b", "b": "c", "c": "b"}],
)
def test_a_circle_of_parents_is_refused(parents: dict[str, str]) -> None:
    assert "form a cycle" in refused(endpoints={name: {"parent": parent} for name, parent in parents.items()})


def test_an_unknown_parent_is_refused() -> None:
    assert "its parent 'b' is not an endpoint" in refused(endpoints={"a": {"parent": "b"}})


@pytest.mark.parametrize(
    ("own", "reason"),
    [
        ({"list": None}, "needs a `list`, or a `parent`"),
        ({"parent": "b", "detail": None}, "a child needs a `detail`"),
        ({"detail": {"path": "{parent.url}"}}, "needs a `parent`"),
        ({"parent": "b", "detail": {"path": "{item.url}"}}, "needs a `list`"),
        ({"detail": {"path": "{endpoint}/one"}}, "the same for every record"),
        ({"detail": {"path": "{kee}"}}, "known are endpoint, key, label, item.FIELD, parent.FIELD"),
        ({"detail": {"path": "{item.}"}}, "is unknown"),
        ({"detail": {"path": "{}"}}, "is unknown"),
        ({"detail": {"path": "{key"}}, "an unmatched brace"),
        ({"detail": {"path": "https://h/{key}"}}, "relative to base_url"),
        ({"detail": {"path": "//h/{key}"}}, "relative to base_url"),
        ({"list": {"path": "{key}"}}, "known are endpoint"),
        ({"key": {"pattern": "("}}, "not a regular expression"),
        ({"key": {"pattern": "x"}}, "exactly one group"),
        ({"key": {"pattern": "(x)(y)"}}, "exactly one group"),
        ({"key": {"field": []}}, "neither a field's path"),
        ({"key": {"field": 5}}, "neither a field's path"),
        ({"unordered": "a"}, "valid tuple"),
        ({"list": {"params": {"a": True}}}, "in quotes"),
        ({"list": {"params": {"a": 1.5}}}, "in quotes"),
        ({"list": {"params": {"Api_Key": "x"}}}, "holds a secret"),
        ({"freshness": "-1s"}, "not a duration"),
        ({"guards": {"missing": {"ratio": 1.5, "count": 1}}}, "less than or equal to 1"),
        ({"guards": {"missing": {"ratio": True, "count": 1}}}, "valid number"),
    ],
)
def test_an_endpoint_that_cannot_work_is_refused(own: dict[str, Any], reason: str) -> None:
    assert reason in refused(endpoints={"a": own, "b": None})


@pytest.mark.parametrize("name", ["A", "", "..", "a/b", "-a", "é", "a b"])
def test_an_endpoints_name_is_plain(name: str) -> None:
    assert "use lower-case letters" in refused(endpoints={name: None})


@pytest.mark.parametrize("name", ["Api", "", "1a", "a-b", "a" * 41, "a\n"])
def test_a_sources_name_is_plain(name: str) -> None:
    assert "name" in refused(name=name)


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"endpoints": {}}, "at least 1"),
        ({"endpoints": []}, "valid dictionary"),
        ({"rate": {"requests_per_second": 0}}, "greater than or equal to 0.00001"),
        ({"rate": {"requests_per_second": float("nan")}}, "less than or equal"),
        ({"rate": {"requests_per_second": "5"}}, "valid number"),
        ({"rate": {"connections": True}}, "valid integer"),
        ({"requests": {"timeout": "0s"}}, "no time for an answer"),
        ({"requests": {"max_retry_after": float("inf")}}, "not a duration"),
        ({"version_token": {"path": "{endpoint}/", "field": "x"}}, "known are none here"),
        ({"version_token": {"path": "https://x/y", "field": "x"}}, "relative to base_url"),
        ({"user_agent": "a\nb"}, "no header can carry"),
        ({"headers": {"X A": "b"}}, "not a valid header name"),
        ({"headers": {"X": "ü"}}, "no header can carry"),
    ],
)
def test_a_source_that_cannot_work_is_refused(more: dict[str, Any], reason: str) -> None:
    assert reason in refused(**more)


# -- secrets -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["Authorization", "cookie", "X-API-Key", "Private-Token", "x_auth_token"])
def test_a_secret_inline_is_refused(name: str) -> None:
    assert "use `credentials` with a reference" in refused(headers={name: "x"})


@pytest.mark.parametrize(
    ("credentials", "reason"),
    [
        ({}, "exactly one reference"),
        ({"env": "A", "file": "b"}, "exactly one reference"),
        ({"token": "x"}, "Extra inputs"),
        ({"env": "Bearer x"}, "name of an environment variable"),
        ({"kind": "header", "env": "A"}, "needs the `name`"),
        ({"kind": "query", "env": "A"}, "needs the `name`"),
        ({"kind": "header", "env": "A", "name": "X A"}, "not a valid header name"),
        ({"kind": "digest", "env": "A"}, "'bearer', 'basic', 'header' or 'query'"),
    ],
)
def test_credentials_are_one_reference(credentials: dict[str, str], reason: str) -> None:
    assert reason in refused(credentials=credentials)


# -- what is prepared --------------------------------------------------------------------------------------


def test_a_path_of_the_source_is_below_its_base_with_or_without_a_slash() -> None:
    found = endpoint({"list": {"path": "/users"}, "detail": {"path": "/users/{key}"}})
    assert found.list is not None
    assert found.detail is not None
    assert (found.list.path, found.detail.path) == ("users", "users/{key}")


def test_unordered_paths_are_split_innermost_first() -> None:
    assert endpoint({"unordered": ["a", "a.b.c", "a.b"]}).unordered_paths == (
        ("a", "b", "c"),
        ("a", "b"),
        ("a",),
    )


def test_a_guard_needs_more_than_its_share_and_more_than_its_number() -> None:
    guard = Threshold(ratio=0.1, count=5)
    assert [guard.exceeded(n, of) for n, of in ((5, 10), (6, 10), (10, 100), (11, 100), (0, 0))] == [
        False,
        True,
        False,
        True,
        False,
    ]


@pytest.mark.parametrize(
    ("number", "of", "exceeded"),
    [(50, 100, False), (51, 100, True), (50, 60, False), (55, 60, True), (36, 40, False), (37, 40, True)]
    + [(5, 5, True), (4, 5, False), (4, 4, False), (0, 0, False)],
)
def test_a_mass_is_more_than_its_share_and_its_number_or_nearly_all_of_several(
    number: int, of: int, exceeded: bool
) -> None:
    assert Guards().changed.exceeded(number, of) == Guards().quarantined.exceeded(number, of) == exceeded


def test_a_share_of_one_takes_a_guard_away() -> None:
    assert not MassThreshold(ratio=1, count=0).exceeded(40, 40)


def test_a_source_survives_its_own_json() -> None:
    found = source(
        requests={"timeout": "1000001s", "max_backoff": "250s"},
        defaults={"freshness": 0.5, "list": {"pagination": {"kind": "page", "size_param": None, "size": 3}}},
    )
    again = SourceConfig.model_validate_json(found.model_dump_json())
    assert again == found
