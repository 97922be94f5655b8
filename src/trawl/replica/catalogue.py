"""What a replica serves: documents and lists, looked up by path."""

import hashlib
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

ORIGIN = "https://pokeapi.co"
"""The host in every URL of every body, whatever host the replica is asked on: as the real service does."""

PREFIX = "/api/v2"


class Entries(Protocol):
    """The entries of a list in order, each as JSON; a slice may be computed when it is taken."""

    def __len__(self) -> int: ...

    def __getitem__(self, span: slice, /) -> Sequence[bytes]: ...


@dataclass(frozen=True, slots=True)
class Document:
    """A body as it goes over the wire, URLs absolute, with its weak ETag."""

    body: bytes
    etag: bytes


@dataclass(frozen=True, slots=True)
class Listing:
    """A whole list before it is cut into pages."""

    count: int
    """What the list says it holds: the length of `entries`, except in a damaged copy."""

    entries: Entries


@dataclass(frozen=True, slots=True)
class Release:
    """Which deploy a catalogue is, as its meta document says: a hash and Unix seconds, both as text."""

    hash: str
    deploy_date: str


class Catalogue(Protocol):
    """One state of the API. It never changes while it is served: the next day is another catalogue."""

    @property
    def release(self) -> Release | None:
        """Its version token, repeated in the headers of every good answer; PokeAPI had none before 2026."""
        ...

    @property
    def endpoints(self) -> frozenset[str]:
        """The names of the collections it holds, without `meta`."""
        ...

    def find(self, path: str) -> Document | Listing | None:
        """What lies at a lower-cased path below /api/v2, without outer slashes.

        `""` is the root index, `"meta"` the meta document, `"pokemon"` a list, `"pokemon/1"`,
        `"pokemon/bulbasaur"` and `"pokemon/1/encounters"` documents; None is a 404.
        """
        ...


def weak_etag(body: bytes) -> bytes:
    """Express' weak ETag of a body: its length in hex and 27 characters of its SHA-1 in base64."""
    digest = hashlib.sha1(body, usedforsecurity=False).digest()
    return b'W/"%x-%s"' % (len(body), b64encode(digest)[:27])


def as_document(body: bytes) -> Document:
    """A body with its ETag."""
    return Document(body, weak_etag(body))


def with_absolute_urls(body: bytes) -> bytes:
    """Put the live service's host before every JSON string that begins with /api/v2/; touch nothing else."""
    return body.replace(b'"/api/v2/', b'"https://pokeapi.co/api/v2/')
