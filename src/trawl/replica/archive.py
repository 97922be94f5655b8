"""Serve a .tar.zst of PokeAPI's data without unpacking it to disk."""

import tarfile
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import zstandard

from trawl.model.errors import ConfigurationError
from trawl.replica.catalogue import Document, Listing, weak_etag, with_absolute_urls
from trawl.replica.stored import INDEX, META, by_id, parse_listing, parse_release, require_root

_MAX_WINDOW_BYTES = 2**27
_LEVEL = 3


@dataclass(slots=True)
class _Packed:
    """A document as it is kept: compressed on its own, so that 280 MB of them need some 40 MB of memory."""

    data: bytes
    etag: bytes | None = None


class ArchiveCatalogue:
    """The documents of one .tar.zst, read once when it is opened and kept compressed in memory.

    A window of up to 128 MB is accepted. Raises ConfigurationError if the file cannot be read, or is not a
    copy of PokeAPI's data.
    """

    def __init__(self, path: Path) -> None:
        self._documents: dict[str, _Packed] = {}
        self._listings: dict[str, Listing] = {}
        self._ids: dict[str, Mapping[str, str]] = {}
        self._unpacker = zstandard.ZstdDecompressor()
        self._unpacking = threading.Lock()
        packer = zstandard.ZstdCompressor(level=_LEVEL)
        for place, raw in _members(path):
            if place and "/" not in place and place != META:
                self._listings[place], self._ids[place] = parse_listing(raw, f"{path}: {place}")
            else:
                packed = packer.compress(with_absolute_urls(raw))
                # A copy, because the compressor's own result keeps the room that the raw document would need.
                self._documents[place] = _Packed(bytes(memoryview(packed)))
        require_root(there="" in self._documents, where=str(path))
        meta = self._documents.get(META)
        self.release = None if meta is None else parse_release(self._unpack(meta), f"{path}: meta")
        self.endpoints = frozenset(self._listings)

    def find(self, path: str) -> Document | Listing | None:
        """See `Catalogue`."""
        packed = self._documents.get(path)
        if packed is None:
            if path in self._listings:
                return self._listings[path]
            other = by_id(path, self._ids)
            packed = None if other is None else self._documents.get(other)
            if packed is None:
                return None
        body = self._unpack(packed)
        if packed.etag is None:
            packed.etag = weak_etag(body)
        return Document(body, packed.etag)

    def _unpack(self, packed: _Packed) -> bytes:
        with self._unpacking:
            return self._unpacker.decompress(packed.data)


def _members(path: Path) -> Iterator[tuple[str, bytes]]:
    """Each document of an archive: its path below api/v2 ("" is the root index) and its bytes."""
    decompressor = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW_BYTES)
    try:
        with (
            path.open("rb") as file,
            decompressor.stream_reader(file) as stream,
            tarfile.open(fileobj=stream, mode="r|") as archive,
        ):
            while (member := archive.next()) is not None:
                archive.members.clear()  # type: ignore[attr-defined]  # it would remember all 15,000
                _, inside, below = member.name.partition("api/v2/")
                if inside and member.isfile() and (below == INDEX or below.endswith(f"/{INDEX}")):
                    content = archive.extractfile(member)
                    if content is not None:
                        yield below.removesuffix(INDEX).removesuffix("/"), content.read()
    except (OSError, EOFError, ValueError, tarfile.TarError, zstandard.ZstdError) as error:
        raise ConfigurationError(
            f"cannot read the archive {path}: {error}",
            remedy="give a complete .tar.zst file (a window log of at most 27) that can be read",
        ) from error
