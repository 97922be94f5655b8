"""A small API of any size, for what the replica of PokeAPI is not made for."""

from collections.abc import Awaitable, Callable, MutableMapping
from hashlib import sha256
from typing import Any

import orjson

from trawl.replica import serve as serve_app

Message = MutableMapping[str, Any]


def serve(*, records: int, size: int) -> None:
    """Serve endpoints of `records` records each, of about `size` bytes, until the process is ended.

    Whatever is asked for with its own ETag answers 304; that of a list is its endpoint's name, as in the
    lakes of `bench.steps.lakes`.
    """
    serve_app(app(records=records, size=size), port=0, ready=lambda url: print(f"serving {_root(url)}", flush=True))


def app(*, records: int, size: int) -> Callable[..., Awaitable[None]]:
    """The ASGI application."""
    body = _body(size)

    async def answer(scope: Message, _: Callable[..., Any], send: Callable[[Message], Awaitable[None]]) -> None:
        endpoint, _, key = scope["path"].strip("/").partition("/")
        etag = f'"{endpoint}{key and "-" + key}"'.encode()
        headers = [(b"content-type", b"application/json"), (b"etag", etag)]
        if (b"if-none-match", etag) in [(name.lower(), value) for name, value in scope["headers"]]:
            status, parts = 304, [b""]
        else:
            status = 200
            parts = (
                [b'{"id":' + key.encode(), b',"name":"renamed-' + key.encode(), b'",', body]
                if key
                else [_list(records)]
            )
            headers.append((b"content-length", str(sum(map(len, parts))).encode()))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"".join(parts)})

    return answer


def _list(records: int) -> bytes:
    return orjson.dumps([{"id": number, "name": f"renamed-{number}"} for number in range(records)])


def _body(size: int) -> bytes:
    """The rest of a document's object: nested small objects, whose text does not compress away."""
    entries = []
    left = size - 64
    while left > 0:
        digest = sha256(str(left).encode()).hexdigest()
        entry = {
            "language": {"name": digest[:2], "url": f"https://example.com/language/{digest[:2]}/"},
            "text": digest,
        }
        entries.append(entry)
        left -= len(orjson.dumps(entry)) + 1
    return orjson.dumps({"entries": entries})[1:]


def _root(url: str) -> str:
    return url.removesuffix("/api/v2")
