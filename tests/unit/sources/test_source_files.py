"""A source file is read once, and every error names file, path, value and what would be right."""

from datetime import timedelta
from operator import attrgetter
from pathlib import Path

import pytest

from tests.crawling import count, run
from tests.unit.crawl.test_shapes import serving
from trawl.model.errors import ConfigurationError
from trawl.sources import load_source, parse_source, source_names

START = "name: api\nbase_url: https://h/v1\nendpoints: {a: {}}\n"


def said(content: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        parse_source(content, "my.yaml")
    assert caught.value.remedy
    return caught.value.message


@pytest.mark.parametrize("name", source_names())
def test_every_source_that_ships_can_be_loaded_by_its_name(name: str) -> None:
    assert load_source(name).name == name


def test_pokeapi_has_every_endpoint_and_the_encounters_as_a_child() -> None:
    source = load_source("pokeapi")
    assert len(source.endpoints) == 50
    assert source.levels[1] == ("pokemon-encounters",)
    assert source.endpoints["pokemon"].key_policy.key_of({"url": "https://pokeapi.co/api/v2/x/-1/"}) == "-1"
    assert source.endpoints["pokemon-encounters"].contract.type == "array"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (START + "rat: {}", "my.yaml: rat: unknown key; did you mean 'rate'?"),
        (START + "rate: {request_per_second: 1}", "my.yaml: rate.request_per_second: unknown key; did you mean 'requests_per_second'?"),
        (START + "rate: {zzz: 1}", "my.yaml: rate.zzz: unknown key; known here: requests_per_second, connections"),
        (START + "rate: {connections: four}", "my.yaml: rate.connections: should be an integer (it is 'four')"),
        (START + "rate: 5", "my.yaml: rate: should be a mapping (it is 5)"),
        (START + "requests: {timeout: .inf}", "my.yaml: requests.timeout: inf is not a duration; write for example 90s, 15m, 24h or 6d"),
        (START + "defaults: {list: {pagination: {kind: offset, limt: 5}}}", "my.yaml: defaults.list.pagination.limt: unknown key; did you mean 'limit'?"),
        (START + "defaults: {list: {pagination: {kind: cursor, cursor: a, parm: b}}}", "my.yaml: defaults.list.pagination.param: is missing\nmy.yaml: defaults.list.pagination.parm: unknown key; did you mean 'param'?"),
        (START + "defaults: {list: {pagination: {limit: 5}}}", "my.yaml: defaults.list.pagination: needs a `kind`: none, offset, page, cursor or link"),
        (START + "defaults: {guards: {changed: {ratio: 0.1, count: 1, action: stop}}}", "my.yaml: defaults.guards.changed.action: should be 'alarm' or 'hold' (it is 'stop')"),
        (START + "defaults: {unordered: a}", "my.yaml: defaults.unordered: should be a list (it is 'a')"),
        ("name: api\nbase_url: ftp://h\nendpoints: {a: }", "my.yaml: base_url: 'ftp://h' is not an http(s) address; write for example https://api.example.com/v1"),
        ("name: api\nbase_url: https://h\nendpoints: {list: {labl: x}}", "my.yaml: endpoints.list.labl: unknown key; did you mean 'label'?"),
        ("name: api\nbase_url: https://h\nendpoints: {link: {list: {prams: x}}}", "my.yaml: endpoints.link.list.prams: unknown key; did you mean 'params'?"),
        (
            "name: api\nbase_url: https://h\nendpoints: {a: {list: {path: a, pagination: ofset}}}",
            "my.yaml: endpoints.a.list.pagination: should be a mapping with a `kind`: none, offset, page, cursor or link (it is 'ofset')",
        ),
        ("name: api\nbase_url: https://h\nendpoints: {a: 5}", "my.yaml: endpoints.a: should be a mapping (it is 5)"),
        ("name: api\nbase_url: https://h", "my.yaml: endpoints: is missing"),
        ("name: api\nbase_url: https://h\nendpoints: {a: {parent: b}, b: {parent: a}}", "my.yaml: the parents of endpoint 'a' form a cycle"),
        ("", "my.yaml: a source is a mapping with name, base_url and endpoints"),
        ("- a", "my.yaml: a source is a mapping with name, base_url and endpoints"),
    ],
)  # fmt: skip
def test_an_error_names_file_path_value_and_what_would_be_right(content: str, message: str) -> None:
    assert said(content) == message


def test_every_fault_is_named_at_once() -> None:
    assert said(START + "rat: 1\nrate: {connections: 0}\ntitel: x").count("my.yaml: ") == 3


def test_a_fault_in_the_defaults_is_said_once_and_an_endpoints_own_beside_it() -> None:
    content = "name: api\nbase_url: https://h\ndefaults: {lable: x}\nendpoints: {a: , b: {contrct: {}}, c: }"
    assert said(content).splitlines() == [
        "my.yaml: defaults.lable: unknown key; did you mean 'label'?",
        "my.yaml: endpoints.b.contrct: unknown key; did you mean 'contract'?",
    ]


@pytest.mark.parametrize(
    "content",
    [
        START + "credentials: s3cret",
        START + "credentials: {token: s3cret}",
        START + "credentials: {env: 's3cret is here'}",
        START + "credentials: {kind: s3cret, env: A}",
        START + "headers: {Authorization: s3cret}",
        START + "headers: {X: [s3cret]}",
        START + "headers: s3cret",
        START + "defaults: {list: {params: {api_key: s3cret}}}",
        START + "defaults: {list: {params: {key: [s3cret]}}}",
        START.replace("https://h", "https://u:s3cret@h"),
        START.replace("https://h/v1", "https://h/v1?key=s3cret"),
        START.replace("https://h/v1", "[https://u:s3cret@h/v1]"),
    ],
)
def test_no_error_shows_a_secret_that_stands_in_the_wrong_place(content: str) -> None:
    assert "s3cret" not in said(content)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("a: 1\na: 2", "the key 'a' appears twice"),
        (START + "rate: {connections: 1, connections: 2}", "the key 'connections' appears twice"),
        ("a: [", "not YAML"),
        ("a: *b", "undefined alias"),
        ("a: \x00", "not YAML"),
        ("? [1]\n: 2", "a key is a text"),
        ("1: a\n'1': b", "the key '1' appears twice"),
        (START + "rate: {connections: !!int four}", "'four' cannot be read as int"),
        (START + "rate: {connections: !!bool 2}", "'2' cannot be read as bool"),
        (START + f"rate: {{connections: {'9' * 5_000}}}", "cannot be read as int"),
        (START + "rat: !!timestamp 2026-99-99", "tag:yaml.org,2002:timestamp"),
        (START + "rat: !!binary '%'", "tag:yaml.org,2002:binary"),
        (START + "rat: !!set {a}", "tag:yaml.org,2002:set"),
        (START + "rat: &a [*a]", "recursive"),
        (START + "rat: 0x" + "f" * 5_000, "cannot be read as int"),
        ('a: "\\U00110000"', "not YAML"),
        ("a: &a0 [1, 1]\n" + "".join(f"b{i}: &a{i + 1} [*a{i}, *a{i}]\n" for i in range(60)), "its aliases stand for"),
        ("a: !!python/object/apply:os.system [ls]", "not YAML"),
        ("---\na: 1\n---\nb: 2", "not YAML"),
        ("[" * 1_000, "nested too deep"),
    ],
)
def test_what_is_no_plain_yaml_is_refused(content: str, reason: str) -> None:
    assert reason in said(content)


def test_anchors_and_merges_are_yaml() -> None:
    source = parse_source(
        """
        name: api
        base_url: https://h
        endpoints:
          a: &common
            label: title
            freshness: 1h
          b:
            <<: *common
            label: name
        """,
        "my.yaml",
    )
    assert (source.endpoints["b"].label, source.endpoints["b"].freshness) == (
        "name",
        source.endpoints["a"].freshness,
    )


SENT = ("012", "0x1F", "0o17", "1e3", "1_000", "12:30", "yes", "Off", "2026-01-01", "1.50", "-0", "+7", "True", "5")


def test_a_parameter_is_sent_as_it_is_written(tmp_path: Path) -> None:
    params = ", ".join(f"p{place}: {text}" for place, text in enumerate(SENT))
    source = parse_source(
        f"""
        name: api
        base_url: https://h
        headers: {{X-Day: 2026-01-01, X-Zip: 012}}
        endpoints:
          a:
            list: {{path: a, params: &written {{{params}}}}}
            detail: {{path: "a/{{key}}", params: *written}}
        """,
        "my.yaml",
    )
    query = "&".join(f"p{place}={text}" for place, text in enumerate(SENT)).replace("+", "%2B")
    with serving({f"a?{query}": [{"id": 1}], f"a/1?{query}": {"id": 1}}) as (url, answers):
        assert count(run(tmp_path, url, source)) == {"new": 1}
    assert answers.asked == [f"a?{query}", f"a/1?{query}"]
    assert source.headers == {"X-Day": "2026-01-01", "X-Zip": "012"}


@pytest.mark.parametrize(
    ("content", "place", "value"),
    [
        ("rate: {connections: 012}", "rate.connections", 12),
        ("rate: {connections: 0x1F}", "rate.connections", 31),
        ("rate: {connections: 0o17}", "rate.connections", 15),
        ("rate: {requests_per_second: 1e3}", "rate.requests_per_second", 1000),
        ("rate: {requests_per_second: 5}", "rate.requests_per_second", 5),
        ("version_token: {path: p, field: on, audit: 0.10}", "version_token.audit", 0.1),
        ("version_token: {path: p, field: on, audit: 1}", "version_token.field", "on"),
        ("requests: {timeout: 90}", "requests.timeout", timedelta(seconds=90)),
        ("title: 012", "title", "012"),
        ("title: 2026-01-01", "title", "2026-01-01"),
        ("title: 12:30", "title", "12:30"),
        ("title: 'null'", "title", "null"),
        ("user_agent: 1.0", "user_agent", "1.0"),
        ("defaults: {label: null}", "defaults.label", None),
        ("defaults: {label: ~}", "defaults.label", None),
        ("defaults: {label: }", "defaults.label", None),
        ("defaults: {label: n}", "defaults.label", "n"),
        ("defaults: {key: {field: 1}}", "defaults.key.field", "1"),
        ("defaults: {key: {field: [1, on]}}", "defaults.key.field", ["1", "on"]),
        ("defaults: {unordered: [1.0, yes]}", "defaults.unordered", ("1.0", "yes")),
        ("defaults: {contract: {fields: {on: string, 1: integer}}}", "defaults.contract.fields", {"on": "string", "1": "integer"}),
        ("defaults: {list: {pagination: {kind: cursor, cursor: 1, param: off}}}", "defaults.list.pagination.param", "off"),
        ("defaults: {list: {pagination: {kind: page, size_param: null, first: 00}}}", "defaults.list.pagination.first", 0),
    ],
)  # fmt: skip
def test_a_value_is_read_as_what_its_key_wants(content: str, place: str, value: object) -> None:
    assert attrgetter(place)(parse_source(START + content, "my.yaml")) == value


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("rate: {connections: 1_000}", "rate.connections: should be an integer (it is '1_000')"),
        ("rate: {connections: yes}", "rate.connections: should be an integer (it is 'yes')"),
        ("requests: {timeout: 12:30}", "requests.timeout: '12:30' is not a duration; write for example 90s, 15m, 24h or 6d"),
        ("requests: {timeout: 2026-01-01}", "requests.timeout: '2026-01-01' is not a duration; write for example 90s, 15m, 24h or 6d"),
        ("defaults: {list: {params: {a: null}}}", "defaults.list.params.a: a parameter is text or an integer; write what is to be sent in quotes"),
    ],
)  # fmt: skip
def test_what_only_yaml_11_takes_for_a_number_is_none(content: str, message: str) -> None:
    assert said(START + content) == f"my.yaml: {message}"


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (START + "defaults: {list: {params: {q: '${TOKEN}'}}}", "defaults.list.params.q"),
        (START + 'headers: {X: "Bearer ${TOKEN:-none}"}', "headers.X"),
        (START + "credentials: {env: '${TOKEN}'}", "credentials.env"),
        (START + "defaults: {unordered: [a, '${TOKEN}']}", "defaults.unordered.1"),
        (START.replace("https://h", "https://${TOKEN}"), "base_url"),
        (START.replace("{a: {}}", "{a: {detail: {path: 'a/${TOKEN}'}}}"), "endpoints.a.detail.path"),
    ],
)
def test_a_variable_is_refused_and_never_sent(content: str, place: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_source(content, "my.yaml")
    assert caught.value.message == f"my.yaml: {place}: ${{TOKEN}} would be sent literally"
    for remedy in ("credentials: {env: TOKEN}", "TRAWL_SOURCE_API_BASE_URL"):
        assert remedy in str(caught.value.remedy)


def test_a_dollar_alone_is_no_variable() -> None:
    source = parse_source(START + "defaults: {list: {params: {$filter: $x eq 1, re: 'a${2}'}}}  # ${X}", "my.yaml")
    assert source.endpoints["a"].list is not None
    assert source.endpoints["a"].list.params == {"$filter": "$x eq 1", "re": "a${2}"}


def test_a_source_is_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(START, encoding="utf-8")
    assert load_source(path).name == load_source(str(path)).name == "api"


def test_an_unknown_name_is_refused_with_the_one_that_was_meant() -> None:
    with pytest.raises(ConfigurationError, match="unknown source 'pokapi'") as caught:
        load_source("pokapi")
    assert "did you mean 'pokeapi'?" in str(caught.value)


@pytest.mark.parametrize("name", ["nowhere.yaml", "", "a\x00.yaml"])
def test_a_file_that_cannot_be_read_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_source(name)
    assert caught.value.remedy


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "device.yaml").symlink_to("/dev/null")
    for path in tmp_path.glob("*.yaml"):
        with pytest.raises(ConfigurationError, match="cannot read the source file"):
            load_source(path)
