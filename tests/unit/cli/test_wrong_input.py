"""What a user gets wrong is found before the first request: the place, the value, the remedy, exit code 2, no traceback."""

import socket
from pathlib import Path

import pytest
from deltalake import DeltaTable

from tests.conftest import World
from tests.crawling import ask, run
from trawl.cli.app import invoke

GOOD = """
name: things
base_url: http://127.0.0.1:9/v1
endpoints:
  users: {}
"""


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TRAWL_LAKE", raising=False)


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The words with which a command line is refused, on one line."""
    assert invoke(list(arguments)) == 2
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    return " ".join((captured.err + captured.out).replace("│", " ").split())


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("endpoints:", "endponts: {}\nendpoints:", ["my.yaml", "endponts", "did you mean 'endpoints'"]),
        ("users: {}", "users: {freshness: soon}", ["my.yaml", "endpoints.users.freshness", "'soon'", "24h"]),
        ("users: {}", "users: {key: {feild: id}}", ["endpoints.users.key.feild", "did you mean 'field'"]),
        ("users: {}", "users: {parent: people}", ["'people'", "not an endpoint"]),
        ("http://127.0.0.1:9/v1", "ftp://example.com", ["base_url", "ftp://example.com", "https://api.example.com"]),
        ("http://127.0.0.1:9/v1", "https://me:secret@example.com", ["base_url", "credentials"]),
        ("name: things", "name: My Things", ["name", "My Things"]),
        ("endpoints:", "rate: {requests_per_second: fast}\nendpoints:", ["rate.requests_per_second", "'fast'"]),
        ("endpoints:", "name: twice\nendpoints:", ["my.yaml", "name", "twice"]),
        ("users: {}", "users: [", ["my.yaml", "not YAML"]),
        (
            "users: {}",
            "users: {}\n  posts: {parent: users, list: {path: p}}",
            ["endpoints.posts", "no `list` of its own"],
        ),
        ("users: {}", "users: {}\n  posts: {parent: users, detail: {path: '{parent.id}/{label}'}}", ["{key}"]),
    ],
)
def test_a_wrong_source_file_is_named_with_path_and_value(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, words: list[str]
) -> None:
    (tmp_path / "my.yaml").write_text(GOOD.replace(old, new))
    for command in ("run", "check", "plan"):
        text = refused(capsys, command, "my.yaml")
        assert all(word in text for word in words), text
        assert "me:secret" not in text or "https://me:secret" not in text.replace("(it is", "")
    assert not (tmp_path / "lake").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "pokeap"], ["unknown source 'pokeap'", "did you mean 'pokeapi'"]),
        (["run", "nowhere.yaml"], ["nowhere.yaml"]),
        (["run", "pokeapi", "--endpoint", "pokemn"], ["--endpoint pokemn", "pokemon"]),
        (["run", "pokeapi", "--accept", "pokemn"], ["--accept pokemn", "pokemon"]),
        (["run", "pokeapi", "--base-url", "example"], ["--base-url", "'example'", "http://127.0.0.1:8000/api/v2"]),
        (["run", "pokeapi", "--rate", "unlimited", "--base-url", "http://8.8.8.8"], ["public host", "--rate"]),
        (["run", "pokeapi", "--rate", "-1"], ["--rate", "-1"]),
        (["run", "pokeapi", "--rate", "quick"], ["--rate", "quick", "unlimited"]),
        (["run", "pokeapi", "--max-requests", "0"], ["--max-requests 0"]),
        (["run", "pokeapi", "--wait", "long"], ["--wait", "long"]),
        (["run", "pokeapi", "--mode", "resfresh"], ["--mode", "refresh"]),
        (["run", "pokeapi", "--lake", "gs://bucket"], ["gs://", "s3://bucket/prefix"]),
        (["run", "pokeapi", "--frce"], ["--frce", "--force"]),
        (["run"], ["SOURCE"]),
        (["query", "SELECT 1"], ["there is no lake", "trawl run"]),
        (["query", "SELECT 1", "--as-of", "yesterday"], ["--as-of", "yesterday"]),
        (["status", "--lake", "nowhere"], ["there is no lake", "nowhere"]),
        (["rnu", "pokeapi"], ["rnu", "run"]),
        (["try", "pokeapi", "pokemn"], ["pokemn", "pokemon"]),
        (["try", "pokeap", "pokemon"], ["unknown source 'pokeap'", "did you mean 'pokeapi'"]),
        (["try", "pokeapi", "pokemon-encounters"], ["no list", "KEY"]),
        (["changes", "pokeapi"], ["there is no lake", "trawl run"]),
        (["changes", "pokeapi", "--kind", "chnged"], ["--kind", "changed"]),
        (["history", "pokeapi", "pokemon", "25"], ["there is no lake"]),
        (["export", "pokeapi", "--format", "xml"], ["--format", "parquet"]),
        (["completion", "ksh"], ["ksh", "bash"]),
        (["replica"], ["--archive", "--generate"]),
        (["replica", "--generate", "3", "--folder", "x"], ["--folder", "--generate"]),
        (["replica", "--archive", "nothing.tar.zst"], ["nothing.tar.zst"]),
        (["replica", "--generate", "50", "--fault", "eror=1"], ["eror", "errors", "storm_every", "cache"]),
        (["replica", "--generate", "50", "--fault", "cut=2"], ["cut", "'2'", "0 to 1"]),
        (["replica", "--generate", "50", "--fault", "mixed=0.1"], ["mixed", "--before"]),
        (["replica", "--generate", "50", "--before", "x.tar.zst"], ["--before x.tar.zst", "number"]),
    ],
)
def test_a_wrong_word_is_refused_with_what_would_be_right(
    capsys: pytest.CaptureFixture[str], arguments: list[str], words: list[str]
) -> None:
    text = refused(capsys, *arguments)
    assert all(word in text for word in words), text


@pytest.mark.xdist_group("waits")
def test_a_host_that_cannot_be_reached_is_named(capsys: pytest.CaptureFixture[str], unused_tcp_port: int) -> None:
    url = f"http://127.0.0.1:{unused_tcp_port}/api/v2"
    Path("mine.yaml").write_text(GOOD.replace("  users: {}", "  users: {}\n  posts: {}"))
    for source, endpoint in (("pokeapi", "stat"), ("mine.yaml", "users")):
        text = refused(capsys, "run", source, "--base-url", url, "--endpoint", endpoint)
        assert "cannot reach" in text
        assert url in text


def test_a_lake_of_a_newer_format_is_refused_before_anything_is_asked(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path / "lake", world.url, endpoints=("machine",))
    asked = world.app.stats.requests
    table = DeltaTable(tmp_path / "lake/pokeapi/log")
    table.alter.set_table_properties({"trawl.format_version": "99"}, raise_if_not_exists=False)
    for command in (["run", "pokeapi", "--base-url", world.url], ["query", "FROM pokeapi.records"], ["status"]):
        text = refused(capsys, *command)
        assert "format 99" in text
        assert "newer Trawl" in text
    assert world.app.stats.requests == asked


def test_a_changed_key_policy_is_refused(world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = "name: pokeapi\nbase_url: http://127.0.0.1:9\nendpoints:\n  move:\n    list: {items: results}\n    key: {field: FIELD}\n"
    (tmp_path / "my.yaml").write_text(source.replace("FIELD", "name"))
    flags = ["--base-url", world.url, "--rate", "unlimited"]
    assert invoke(["run", "my.yaml", *flags]) == 0
    capsys.readouterr()
    (tmp_path / "my.yaml").write_text(source.replace("FIELD", "url"))
    text = refused(capsys, "run", "my.yaml", *flags)
    assert "'move'" in text
    assert "key policy has changed" in text


def test_wrong_sql_names_the_views_that_there_are(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path / "lake", world.url, endpoints=("machine",))
    text = refused(capsys, "query", "SELECT nothing FROM pokeapi.recrods")
    assert "did you mean pokeapi.records?" in text
    assert "pokeapi.versions" in text
    text = refused(capsys, "query", "SELECT lable FROM pokeapi.records")
    assert "lable" in text
    assert "DESCRIBE pokeapi.records" in text
    assert invoke(["query", "DESCRIBE pokeapi.records"]) == 0
    assert "checked_at" in capsys.readouterr().out
    text = refused(capsys, "history", "pokeapi", "machine", "none-such")
    assert "none-such" in text


def test_a_name_that_the_lake_does_not_hold_is_answered_with_those_near_it(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path / "lake", world.url, endpoints=("machine", "move"))
    label = next(
        iter(ask(tmp_path / "lake", "SELECT label FROM pokeapi.records WHERE endpoint = 'move' ORDER BY label"))
    )["label"]
    for command, words in [
        (["history", "pokeap", "move", "1"], ["'pokeap'", "did you mean 'pokeapi'"]),
        (["history", "pokeapi", "mvoe", "1"], ["'mvoe'", "move"]),
        (["history", "pokeapi", "move", f"{label}x"], [f"'{label}x'", f"({label})"]),
        (["changes", "pokeap"], ["'pokeap'", "pokeapi"]),
        (["changes", "pokeapi", "--endpoint", "mvoe"], ["'mvoe'", "move"]),
        (["changes", "pokeapi", "--since", "yesterday"], ["--since", "yesterday", "24h"]),
        (["export", "pokeapi", "--endpoint", "mvoe"], ["'mvoe'", "move"]),
        (["export", "pokeap"], ["'pokeap'", "pokeapi"]),
    ]:
        text = refused(capsys, *command)
        assert all(word in text for word in words), text


def test_a_port_in_use_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        text = refused(capsys, "replica", "--generate", "30", "--port", str(port))
    assert f"port {port}" in text
    assert "0 takes any" in text


def test_what_nobody_foresaw_is_one_line_and_where_to_report_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lake/pokeapi").mkdir(parents=True)
    monkeypatch.setattr("trawl.cli.status.pending_holds", lambda _: 1 / 0)
    assert invoke(["status"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: ZeroDivisionError")
    assert "issues" in said
    assert "Traceback" not in said
    monkeypatch.setenv("TRAWL_DEBUG", "1")
    assert invoke(["status"]) == 1
    assert "Traceback" in capsys.readouterr().err
