"""Says whether Prefect's database is about to be upgraded, so that it is dumped first.

    python -m trawl.orchestration.before_upgrade --note FILE

FILE is there afterwards if a dump is wanted: the database holds something, of another version than this image's. This
starts before every server, so it does without the seconds of imports that Prefect needs.
"""

import argparse
import asyncio
import importlib.util
import os
import re
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import asyncpg  # type: ignore[import-untyped]

from trawl.model.errors import ConfigurationError, Retriable, TrawlError

__all__ = ["main"]

WITHOUT = "backup.beforeUpgrade: false upgrades it without a dump"

_PREFIX = "PREFECT_SERVER_DATABASE_"
_REVISION = re.compile(r"^revision\b[^=]*=\s*[\"'](\w+)", re.MULTILINE)
_DOWN = re.compile(r"^down_revision\b[^=]*=\s*(\([^)]*\)|.*)", re.MULTILINE)


async def connected(
    host: str | None, port: int | None, user: str | None, password: str | None, name: str | None
) -> Any:
    """A connection. Raises ConfigurationError for what is refused, Retriable for what does not answer."""
    where = f"the database {name!r} at {host}:{port}, user {user!r}"
    try:
        return await asyncpg.connect(host=host, port=port, user=user, password=password, database=name, timeout=30)
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


async def revision_of(connection: Any) -> str | None:
    """The revision that the database was brought to, or None where it is empty."""
    if await connection.fetchval("SELECT to_regclass('alembic_version')") is None:
        return None
    found: str | None = await connection.fetchval("SELECT version_num FROM alembic_version")
    return found


def heads() -> set[str]:
    """The newest revisions of this image's Prefect, read out of its migrations without running them."""
    spec = importlib.util.find_spec("prefect")
    assert spec is not None
    assert spec.origin is not None
    folder = Path(spec.origin).parent / "server" / "database" / "_migrations" / "versions" / "postgresql"
    texts = [file.read_text(encoding="utf-8") for file in folder.glob("*.py")]
    older = {word for text in texts for found in _DOWN.findall(text) for word in re.findall(r"[\"'](\w+)[\"']", found)}
    return {found for text in texts for found in _REVISION.findall(text)} - older


def dump_name(revision: str, head: str, now: datetime) -> str:
    """What a dump from before an upgrade is called below the backups' URL."""
    return f"before-upgrade/{revision}-{head}-{now:%Y%m%dT%H%M%SZ}.dump"


async def wanted() -> bool:
    """Whether the database holds something of another version. (That of a newer one, too: whoever mends it is glad of it.)"""
    host, port, user, password, name = (
        os.environ.get(_PREFIX + n) for n in ("HOST", "PORT", "USER", "PASSWORD", "NAME")
    )
    connection = await connected(host, int(port or 5432), user, password, name)
    try:
        revision = await revision_of(connection)
    finally:
        await connection.close()
    return revision is not None and revision not in heads()


def main(arguments: Sequence[str] | None = None) -> int:
    """Leave the note, or none."""
    parser = argparse.ArgumentParser(prog="python -m trawl.orchestration.before_upgrade", allow_abbrev=False)
    parser.add_argument("--note", type=Path, required=True)
    note: Path = parser.parse_args(arguments).note
    try:
        found = asyncio.run(wanted())
    except TrawlError as error:
        sys.stderr.write(f"trawl: {error}\n")
        return 2 if isinstance(error, ConfigurationError) else 1
    note.unlink(missing_ok=True)
    if found:
        sys.stderr.write("trawl: the database is of another version of Prefect: it is dumped first\n")
        note.touch()
    return 0


if __name__ == "__main__":
    sys.exit(main())
