"""A real snapshot, unpacked as the live service answers: all of it, or a part that keeps its mix of endpoints."""

import json
import tarfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from zlib import crc32

import zstandard

from trawl.replica.catalogue import with_absolute_urls


def unpack(archive: str, folder: str, documents: int) -> dict[str, Any]:
    """Unpack to `folder`: the lists, and `documents` of the records, or all where there are no more.

    Back come the records' addresses below api/v2, mixed, so that large endpoints do not bunch; the endpoints that
    have a list; and how many entries the documents that are lists themselves (encounters) hold.
    """
    members = {path: with_absolute_urls(body) for path, body in _members(Path(archive))}
    lists = {path for path in members if len(path.split("/")) == 2 and path != "meta/index.json"}
    kept = choose((path for path in members if len(path.split("/")) > 2), documents)
    for path in [*(members.keys() & {"index.json", "meta/index.json"}), *lists, *kept]:
        target = Path(folder, "api", "v2", path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(_cut(members[path], kept) if path in lists else members[path])
    return {
        "paths": [path.removesuffix("index.json") for path in sorted(kept, key=lambda path: crc32(path.encode()))],
        "endpoints": sorted(path.split("/")[0] for path in lists),
        "entries": sum(len(json.loads(members[path])) for path in kept if len(path.split("/")) > 3),
    }


def choose(paths: Iterable[str], documents: int) -> set[str]:
    """So many of the paths, always the same ones: those of the records whose checksums are the lowest.

    A pokemon's encounters stay with it: where both would be one too many, the next record takes their place (if only
    such pairs are left, it is one fewer).
    """
    records: dict[str, list[str]] = defaultdict(list)
    for path in paths:
        records["/".join(path.split("/")[:2])].append(path)
    kept: set[str] = set()
    for record in sorted(records, key=lambda record: crc32(record.encode())):
        if len(kept) + len(records[record]) <= documents:
            kept.update(records[record])
    return kept


def _members(archive: Path) -> Iterator[tuple[str, bytes]]:
    """The documents: `ENDPOINT/index.json`, `ENDPOINT/ID/index.json`, `pokemon/ID/encounters/index.json`."""
    with (
        archive.open("rb") as file,
        zstandard.ZstdDecompressor(max_window_size=2**27).stream_reader(file) as stream,
        tarfile.open(fileobj=stream, mode="r|") as tar,
    ):
        for member in tar:
            _, inside, path = member.name.partition("api/v2/")
            content = tar.extractfile(member) if inside and member.isfile() else None
            if content is not None and path.endswith("index.json"):
                yield path, content.read()


def _cut(listing: bytes, kept: set[str]) -> bytes:
    content = json.loads(listing)
    entries = [item for item in content["results"] if item["url"].partition("/api/v2/")[2] + "index.json" in kept]
    return json.dumps(content | {"count": len(entries), "results": entries}, ensure_ascii=False).encode()
