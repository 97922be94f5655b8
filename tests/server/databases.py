"""The database of a Prefect server: PostgreSQL where it is installed, else Prefect's own SQLite."""

import os
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

from tests.server.processes import end, free_port, spawn, until


def programs() -> Path | None:
    """The folder of PostgreSQL's programs."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    named = shutil.which("initdb")
    return found[-1].parent if found else Path(named).parent if named else None


@contextmanager
def postgres(folder: Path, password: str) -> Iterator[tuple[dict[str, str], Callable[[], bytes]]]:
    """A server of its own, which asks for the password: Prefect's settings for it, and what dumps it."""
    there = programs()
    assert there is not None
    data, port = Path(tempfile.mkdtemp(prefix="trawl-postgres-")), free_port()
    become = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []  # it refuses to run as root
    (data / "password").write_text(password)
    if become:
        for path in (data, data / "password"):
            shutil.chown(path, "postgres", "postgres")
    made = [*become, str(there / "initdb"), "--auth=scram-sha-256", "--username=trawl", f"--pwfile={data / 'password'}"]
    subprocess.run([*made, "-D", str(data / "db")], check=True, stdout=subprocess.DEVNULL, cwd=data)
    command = [*become, str(there / "postgres"), "-D", str(data / "db"), "-p", str(port), "-h", "127.0.0.1", "-k", ""]
    started = spawn(command, dict(os.environ), folder / "postgres.log", data)
    env = os.environ | {"PGPASSWORD": password}
    client = ["-h", "127.0.0.1", "-p", str(port), "-U", "trawl"]

    def dump() -> bytes:
        command = [str(there / "pg_dump"), *client, "postgres"]
        return subprocess.run(command, env=env, check=True, capture_output=True).stdout

    ready = [str(there / "pg_isready"), *client]
    try:
        until(
            lambda: not subprocess.run(ready, check=False, stdout=subprocess.DEVNULL).returncode, "PostgreSQL's start"
        )
        address = f"postgresql+asyncpg://trawl:{quote(password, safe='')}@127.0.0.1:{port}/postgres"
        yield {"PREFECT_SERVER_DATABASE_CONNECTION_URL": address}, dump
    finally:
        end(started)
        shutil.rmtree(data)


@contextmanager
def sqlite(home: Path) -> Iterator[tuple[dict[str, str], Callable[[], bytes]]]:
    def dump() -> bytes:
        with closing(sqlite3.connect(home / "prefect.db")) as database:
            return "\n".join(database.iterdump()).encode()

    yield {}, dump
