"""Set-up finds what is wrong with its file before it asks anybody, and names the server where that is what is wrong."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from trawl.cli.app import invoke
from trawl.replica import running
from trawl.replica.answers import reply


@contextmanager
def server(status: int = 200, body: bytes = b"{}") -> Iterator[list[str]]:
    """An API that gives everybody the same answer; the value is what it was asked."""
    asked: list[str] = []

    async def app(scope: Any, _receive: Any, send: Any) -> None:
        asked.append(scope["path"])
        await reply(send, (status, [], body))

    with (
        running(app) as url,
        temporary_settings({PREFECT_API_URL: url.removesuffix("/v2"), PREFECT_CLIENT_MAX_RETRIES: 0}),
    ):
        yield asked


def refused(capsys: pytest.CaptureFixture[str], code: int, *arguments: str) -> str:
    assert invoke(["setup", *arguments]) == code
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert "bug in Trawl" not in said
    return said


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("sources: {pokeapi: {discover: {cron: 61 * * * *}}}", ["sources.pokeapi.discover.0.cron", "'61 * * * *'", "minute (0-59)"]),
        ("sources: {pokeapi: {refresh: {cron: 0 0 30 2 *}}}", ["sources.pokeapi.refresh.0.cron", "matches no date"]),
        ("sources: {pokeapi: {refresh: {cron: R * * * *}}}", ["sources.pokeapi.refresh.0.cron", "not a cron"]),
        ("sources: {pokeapi: {refresh: {cron: 0 0 3 * * *}}}", ["sources.pokeapi.refresh.0.cron", "not a cron"]),
        ("sources: {pokeapi: {discover: {cron: '', timezone: Europe/Berln}}}", ["sources.pokeapi.discover.0.timezone", "did you mean 'Europe/Berlin'?"]),
        ("sources: {pokeapi: {discover: {cron: '', timezone: ''}}}", ["sources.pokeapi.discover.0.timezone", "Europe/Berlin"]),
        ("sources: {pokapi: {}}", ["sources.pokapi", "did you mean 'pokeapi'?", "known are: pokeapi"]),
        ("sources: {pokeapi: {rate: -1}}", ["sources.pokeapi.rate", "-1", "unlimited"]),
        ("sources: {pokeapi: {rate: [1]}}", ["sources.pokeapi.rate"]),
        ("sources: {pokeapi: {public_calls: 0}}", ["sources.pokeapi.public_calls"]),
        ("sources: {pokeapi: {discovr: {}}}", ["did you mean 'discover'?"]),
        ("sources: [pokeapi]", ["sources", "should be a mapping"]),
        ("pool: {name: a/b}", ["pool.name", "'a/b'"]),
        ("pool: {type: docker}", ["pool.type", "'kubernetes' or 'process'"]),
        ("queues: ['']", ["queues.0"]),
        ("sources: {pokeapi: {refresh: {interval: 6h, anchor: yesterday}}}", ["sources.pokeapi.refresh.0.anchor", "'yesterday'", "2026-01-01T00:30:00"]),
        ("sources: {pokeapi: {refresh: {interval: 5s}}}", ["sources.pokeapi.refresh.0.interval", "at least 1m"]),
        ("sources: {pokeapi: {refresh: {rrule: FREQ=SOMETIMES}}}", ["sources.pokeapi.refresh.0.rrule", "FREQ=WEEKLY"]),
        ("sources: {pokeapi: {refresh: {rrule: FREQ=DAILY;UNTIL=20200101T000000}}}", ["sources.pokeapi.refresh.0.rrule", "has no future run"]),
        ("sources: {pokeapi: {refresh: {rrule: FREQ=DAILY;UNTIL=20990101T000000Z}}}", ["sources.pokeapi.refresh.0.rrule", "without Z"]),
        ("sources: {pokeapi: {refresh: {cron: '1 * * * *', interval: 1h}}}", ["sources.pokeapi.refresh.0", "one of cron, interval and rrule"]),
        ("sources: {pokeapi: {refresh: [{cron: 1 * * * *, slug: a}, {cron: 2 * * * *, slug: a}]}}", ["sources.pokeapi.refresh", "'a' appears twice"]),
        ("sources: {pokeapi: {refresh: {cron: 1 * * * *, parameters: {endpoint: [a]}}}}", ["sources.pokeapi: schedule refresh: parameters.endpoint", "did you mean 'endpoints'?"]),
        ("sources: {pokeapi: {refresh: {cron: 1 * * * *, parameters: {force: often}}}}", ["sources.pokeapi: schedule refresh: parameters.force", "'often'"]),
        ("sources: {pokeapi: {job_variables: {commnd: x}}}", ["sources.pokeapi: job_variables.commnd", "did you mean 'command'?"]),
        ("sources: {pokeapi: {job_variables: {stream_output: x}}}", ["sources.pokeapi: job_variables.stream_output", "'x'"]),
        ("shard: {image: x}", ["shard: job_variables.image", "no such variable"]),
        ("secrets: {key: {value: s3cret}}", ["secrets.key.value", "unknown key"]),
        ("secrets: {key: {env: TRAWL_NOWHERE}}", ["secrets.key", "TRAWL_NOWHERE is not set"]),
        ("secrets: {key: {file: /nowhere}}", ["secrets.key", "/nowhere"]),
        ("secrets: {Key_1: {env: A}}", ["secrets.Key_1", "lower-case"]),
        ("secrets: {key: {}}", ["secrets.key", "env or file"]),
        ("variables: {GREETING: hello}", ["variables.GREETING", "lower-case"]),
        ("limits: {calls: 0}", ["limits.calls"]),
        ("notify: {block: slack}", ["notify.block", "slack-webhook/alerts"]),
        ("results: {bucket: X}", ["results.bucket"]),
        ("deployments: {mine: {entrypoint: nowhere.flow}}", ["deployments.mine", "'nowhere.flow'"]),
        ("deployments: {refresh-pokeapi: {entrypoint: a.b}}", ["deployments.refresh-pokeapi", "another name"]),
        ("automations: {mine: {event: a.b, run: refresh-pokapi}}", ["automations.mine.run", "did you mean 'refresh-pokeapi'?"]),
        ("automations: {mine: {event: a.b, run: refresh-pokeapi, parameters: {endpoint: a}}}", ["automations.mine.parameters.endpoint", "did you mean 'endpoints'?"]),
        ("watch: {zombie: true}", ["watch.zombie", "did you mean 'zombies'?"]),
        ("watch: {stuck: 1s}", ["watch.stuck", "1m"]),
        ("[]", ["should be a mapping"]),
        ("a: [", ["not YAML"]),
        ("sources: {}\nsources: {}", ["appears twice"]),
    ],
)  # fmt: skip
def test_a_wrong_file_is_refused_before_anybody_is_asked(
    content: str, words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "setup.yaml"
    file.write_text(content)
    with server() as asked:
        said = refused(capsys, 2, "--config", str(file))
    assert not [word for word in (str(file), *words) if word not in said], said
    assert not asked


@pytest.mark.parametrize("flag", ["--dry-run", "--overwrite"])
def test_every_way_to_run_it_refuses_a_wrong_file(
    flag: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "setup.yaml"
    file.write_text("sources: {pokapi: {}}")
    with server() as asked:
        refused(capsys, 2, "--config", str(file), flag)
    assert not asked


def test_every_mistake_is_named_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "setup.yaml"
    file.write_text("sources: {x: {rate: 0}, pokeapi: {discover: {cron: x, timezone: y}}}\nqueus: []")
    assert refused(capsys, 2, "--config", str(file)).count(f"{file}: ") == 5


@pytest.mark.parametrize(
    ("status", "body", "code", "words"),
    [
        (401, b'{"detail": "Unauthorized"}', 2, ["401", "PREFECT_API_AUTH_STRING"]),
        (403, b"<html>", 2, ["403", "PREFECT_API_AUTH_STRING"]),
        (404, b'{"detail": "Not Found"}', 2, ["404", "PREFECT_API_URL"]),
        (302, b"", 2, ["302", "PREFECT_API_URL"]),
        (422, json.dumps({"exception_detail": "bad"}).encode(), 2, ["422", "bad", "set-up file"]),
        (200, b"<html>", 2, ["does not answer as Prefect's API does", "PREFECT_API_URL"]),
        (200, b"[]", 2, ["does not answer as Prefect's API does", "PREFECT_API_URL"]),
        (500, b"oops", 1, ["500"]),
        (429, b"", 1, ["429"]),
    ],
)
def test_a_server_that_is_none_of_prefects_or_refuses_is_named(
    status: int, body: bytes, code: int, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with server(status, body):
        said = refused(capsys, code)
    assert not [word for word in ("the Prefect server http://127.0.0.1:", *words) if word not in said], said


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("127.0.0.1", 2),
        ("ftp://127.0.0.1/api", 2),
        ("http://", 2),
        ("http://127.0.0.1:99999/api", 2),
        ("http://127.0.0.1:1/api", 1),  # it may come yet
        ("http://me:secret@127.0.0.1:1/api", 1),
    ],
)
def test_an_address_at_which_no_server_is_is_named(address: str, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    with temporary_settings({PREFECT_API_URL: address, PREFECT_CLIENT_MAX_RETRIES: 0}):
        said = refused(capsys, code)
    assert "PREFECT_API_URL" in said
    assert "me:secret" not in said


@pytest.mark.parametrize(("variable", "value"), [("PREFECT_API_KEY", "ö"), ("ALL_PROXY", "socks9://x:1")])
def test_what_no_client_can_be_made_with_is_named(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(variable, value)
    with server() as asked:
        assert "PREFECT_API_*" in refused(capsys, 2)
    assert not asked


def test_serving_refuses_a_pool_that_is_not_this_machines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "setup.yaml"
    file.write_text("pool: {type: kubernetes}")
    with server() as asked:
        assert invoke(["serve", "--config", str(file)]) == 2
    assert f"{file}: pool.type: 'kubernetes'" in capsys.readouterr().err
    assert not asked


@pytest.mark.parametrize("command", ["setup", "serve"])
def test_help_teaches_by_examples(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke([command, "--help"]) == 0
    said = capsys.readouterr().out
    assert f"trawl {command} --" in said
    assert "./setup.yaml" in said
