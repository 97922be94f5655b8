"""A real snapshot, unpacked: all of it, or a part that keeps its mix of endpoints."""

import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from zlib import crc32

import zstandard


def unpack(archive: str, folder: str, documents: int | None = None) -> list[str]:
    """Unpack to `folder`, with about `documents` of the records where that is given.

    The records' addresses below api/v2 come back, mixed: large endpoints do not bunch.
    """
    members = dict(_members(Path(archive)))
    records = {path for path in members if len(path.split("/")) > 2}
    share = 1.0 if documents is None else documents / len(records)
    kept = {path for path in records if crc32(_record(path).encode()) < share * 2**32}
    for path, body in members.items():
        if path in kept or path not in records:
            target = Path(folder, "api", "v2", path)
            target.parent.mkdir(parents=True, exist_ok=True)
            is_list = len(path.split("/")) == 2 and path != "meta/index.json"
            target.write_bytes(_cut(body, kept) if is_list else body)
    return [path.removesuffix("index.json") for path in sorted(kept, key=lambda path: crc32(path.encode()))]


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


def _record(path: str) -> str:
    """What a document belongs to: a pokemon's encounters stay with it."""
    return "/".join(path.split("/")[:2])


def _cut(listing: bytes, kept: set[str]) -> bytes:
    content = json.loads(listing)
    entries = [item for item in content["results"] if item["url"].removeprefix("/api/v2/") + "index.json" in kept]
    return json.dumps(content | {"count": len(entries), "results": entries}, ensure_ascii=False).encode()
