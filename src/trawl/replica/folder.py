"""Serve an unpacked copy of PokeAPI's data; files are read when they are asked for."""

import os
from collections.abc import Mapping
from pathlib import Path

from trawl.model.errors import ConfigurationError
from trawl.replica.catalogue import Document, Listing, weak_etag, with_absolute_urls
from trawl.replica.stored import INDEX, META, by_id, parse_listing, parse_release, require_root


class FolderCatalogue:
    """The documents below a folder: the one that holds `api/v2`, or `api/v2` itself.

    Lists and the release are read once, documents on each request. Raises ConfigurationError if it is not a
    copy of PokeAPI's data.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._open(path)
        except OSError as error:
            raise ConfigurationError(
                f"cannot read the folder {path}: {error.strerror or error}", remedy="give the folder that holds api/v2"
            ) from None

    def _open(self, path: Path) -> None:
        self._root = _root(path)
        require_root(there=(self._root / INDEX).is_file(), where=str(path))
        self._listings: dict[str, Listing] = {}
        self._ids: dict[str, Mapping[str, str]] = {}
        for file in sorted(self._root.glob(f"*/{INDEX}")):
            endpoint = file.parent.name
            if endpoint != META:
                self._listings[endpoint], self._ids[endpoint] = parse_listing(file.read_bytes(), str(file))
        meta = self._root / META / INDEX
        self.release = parse_release(meta.read_bytes(), str(meta)) if meta.is_file() else None
        self.endpoints = frozenset(self._listings)
        self._etags: dict[str, tuple[tuple[int, int], bytes]] = {}

    def find(self, path: str) -> Document | Listing | None:
        """See `Catalogue`."""
        if path in self._listings:
            return self._listings[path]
        found = self._read(path)
        if found is None and (other := by_id(path, self._ids)) is not None:
            return self._read(other)
        return found

    def _read(self, path: str) -> Document | None:
        if ".." in path.split("/"):
            return None
        try:
            with open(f"{self._root}/{path}/{INDEX}", "rb") as file:  # noqa: PTH123 - much faster
                status = os.fstat(file.fileno())
                body = with_absolute_urls(file.read())
        except (FileNotFoundError, NotADirectoryError):
            return None
        stamp = (status.st_mtime_ns, status.st_size)
        known = self._etags.get(path)
        if known is None or known[0] != stamp:
            known = self._etags[path] = (stamp, weak_etag(body))
        return Document(body, known[1])


def _root(path: Path) -> Path:
    if not path.is_dir():
        raise ConfigurationError(f"{path} is not a folder", remedy="give the folder that holds api/v2")
    inside = path / "api" / "v2"
    return inside if inside.is_dir() else path
