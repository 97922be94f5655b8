"""Nothing that a user can get wrong is called a bug in Trawl: it is exit code 1 or 2, with words, and no traceback.

Each of these was once tried on every command, option, document and variable; the ones here are those that told something.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args, get_origin

import pyarrow as pa
import pytest
import yaml
from deltalake import DeltaTable, write_deltalake
from pydantic import BaseModel

from trawl.cli.app import invoke
from trawl.lake import HostBoard, Lake, Outcome, store
from trawl.lake.runs.lease import holder
from trawl.lake.store import Store
from trawl.model.config import SourceConfig
from trawl.model.errors import ConfigurationError, LakeError
from trawl.replica import Faults, GeneratedCatalogue, ReplicaApp, faulty, running
from trawl.sources import parse_source
from trawl.sources.document import options

Say = Callable[..., str]


class Api:
    """A replica at one address for all of these tests, whose faults can be changed: a plan is good for one address only."""

    def __init__(self) -> None:
        self.replica = self.app = ReplicaApp(GeneratedCatalogue(200, seed=7, day=0))
        self.url = ""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


def refusing(app: Any, below: str) -> Any:
    """The app, but that it answers 403 to every record below a list: that is no fault of the records, and a run aborts."""

    async def forbidden(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or below not in scope["path"] or scope["path"].endswith(below):
            await app(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 403, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    return forbidden


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    api = Api()
    with running(api) as api.url:
        yield api


@pytest.fixture(scope="module")
def full_lake(api: Api, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with all that there can be beside a log: news that are held, an unfinished plan, answers set aside, a host."""
    lake = tmp_path_factory.mktemp("full") / "lake"

    def crawl(faults: Faults, *endpoints: str) -> None:
        api.app = faulty(api.replica, faults)
        run(*endpoints)

    def run(*endpoints: str) -> None:
        flags = [word for endpoint in endpoints for word in ("--endpoint", endpoint)]
        invoke(["run", "pokeapi", "--lake", str(lake), "--base-url", api.url, "--rate", "unlimited", "--force", *flags])

    crawl(Faults(), "machine", "move")
    api.replica.catalogue = GeneratedCatalogue(200, seed=7, day=1)
    crawl(Faults(html=0.1, seed=3), "pokemon")
    crawl(Faults(lost=0.6, lost_of=("move",)), "move")
    api.app = refusing(api.replica, "/machine/")
    run("machine")
    api.app = api.replica
    source = Lake(lake).source("pokeapi")
    (plan,) = source.runs.plans()
    source.runs.note_losses({"machine": ["1", "2"]})
    source.runs.save_outcome(plan.run, Outcome(0, [], {"machine": {"unchanged": 1}}, 0, {}, {}))
    board = HostBoard(
        source.store, api.url.split("/")[2], lambda: datetime.now(UTC) - timedelta(hours=1)
    )  # long ago: nobody waits for it
    board.share("other", 1.0)
    board.publish(datetime.now(UTC) - timedelta(hours=1))
    return lake


@pytest.fixture
def lake(full_lake: Path, tmp_path: Path) -> str:
    return str(shutil.copytree(full_lake, tmp_path / "lake"))


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith(("AWS_", "TRAWL_")):
            monkeypatch.delenv(name)


@pytest.fixture
def say(capsysbinary: pytest.CaptureFixture[bytes]) -> Say:
    """What a command says, which must end in the one way or the other (0: what looks wrong is right here)."""

    def run(*arguments: str, codes: tuple[int, ...] = (1, 2)) -> str:
        code = invoke(list(arguments))
        captured = capsysbinary.readouterr()
        said = (captured.out + captured.err).decode(errors="replace")
        assert code in codes, f"{code}: {said}"
        assert "bug in Trawl" not in said
        assert "Traceback" not in said
        assert said.strip() or code == 0
        return said

    return run


# -- words on the command line -----------------------------------------------------------------------------

ODD = ["", " ", "\x00", "a\x00b", "\udcff", "a\nb", "'", '";--', "%s", "{x}", "{", "[bold]", "[/]", "\\", ".", "-", "--", "-1",
       "x" * 5000, "\u202e", "nan", "*", "~nobody-at-all", "${X}", "1e999", "\x1b[31m", "s3://"]  # fmt: skip
PLACES = [
    *(["run", "X"], ["run", "pokeapi", "--endpoint=X"], ["run", "pokeapi", "--accept=X"], ["run", "pokeapi", "--rate=X"]),
    *(["run", "pokeapi", "--wait=X", "--endpoint=none"], ["run", "pokeapi", "--max-requests=X", "--endpoint=none"]),
    *(["plan", "X"], ["try", "X", "machine"], ["try", "pokeapi", "X"], ["query", "X"], ["query", "SELECT 1", "--as-of=X"]),
    *(["changes", "X"], ["changes", "pokeapi", "--endpoint=X"], ["changes", "pokeapi", "--since=X"], ["history", "pokeapi", "X", "1"]),
    *(["history", "pokeapi", "machine", "X"], ["export", "pokeapi", "--endpoint=X"], ["maintain", "X"], ["maintain", "--retain=X", "--dry-run"]),
    *(["quarantine", "list", "pokeapi", "X"], ["quarantine", "show", "pokeapi", "pokemon", "X"], ["quarantine", "replay", "X"]),
    *(["forget", "pokeapi", "X", "1", "--yes"], ["forget", "pokeapi", "machine", "X", "--yes"], ["rekey", "X"], ["check", "X"]),
    *(["replica", "--generate=X", "--port=99999"], ["replica", "--generate=30", "--host=:X", "--port=0"], ["replica", "--folder=X"]),
    *(["replica", "--archive=X"], ["replica", "--generate=30", "--fault=X", "--port=99999"], ["replica", "--generate=30", "--before=X", "--port=99999"]),
    *(["restore", "--from=X"], ["restore", "--from=none", "--at=X"], ["backup", "--to=s3:///X"], ["backup", "--to=none", "--keep=X"]),
    *(["completion", "X"], ["X"], ["--X"]),
]  # fmt: skip
WITH_LAKE = {
    "run",
    "plan",
    "try",
    "query",
    "changes",
    "history",
    "export",
    "maintain",
    "quarantine",
    "forget",
    "rekey",
    "backup",
    "restore",
}


@pytest.mark.parametrize("place", PLACES, ids=" ".join)
def test_no_word_on_a_command_line_is_a_fault(place: list[str], lake: str, api: Api, say: Say) -> None:
    flags = ["--lake", lake] if place[0] in WITH_LAKE else []
    address = ["--base-url", api.url] if place[0] in {"run", "plan", "try"} else []
    for odd in ODD:
        say(*(word.replace("X", odd) for word in place), *flags, *address, codes=(0, 1, 2))


@pytest.mark.parametrize("number", ["nan", "inf", "-inf", "1e400", "1e-320", "-1", "0", "", "x"])
def test_a_number_that_is_none_is_refused(number: str, lake: str, api: Api, say: Say) -> None:
    run = ["run", "pokeapi", "--lake", lake, "--base-url", api.url]
    assert "rate" in say(*run, f"--rate={number}", codes=(2,))
    say(*run, f"--max-requests={number}", codes=(2,))
    say("replica", f"--generate={number}", "--port=99999", codes=(2,))


@pytest.mark.parametrize("port", ["70000", "-1", "x", "", "1e9"])
def test_a_port_that_is_none_is_refused(port: str, say: Say) -> None:
    assert "port" in say("replica", "--generate=30", f"--port={port}", codes=(2,)).lower()


SQL = [
    *("", ";", "--", "SELECT", "SELECT 1; SELEC", "SELECT ?", "SELECT $a", "PREPARE p AS SELECT 1", "EXECUTE p", "SELECT\x00"),
    *("ATTACH '/nope/x.db'", "ATTACH '/dev/null'", "USE nope", "COPY (SELECT 1) TO '/nope/x'", "COPY (SELECT 1) TO '/dev/full'"),
    *("LOAD nope", "PRAGMA nope", "SET nope = 1", "SET memory_limit = 'x'", "SET threads = -1", "CALL nope()", "EXPLAIN"),
    *("BEGIN", "ROLLBACK", "CREATE TABLE pokeapi.records (i INT)", "DELETE FROM pokeapi.records", "SHOW nope"),
    *("SELECT 'a'::INT", "SELECT error('boom')", "FROM '/nope.csv'", "FROM 'nope.parquet'", "SELECT strftime(now(), '%')"),
    *("SELECT exp(1000)", "SELECT repeat('a', 10000000000)", "SELECT regexp_matches('a', '(')", "SELECT date '99999999-01-01'"),
    *("SELECT 9223372036854775807 + 1", "SELECT json('{')", "SELECT nope", "FROM pokeapi.nope", "PIVOT pokeapi.records ON key"),
    *("SELECT '\udcff'", "SELECT " + "(" * 300, "SELECT '" + "a" * 1_000_000, "SELECT (SELECT 1 UNION SELECT 2)"),
]  # fmt: skip


@pytest.mark.parametrize("sql", SQL, ids=lambda sql: ascii(sql)[:30])
def test_no_sql_is_a_fault(sql: str, lake: str, say: Say) -> None:
    for form in ("table", "json", "csv", "parquet"):
        say("query", sql, "--lake", lake, "--format", form, codes=(0, 1, 2))


# -- lakes -------------------------------------------------------------------------------------------------


def reading(url: str) -> list[list[str]]:
    """The commands that begin with reading a lake."""
    return [
        *(["status"], ["query", "FROM pokeapi.records"], ["changes", "pokeapi"], ["export", "pokeapi"]),
        *(["maintain", "pokeapi"], ["rekey", "pokeapi"], ["forget", "pokeapi", "machine", "1", "--dry-run"]),
        *(
            ["check", "pokeapi", "--live", "--base-url", url],
            ["plan", "pokeapi", "--endpoint", "machine", "--rate", "unlimited", "--base-url", url],
        ),
    ]


NO_LAKES = [
    *("", "\x00", "a\nb", "\udcff", "~nobody-at-all", "~nobody-at-all/x", "%41"),
    *("s3://", "s3:///x", "s3://b b", "s3://b:1/x", "s3://[::1", "s3://b/../x", "s3://b//x//y", "s3://b/x?y", "s3://b/%zz", "s3://b/\n"),
    *("gs://b", "http://127.0.0.1:1/x", "file://", "file://host/x", "memory://x", "a://b://c"),
]  # fmt: skip


@pytest.mark.parametrize("url", NO_LAKES, ids=lambda url: ascii(url)[:30])
def test_what_is_no_lake_is_refused_by_every_command(url: str, api: Api, say: Say) -> None:
    for command in [*reading(api.url), ["run", "pokeapi", "--base-url", api.url]]:
        assert say(*command, f"--lake={url}", codes=(2,)).count("error: ") == 1


@pytest.mark.parametrize(
    "path", ["x" * 300, "/" + "x/" * 3_000, "/dev/null", "/dev/null/x", "/proc/nope"], ids=lambda path: path[:12]
)
def test_what_can_be_no_folder_is_a_fault_of_the_lake(path: str, api: Api, say: Say) -> None:
    for command in reading(api.url):
        say(*command, f"--lake={path}", codes=(0, 1, 2) if command[0] in {"plan", "check"} else (1, 2))
    assert "the lake" in say("run", "pokeapi", "--base-url", api.url, f"--lake={path}", codes=(1,))


def test_a_folder_that_holds_something_else_is_told_from_a_lake(tmp_path: Path, api: Api, say: Say) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "loop").symlink_to("loop")
    for name, content in (("damaged", "nope"), ("empty", "")):
        (tmp_path / name / "pokeapi/log/_delta_log").mkdir(parents=True)
        (tmp_path / name / "pokeapi/log/_delta_log" / f"{0:020}.json").write_text(content)
    (tmp_path / "no-folder/pokeapi").mkdir(parents=True)
    (tmp_path / "no-folder/pokeapi/log").write_text("x")
    for name in ("file", "loop", "damaged", "empty", "no-folder"):
        for command in reading(api.url):
            say(*command, "--lake", name, codes=(0, 1, 2) if command[0] in {"plan", "check", "rekey"} else (1, 2))


def test_a_delta_table_that_is_not_trawls_is_refused(tmp_path: Path, api: Api, say: Say) -> None:
    columns = {"kind": ["run"], "endpoint": ["-"], "key": [1], "payload": ["x"], "valid_from": ["x"]}
    write_deltalake(str(tmp_path / "one/pokeapi/log"), pa.table({"a": [1]}))
    write_deltalake(str(tmp_path / "two/pokeapi/log"), pa.table(columns), partition_by=["kind", "endpoint"])
    for name in ("one", "two"):
        for command in reading(api.url):
            assert "no log of Trawl's" in say(*command, "--lake", name)


@pytest.mark.parametrize("number", ["x", "1.5", "-1", "", "9" * 20])
def test_a_format_that_is_no_number_is_one_that_is_not_known(number: str, lake: str, api: Api, say: Say) -> None:
    for entry in Path(lake, "pokeapi/log/_delta_log").glob("*.json"):
        entry.write_text(entry.read_text().replace('format_version":"1"', f'format_version":"{number}"'))
    for command in reading(api.url):
        assert "format" in say(*command, "--lake", lake)


@pytest.mark.parametrize("name", ["a[b]c", "**", "?", "it's", "{x,y}", "a#b", "[/]", "-"])
def test_a_lake_may_lie_in_a_folder_of_any_name(name: str, full_lake: Path, tmp_path: Path, say: Say) -> None:
    lake = shutil.copytree(full_lake, tmp_path / name)
    for command in (["status"], ["query", "FROM pokeapi.records"], ["changes", "pokeapi"], ["maintain", "pokeapi"]):
        say(*command, "--lake", str(lake), codes=(0,))
    for _ in range(2):
        say("export", "pokeapi", "--lake", str(lake), "--to", f"{lake}-out", "--endpoint", "machine", codes=(0,))
    assert (tmp_path / f"{name}-out/pokeapi/machine/1.json").exists()


def test_upkeep_writes_nothing_into_a_folder_of_somebody_else(tmp_path: Path, say: Say) -> None:
    (tmp_path / "home/documents").mkdir(parents=True)
    for command in (["maintain"], ["maintain", "documents"], ["forget", "documents", "a", "1", "--yes"]):
        say(*command, "--lake", "home", codes=(2,))
    assert not list((tmp_path / "home/documents").iterdir())


@pytest.mark.parametrize(
    ("variable", "values"),
    [
        ("AWS_ENDPOINT_URL", ["", "x", "http://", "http://127.0.0.1:99999", "::::", "http://[::1", "http://a b", "ftp://x", "http://\u00e9", "http://h\n"]),
        ("AWS_ENDPOINT_URL_S3", ["::", "127.0.0.1:1"]),
        ("AWS_REGION", ["\n", "eu\n"]),
        ("AWS_ACCESS_KEY_ID", ["a\n"]),
        ("AWS_SECRET_ACCESS_KEY", ["\n"]),
        ("AWS_SESSION_TOKEN", ["a\nb"]),
        ("AWS_VIRTUAL_HOSTED_STYLE_REQUEST", ["x"]),
        ("AWS_CONDITIONAL_PUT", ["x"]),
        ("AWS_CHECKSUM_ALGORITHM", ["x"]),
        ("AWS_SKIP_SIGNATURE", ["x"]),
    ],
)  # fmt: skip
def test_a_wrong_variable_of_the_storage_is_found_at_once(
    variable: str, values: list[str], api: Api, say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(store._RETRY, "max_retries", 0)
    for name, value in {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
    }.items():
        monkeypatch.setenv(name, value)
    for value in values:
        monkeypatch.setenv(variable, value)
        for command in reading(api.url):
            assert "AWS_" in say(*command, "--lake", "s3://bucket/x", codes=(2,))


# -- documents beside the log ------------------------------------------------------------------------------

RUN = ["run", "pokeapi", "--rate", "unlimited"]
SAME = [*RUN, "--force", "--endpoint", "machine"]  # the options of the plan that lies there
DOCUMENTS: dict[str, tuple[str, str, list[list[str]]]] = {
    "manifest": ("pokeapi/runs/*.json", '"held"', [["status"], ["query", "FROM pokeapi.runs"], [*RUN, "--accept", "move"], [*RUN, "--reject", "move"]]),
    "plan": ("pokeapi/plans/*/plan.json", "", [SAME, ["status"], SAME, ["forget", "pokeapi", "machine", "1", "--dry-run"]]),
    "outcome": ("pokeapi/plans/*/000000.json", "", [SAME, ["status"]]),
    "shards": ("pokeapi/plans/*/shards.arrow", "", [SAME, ["status"]]),
    "losses": ("pokeapi/losses.json", "", [SAME, ["status"]]),
    "lease": ("pokeapi/lease.json", "", [["status"], ["maintain", "pokeapi"], [*RUN, "--endpoint", "machine"]]),
    "cool-down": ("hosts/*/cool-down.json", "", [["plan", "pokeapi", "--endpoint", "machine", "--rate", "unlimited"], [*RUN, "--endpoint", "machine"]]),
    "share": ("hosts/*/shares/other.json", "", [["run", "pokeapi", "--rate", "1000", "--endpoint", "machine", "--max-requests", "3"]]),
    "answer": ("pokeapi/quarantine/*/pokemon/*.json", "", [["quarantine", "show", "pokeapi", "pokemon", "KEY"], ["quarantine", "show", "pokeapi", "pokemon", "KEY", "--json"], ["quarantine", "replay", "pokeapi"], ["forget", "pokeapi", "pokemon", "KEY", "--yes"]]),
}  # fmt: skip
RAW = [b"", b"{", b"{}", b"[]", b"null", b'"x"', b"\xff\xfe", b"[" * 100_000]
VALUES: list[Any] = [None, [], {}, "x", -1, 1e308, True, 10**30, "2026-01-01T00:00:00", [1], {"a": 1}, "\udc00"]


def damaged(document: Any, depth: int = 3) -> Iterator[Any]:
    """A document with one thing wrong: a field that is not there, another one, or a value of any other kind."""
    match document:
        case dict():
            yield document | {"unknown": 1}
            for name, inner in document.items():
                yield {other: value for other, value in document.items() if other != name}
                yield from (document | {name: value} for value in VALUES)
                yield from (document | {name: found} for found in (damaged(inner, depth - 1) if depth else ()))
        case [first, *others]:
            yield from ([value, *others] for value in VALUES)
            yield from ([found, *others] for found in (damaged(first, depth - 1) if depth else ()))


def document_of(kind: str, lake: Path) -> Path:
    """The newest of its kind, below the lake."""
    pattern, mark, _ = DOCUMENTS[kind]
    return max(path.relative_to(lake) for path in lake.glob(pattern) if mark.encode() in path.read_bytes())


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_no_damaged_document_is_a_fault(kind: str, full_lake: Path, tmp_path: Path, api: Api, say: Say) -> None:
    name, commands = document_of(kind, full_lake), DOCUMENTS[kind][2]
    whole = (full_lake / name).read_bytes()
    contents = [*RAW, whole[: len(whole) // 2], whole[:100] + bytes(50) + whole[150:]]
    if name.suffix == ".json":
        found = list(damaged(json.loads(whole)))  # some of them, spread over all; the next test takes every one
        contents += [json.dumps(document).encode() for document in found[:: max(1, len(found) // 12)]]
    for number, content in enumerate(contents):
        lake = shutil.copytree(full_lake, tmp_path / str(number))
        (lake / name).write_bytes(content)
        command = [word.replace("KEY", name.stem) for word in commands[number % len(commands)]]
        address = ["--base-url", api.url] if command[0] in {"run", "plan"} else []
        say(*command, *address, "--lake", str(lake), codes=(0, 1, 2))


@pytest.mark.parametrize("kind", sorted(DOCUMENTS.keys() - {"shards"}))
def test_a_document_that_is_not_what_it_was_is_read_as_none(
    kind: str, full_lake: Path, tmp_path: Path, api: Api
) -> None:
    lake = shutil.copytree(full_lake, tmp_path / "copy")
    name = document_of(kind, lake)
    whole = json.loads((lake / name).read_bytes())
    runs, board = (
        Lake(lake).source("pokeapi").runs,
        HostBoard(Store(lake), api.url.split("/")[2], lambda: datetime.now(UTC)),
    )
    readers: dict[str, Callable[[], Any]] = {
        "manifest": runs.manifests,
        "plan": runs.unfinished,
        "outcome": lambda: runs.outcomes(name.parts[2]),
        "losses": runs.losses,
        "lease": lambda: holder(Store(lake), "pokeapi/lease.json", datetime.now(UTC)),
        "cool-down": board.cool_down,
        "share": lambda: [share.gone(datetime.now(UTC)) for share in board._shares()],
        "answer": lambda: runs.quarantined(name.parts[2], name.parts[3], name.stem),
    }
    for document in damaged(whole):
        (lake / name).write_text(json.dumps(document))
        try:
            readers[kind]()
        except LakeError as error:
            assert kind in {"plan", "lease"}
            assert error.remedy


# -- source files ------------------------------------------------------------------------------------------

GOOD = {"name": "things", "base_url": "http://127.0.0.1:1", "endpoints": {"a": {}}}
WRONG: list[Any] = [None, True, -1, 3.7, float("inf"), float("nan"), 10**40, "", "{key}", "{", "{item.}", "${V}", "a" * 3_000, "../x",
                    "//h", "(", [], [1], [None], {}, {"x": 1}, {"kind": "x"}, {"kind": []}, {"type": []}, "999999999d", "a..b"]  # fmt: skip


def places(model: type[BaseModel], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every key that a source file can have."""
    for name, field in model.model_fields.items():
        yield (*path, name)
        for option in options(field.annotation):
            free = get_origin(option) is dict
            below = (*path, name, "a") if free else (*path, name)
            yield below
            for inner in options(get_args(option)[1]) if free else [option]:
                if isinstance(inner, type) and issubclass(inner, BaseModel):
                    yield from places(inner, below)


@pytest.mark.parametrize("place", sorted(set(places(SourceConfig))), ids=".".join)
def test_no_value_of_a_source_file_is_a_fault(place: tuple[str, ...]) -> None:
    for value in WRONG:
        document = json.loads(json.dumps(GOOD))
        here = document
        for part in place[:-1]:
            here = here.setdefault(part, {}) if isinstance(here, dict) else here
        if not isinstance(here, dict):
            return
        here[place[-1]] = value
        try:
            parse_source(yaml.safe_dump(document, allow_unicode=True), "my.yaml")
        except ConfigurationError as error:
            assert "my.yaml: " in error.message
            assert error.remedy


@pytest.mark.parametrize(
    "url",
    ["http://.", "http://..", "http://h..x", "http://1.2.3.4.5", "http://256.1.1.1", "http://0:1", "http://h:99999", "http://[::1",
     "http://h/" + "a" * 5_000, "http://\x00/", "//h", "http://u:p@h", "http://h h", "javascript:alert(1)"],
    ids=lambda url: ascii(url)[:30],
)  # fmt: skip
def test_an_address_that_cannot_be_asked_is_refused(url: str, say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "--base-url" in say("run", "pokeapi", f"--base-url={url}", codes=(2,))
    Path("my.yaml").write_text(yaml.safe_dump(GOOD | {"base_url": url}))
    assert "base_url" in say("check", "my.yaml", codes=(2,))
    if "\x00" not in url:
        monkeypatch.setenv("TRAWL_SOURCE_POKEAPI_BASE_URL", url)
        assert "TRAWL_SOURCE_POKEAPI_BASE_URL" in say("try", "pokeapi", "machine", "1", codes=(2,))


# -- around it ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "folder", ["/dev/null", "/dev/null/x", "/proc/x", "\x00", "a\nb", "~nobody-at-all", "x" * 300, "s3://b/x", "lake"]
)
def test_a_folder_that_takes_no_export_is_refused(folder: str, lake: str, say: Say) -> None:
    for form in ("files", "csv", "parquet", "jsonl"):
        say("export", "pokeapi", "--lake", lake, f"--to={folder}", "--format", form)


def test_a_closed_standard_output_is_named(lake: str, say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", None)
    for form in ("json", "csv", "parquet"):
        assert "standard output is closed" in say("query", "SELECT 1", "--lake", lake, "--format", form)


def test_a_temporary_folder_may_have_any_name(
    lake: str, tmp_path: Path, say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "it's").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "it's"))
    say("query", "FROM pokeapi.records", "--lake", lake, codes=(0,))


def test_a_log_that_somebody_deleted_from_is_read_as_it_is(lake: str, api: Api, say: Say) -> None:
    DeltaTable(f"{lake}/pokeapi/log").delete("kind = 'run'")
    for command in reading(api.url):
        say(*command, "--lake", lake, codes=(0, 1, 2))
