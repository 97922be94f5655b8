"""Where backups lie: one manifest each, over objects that all of them share.

- `20261127T023000Z/manifest.json`: which objects the lake had, and what each holds; written last
- `20261127T023000Z/prefect.dump`: what was added to it
- `before-upgrade/...dump`: no backup's: a database, before an upgrade changed it
- `objects/3f/3f2a...`: by the hash of what they hold: what two backups have in common lies there once
"""

import json
import re
from collections.abc import Collection
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Annotated, ClassVar

from pydantic import ConfigDict, Field, TypeAdapter

from trawl.lake.runs.documents import CLOSED, read
from trawl.lake.store import Store
from trawl.model.errors import ConfigurationError, LakeError

_NAME = re.compile(r"\d{8}T\d{6}Z")
FORMAT = 1


@dataclass(frozen=True, slots=True)
class Kept:
    """An object of the lake: where it lay, its size, the store's tag of it then, and the hash of its content."""

    __pydantic_config__: ClassVar[ConfigDict] = CLOSED

    path: str
    size: int
    tag: str
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

    @property
    def place(self) -> str:
        """Where its content lies in the backup."""
        return f"objects/{self.sha256[:2]}/{self.sha256}"


@dataclass(frozen=True, slots=True)
class Backup:
    """A lake as it was at one moment.

    Attributes:
        versions: the version of each source's log.
        added: the files that were added to it, and their sizes.
    """

    __pydantic_config__: ClassVar[ConfigDict] = CLOSED

    name: str
    lake: str
    versions: dict[str, int]
    added: dict[str, int]
    objects: list[Kept]
    format: int = FORMAT

    @property
    def size(self) -> int:
        return sum(kept.size for kept in self.objects)


class Backups:
    """The backups below one URL."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def names(self) -> list[str]:
        """The finished ones, newest first."""
        return [name for name in self._folders() if self.store.get(_manifest(name)) is not None]

    def read(self, name: str) -> Backup:
        """One of them. Raises ConfigurationError where there is none of that name."""
        content = self.store.get(_manifest(name)) if _NAME.fullmatch(name) else None
        if content is None:
            raise ConfigurationError(
                f"{self.store.url} holds no backup {name!r}",
                remedy=f"it holds: {', '.join(self.names()) or 'none'}",
            )
        found = read(_BACKUP, content)
        if found is None or found.format != FORMAT:
            raise LakeError(
                f"the backup {name} in {self.store.url} is damaged, or a newer Trawl's: {_manifest(name)}",
                remedy="use another one, or a newer Trawl",
            )
        return found

    def dumps(self) -> dict[str, int]:
        """The dumps that lie beside the backups, each made before an upgrade, with their sizes."""
        return {item["path"]: item["size"] for item in self.store.scan("before-upgrade")}

    def finish(self, backup: Backup) -> None:
        """Write the manifest: only this makes a backup."""
        self.store.create(_manifest(backup.name), json.dumps(asdict(backup)).encode())

    def contents(self) -> dict[str, int]:
        """The shared objects that are there, with their sizes."""
        return {item["path"]: item["size"] for item in self.store.scan("objects")}

    def prune(self, keep: int) -> list[str]:
        """Remove all but the newest, what was left unfinished, and what only these used; the names of those that went."""
        names = self.names()
        kept, gone = names[:keep], names[keep:]
        needed = {item.place for name in kept for item in self.read(name).objects}
        for name in gone:
            self.store.delete(_manifest(name))
        for name in set(self._folders()) - set(kept):
            for item in list(self.store.scan(name)):
                self.store.delete(item["path"])
            self.store.prune(name)
        for path in self.contents().keys() - needed:
            self.store.delete(path)
            self.store.prune(path.rpartition("/")[0])
        return gone

    def _folders(self) -> list[str]:
        return sorted(filter(_NAME.fullmatch, self.store.folders()), reverse=True)


def name_of(now: datetime) -> str:
    """A backup's name: its moment, in UTC."""
    return f"{now:%Y%m%dT%H%M%SZ}"


def place_of(name: str, file: str) -> str:
    """Where a file lies that was added to a backup."""
    return f"{name}/{file}"


def known(backup: Backup | None, contents: Collection[str]) -> dict[tuple[str, int, str], Kept]:
    """What need not be read again, by path, size and tag: it is as it was in an earlier backup, and lies there still."""
    if backup is None:
        return {}
    return {(kept.path, kept.size, kept.tag): kept for kept in backup.objects if kept.place in contents}


def _manifest(name: str) -> str:
    return f"{name}/manifest.json"


_BACKUP = TypeAdapter(Backup)
