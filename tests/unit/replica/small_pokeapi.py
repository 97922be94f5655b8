"""A tiny copy of PokeAPI, as a folder and as an archive, and a way to ask an application without a server."""

import asyncio
import io
import json
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zstandard


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


Ask = Callable[..., Reply]


def compact(content: Any) -> bytes:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


def listing(endpoint: str, *entries: tuple[int, str | None]) -> bytes:
    results = [({"name": name} if name else {}) | {"url": f"/api/v2/{endpoint}/{key}/"} for key, name in entries]
    return compact({"count": len(results), "next": None, "previous": None, "results": results})


MOVES = [(number, f"move-{number}") for number in range(1, 26)]

FILES = {
    "": compact({name: f"/api/v2/{name}/" for name in ("item", "machine", "move", "move-ailment", "pokemon")}),
    "meta": compact({"deploy_date": "1785741236", "hash": "852aec90", "tag": None}),
    "pokemon": listing("pokemon", (1, "bulbasaur")),
    "pokemon/1": compact(
        {"id": 1, "text": 'see /api/v2/pokemon/ or \\"/x', "encounters": "/api/v2/pokemon/1/encounters"}
    ),
    "pokemon/1/encounters": compact([{"location_area": {"url": "/api/v2/location-area/9/"}}]),
    "item": listing("item", (723, "roseli-berry"), (2279, "roseli-berry")),
    "item/723": compact({"id": 723, "name": "roseli-berry"}),
    "item/2279": compact({"id": 2279, "name": "roseli-berry"}),
    "machine": listing("machine", (1, None), (2, None)),
    "machine/1": compact({"id": 1}),
    "machine/2": compact({"id": 2}),
    "move-ailment": listing("move-ailment", (-1, "unknown"), (0, "none")),
    "move-ailment/-1": compact({"id": -1, "name": "unknown"}),
    "move-ailment/0": compact({"id": 0, "name": "none"}),
    "move": listing("move", *MOVES),
    **{f"move/{number}": compact({"id": number, "name": name}) for number, name in MOVES},
}


def write_folder(root: Path, files: Mapping[str, bytes] = FILES) -> Path:
    for place, body in files.items():
        file = root / "api" / "v2" / place / "index.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(body)
    return root


def write_archive(path: Path, files: Mapping[str, bytes] = FILES) -> Path:
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as tar:
        for place, body in files.items():
            member = tarfile.TarInfo("/".join(part for part in ("api/v2", place, "index.json") if part))
            member.size = len(body)
            tar.addfile(member, io.BytesIO(body))
    path.write_bytes(zstandard.ZstdCompressor().compress(plain.getvalue()))
    return path


def asking(app: Any) -> Ask:
    """A function that asks an ASGI application one thing."""

    def ask(target: str, method: str = "GET", **headers: str) -> Reply:
        path, _, query = target.partition("?")
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": query.encode(),
            "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
        }
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        async def receive() -> Any:
            raise AssertionError("the replica reads no bodies")

        asyncio.run(app(scope, receive, send))
        start, content = sent
        names = {name.decode(): value.decode() for name, value in start["headers"]}
        return Reply(start["status"], names, content["body"])

    return ask
