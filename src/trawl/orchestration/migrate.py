"""Brings the database of Prefect's server to this image's version, before the server starts.

    python -m trawl.orchestration.migrate [--dump FILE --to URL [--make-bucket]]

With `--dump`, a database that is to be upgraded was dumped into that file; the dump is kept below URL before anything is
changed, or nothing is.
One at a time: several servers start at once, and a migration that runs twice fails half way. A database that a newer
Prefect has migrated is refused: an older server would start, and then fail at whatever has changed.
"""

import argparse
import asyncio
import logging
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import prefect
import prefect.server.database
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from prefect.server.database.alembic_commands import alembic_config
from prefect.settings import get_current_settings

from trawl.model.errors import ConfigurationError, Retriable, TrawlError

from .before_upgrade import WITHOUT, connected, dump_name, revision_of

__all__ = ["main"]

log = logging.getLogger("trawl.migrate")

_LOCK = 0x7472_6177_6C  # anybody's number; that the servers agree on it is what counts


@dataclass(frozen=True, slots=True)
class Keep:
    """Where a dump lies, and where it is to be kept."""

    dump: Path
    to: str
    make_bucket: bool = False


async def migrate(keep: Keep | None = None) -> None:
    """Wait for the lock, then upgrade. Raises ConfigurationError if the database is not one that this Prefect can use."""
    database = get_current_settings().server.database
    password = None if database.password is None else database.password.get_secret_value()
    connection = await connected(database.host, database.port, database.user, password, database.name)
    try:
        # Asked again and again: a migration that makes an index waits for every query that is under way, and would wait
        # for ever for one that itself waits for the lock.
        while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", _LOCK):  # noqa: ASYNC110  the event is the database's
            await asyncio.sleep(1)
        revision = await revision_of(connection)
        head = _scripts().get_current_head()
        if revision == head:
            log.info("the database is at %s: nothing to migrate", head)
            return
        _check_known(revision)
        if keep is not None and revision is not None:
            await asyncio.to_thread(_keep, keep, dump_name(revision, str(head), datetime.now(UTC)))
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


def _keep(keep: Keep, name: str) -> None:
    """Put the dump where it outlives this pod."""
    from trawl.lake import Store  # noqa: PLC0415  seconds of imports, for an upgrade alone

    from .setup.objects.buckets import make_sure_of  # noqa: PLC0415

    if not keep.dump.is_file():
        raise Retriable(
            "the database was not dumped, so it is not upgraded",
            remedy=f"delete this pod, so that its dump is made; {WITHOUT}",
        )
    store = Store(keep.to, prefix="TRAWL_BACKUP_")
    try:
        if keep.make_bucket:
            make_sure_of(keep.to.removeprefix("s3://").partition("/")[0])
        store.make()
        with keep.dump.open("rb") as file:
            store.upload(name, file)
    except TrawlError as error:
        raise Retriable(
            f"the dump from before the upgrade cannot be kept in {keep.to}, so the database is not upgraded: {error.message}",
            remedy=f"{error.remedy or 'check that the object store runs and can be reached'}; {WITHOUT}",
        ) from None
    log.info("kept a dump from before the upgrade: %s/%s", keep.to, name)
    keep.dump.unlink()


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


def main(arguments: Sequence[str] | None = None) -> int:
    """Migrate, and say what was done; 2 for what a repetition does not mend."""
    parser = argparse.ArgumentParser(prog="python -m trawl.orchestration.migrate", allow_abbrev=False)
    parser.add_argument("--dump", type=Path)
    parser.add_argument("--to", default="")
    parser.add_argument("--make-bucket", action="store_true")
    options = parser.parse_args(arguments)
    keep = None if options.dump is None else Keep(options.dump, options.to, options.make_bucket)
    logging.basicConfig(level=logging.INFO, format="trawl: %(message)s", stream=sys.stderr)
    try:
        asyncio.run(migrate(keep))
    except TrawlError as error:
        sys.stderr.write(f"trawl: {error}\n")
        return 2 if isinstance(error, ConfigurationError) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
