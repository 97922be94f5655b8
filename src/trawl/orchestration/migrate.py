"""Brings the database of Prefect's server to this image's version, before the server starts.

    python -m trawl.orchestration.migrate

One at a time: several servers start at once, and a migration that runs twice fails half way. A database that a newer
Prefect has migrated is refused: an older server would start, and then fail at whatever has changed.
"""

import asyncio
import logging
import subprocess
import sys
from pathlib import Path

import asyncpg  # type: ignore[import-untyped]
import prefect
import prefect.server.database
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from prefect.server.database.alembic_commands import alembic_config
from prefect.settings import get_current_settings

from trawl.model.errors import ConfigurationError, Retriable, TrawlError

__all__ = ["main"]

log = logging.getLogger("trawl.migrate")

_LOCK = 0x7472_6177_6C  # anybody's number; that the servers agree on it is what counts


async def migrate() -> None:
    """Wait for the lock, then upgrade. Raises ConfigurationError if the database is not one that this Prefect can use."""
    connection = await _connected()
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
        revision = await _revision(connection)
        head = _scripts().get_current_head()
        if revision == head:
            log.info("the database is at %s: nothing to migrate", head)
            return
        _check_known(revision)
        log.info("migrating the database from %s to %s", revision or "nothing", head)
        # A process of its own: its command takes over logging, and the event loop.
        command = [sys.executable, "-m", "prefect", "server", "database", "upgrade", "--yes"]
        done = await asyncio.to_thread(subprocess.run, command, check=False)
        if done.returncode:
            raise Retriable(
                "the migration has failed; see the lines above", remedy="its steps are repeated by the next try"
            )
    finally:
        await connection.close()


async def _connected() -> asyncpg.Connection:
    database = get_current_settings().server.database
    where = f"the database {database.name!r} at {database.host}:{database.port}, user {database.user!r}"
    password = None if database.password is None else database.password.get_secret_value()
    try:
        return await asyncpg.connect(
            host=database.host,
            port=database.port,
            user=database.user,
            password=password,
            database=database.name,
            timeout=30,
        )
    except (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidCatalogNameError) as error:
        raise ConfigurationError(
            f"{where}: {error}",
            remedy="check the Secret that existingSecrets.postgres names, and postgres.user and postgres.database; "
            "a volume that was made with another password keeps that one",
        ) from None
    except (OSError, asyncpg.PostgresError) as error:
        raise Retriable(
            f"{where}: {error or type(error).__name__}", remedy="check that it runs and can be reached"
        ) from None


async def _revision(connection: asyncpg.Connection) -> str | None:
    if await connection.fetchval("SELECT to_regclass('alembic_version')") is None:
        return None
    found: str | None = await connection.fetchval("SELECT version_num FROM alembic_version")
    return found


def _scripts() -> ScriptDirectory:
    config = alembic_config()
    root = Path(prefect.server.database.__file__).parent / "_migrations"
    config.set_main_option(
        "version_locations", str(root / "versions" / "postgresql")
    )  # what Prefect's env.py does, too
    return ScriptDirectory.from_config(config)


def _check_known(revision: str | None) -> None:
    if revision is None:
        return
    try:
        _scripts().get_revision(revision)
    except CommandError:
        raise ConfigurationError(
            f"a newer Prefect than {prefect.__version__} has migrated the database (to {revision}), and it cannot be taken back",
            remedy="install that version again, or restore the backup from before the upgrade: "
            "docs/cluster.md, 'Roll back across a Prefect version'",
        ) from None


def main() -> int:
    """Migrate, and say what was done; 2 for what a repetition does not mend."""
    logging.basicConfig(level=logging.INFO, format="trawl: %(message)s", stream=sys.stderr)
    try:
        asyncio.run(migrate())
    except TrawlError as error:
        sys.stderr.write(f"trawl: {error}\n")
        return 2 if isinstance(error, ConfigurationError) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
