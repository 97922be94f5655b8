"""No upgrade of Prefect's database without a dump from before it, on a real Postgres with Prefect's own migrations."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.server.processes import free_port
from trawl.orchestration.before_upgrade import heads
from trawl.orchestration.migrate import _scripts

PROGRAMS = next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)), None)
pytestmark = [
    pytest.mark.skipif(PROGRAMS is None, reason="Postgres is not installed"),
    pytest.mark.xdist_group("postgres"),
]
PASSWORD = "a-password"


@dataclass
class Postgres:
    folder: Path
    port: int

    def __call__(self, program: str, *words: str, database: str = "prefect") -> str:
        env = {
            **os.environ,
            "PGHOST": "127.0.0.1",
            "PGPORT": str(self.port),
            "PGUSER": "prefect",
            "PGPASSWORD": PASSWORD,
        }
        assert PROGRAMS is not None
        command = [str(PROGRAMS / program), *words]
        done = subprocess.run(command, env=env | {"PGDATABASE": database}, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def ask(self, sql: str, database: str = "prefect") -> str:
        return self("psql", "--no-psqlrc", "--tuples-only", "--no-align", "--command", sql, database=database)

    def env(self, database: str) -> dict[str, str]:
        """What Prefect's server finds it by."""
        names = {"HOST": "127.0.0.1", "PORT": str(self.port), "USER": "prefect", "PASSWORD": PASSWORD, "NAME": database}
        env = {**os.environ, "PREFECT_HOME": str(self.folder / "home"), "AWS_REGION": "us-east-1"}
        env |= {f"PREFECT_SERVER_DATABASE_{name}": value for name, value in names.items()}
        return env | {"PREFECT_SERVER_DATABASE_DRIVER": "postgresql+asyncpg"}

    def trawl(self, module: str, *words: str, code: int = 0, database: str = "prefect") -> str:
        command = [sys.executable, "-m", module, *words]
        done = subprocess.run(command, env=self.env(database), capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stderr


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    """A server of its own. Postgres does not run as root, and pytest's folders are closed to all others."""
    with tempfile.TemporaryDirectory() as folder:
        yield from serving(Path(folder))


def serving(folder: Path) -> Iterator[Postgres]:
    found = Postgres(folder, free_port())
    owner: list[str] = []
    if os.geteuid() == 0:
        owner = [shutil.which("setpriv") or "setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
        shutil.chown(folder, "nobody", "nogroup")
    assert PROGRAMS is not None
    (folder / "password").write_text(PASSWORD)
    (folder / "password").chmod(0o644)
    options = f"-p {found.port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
    data = str(folder / "data")
    make = ["initdb", "--auth=scram-sha-256", "--username=prefect", f"--pwfile={folder}/password", "-D", data]
    start = ["pg_ctl", "--wait", "-D", data, "-l", f"{folder}/log", "-o", options, "start"]
    for program, *words in (make, start):
        subprocess.run([*owner, str(PROGRAMS / program), *words], check=True, capture_output=True, cwd=folder)
    try:
        found("createdb", "prefect", database="postgres")
        yield found
    finally:
        subprocess.run(
            [*owner, str(PROGRAMS / "pg_ctl"), "-D", data, "-m", "immediate", "stop"], check=True, cwd=folder
        )


@pytest.fixture(scope="module")
def older(server: Postgres) -> str:
    """The database as a Prefect some migrations ago left it, with a row of somebody's."""
    script = _scripts()
    head = script.get_revision(script.get_current_head() or "")
    assert isinstance(head.down_revision, str)
    command = [
        sys.executable,
        "-m",
        "prefect",
        "server",
        "database",
        "upgrade",
        "--yes",
        "--revision",
        head.down_revision,
    ]
    done = subprocess.run(command, env=server.env("prefect"), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    server.ask("INSERT INTO flow (name) VALUES ('mine')")
    return head.down_revision


REVISION = "SELECT version_num FROM alembic_version"


def test_the_quick_look_and_alembic_name_the_same_head():
    assert heads() == {_scripts().get_current_head()}


def test_an_empty_database_is_not_dumped(server, tmp_path):
    server("createdb", "empty", database="postgres")
    note = tmp_path / "note"
    note.touch()
    server.trawl("trawl.orchestration.before_upgrade", "--note", str(note), database="empty")
    assert not note.exists()


def test_an_upgrade_without_its_dump_is_refused_and_changes_nothing(server, older, tmp_path):
    missing, to = tmp_path / "missing.dump", tmp_path / "kept"
    said = server.trawl("trawl.orchestration.migrate", f"--dump={missing}", f"--to={to}", code=1)
    assert "the database was not dumped, so it is not upgraded" in said
    assert "backup.beforeUpgrade: false" in said
    there = tmp_path / "before-upgrade.dump"
    there.write_bytes(b"a dump")
    to.write_text("a file where a folder is needed")
    said = server.trawl("trawl.orchestration.migrate", f"--dump={there}", f"--to={to}", code=1)
    assert "cannot be kept" in said
    assert "backup.beforeUpgrade: false" in said
    assert there.exists()
    assert server.ask(REVISION) == older


def test_an_upgrade_keeps_a_dump_that_brings_the_old_database_back(server, older, tmp_path):
    note, dump, to = tmp_path / "note", tmp_path / "before-upgrade.dump", tmp_path / "kept"
    server.trawl("trawl.orchestration.before_upgrade", "--note", str(note))
    assert note.exists()
    before = everything(server)
    server("pg_dump", "--format=custom", f"--file={dump}")
    said = server.trawl("trawl.orchestration.migrate", f"--dump={dump}", f"--to={to}")
    [head] = heads()
    [kept] = (to / "before-upgrade").iterdir()
    assert kept.name.startswith(f"{older}-{head}-")
    assert f"kept a dump from before the upgrade: {to}/before-upgrade/{kept.name}" in said
    assert not dump.exists()
    assert server.ask(REVISION) == head

    # As `make restore DUMP=...` does it: all or nothing, over what a newer Prefect has made.
    sql = tmp_path / "restore.sql"
    server("pg_restore", "--no-owner", "--no-privileges", f"--file={sql}", str(kept))
    again = "DROP SCHEMA public CASCADE; CREATE SCHEMA public"
    server(
        "psql",
        "--no-psqlrc",
        "--quiet",
        "--single-transaction",
        "--set=ON_ERROR_STOP=1",
        f"--command={again}",
        f"--file={sql}",
    )
    assert server.ask(REVISION) == older
    assert everything(server) == before


def everything(server: Postgres) -> tuple[str, str, list[str]]:
    """Columns, indexes by name (their conditions are written anew by each dump), and rows."""
    columns = "SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1, 2"
    indexes = "SELECT tablename, indexname FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1, 2"
    rows = server("pg_dump", "--data-only", "--inserts").splitlines()
    return server.ask(columns), server.ask(indexes), sorted(line for line in rows if line.startswith("INSERT"))


def test_what_is_up_to_date_is_neither_dumped_nor_changed(server, older, tmp_path):
    server.trawl("trawl.orchestration.migrate")
    note, to = tmp_path / "note", tmp_path / "kept"
    server.trawl("trawl.orchestration.before_upgrade", "--note", str(note))
    said = server.trawl("trawl.orchestration.migrate", f"--dump={tmp_path}/none", f"--to={to}")
    assert not note.exists()
    assert "nothing to migrate" in said
    assert not to.exists()


def test_a_database_of_a_newer_prefect_is_refused_with_the_way_out(server, older):
    was = server.ask(REVISION)
    server.ask("UPDATE alembic_version SET version_num = 'ffffffffffff'")
    try:
        said = server.trawl("trawl.orchestration.migrate", code=2)
    finally:
        server.ask(f"UPDATE alembic_version SET version_num = '{was}'")
    assert "'Roll back across a Prefect version'" in said
    section = (Path(__file__).parents[2] / "docs" / "cluster.md").read_text()
    assert "## Roll back across a Prefect version" in section
