"""Whole answers of an ASGI application, as its middleware takes them, changes them and sends them on."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]
Answer = tuple[int, Headers, bytes]

HANG_UP = "trawl.hang_up"
"""The extension of the scope that ends a connection: a function that takes `reset`."""


def url_of(scope: Scope) -> str:
    """What a request asks for: the path, with its query."""
    query = scope["query_string"].decode("latin-1")
    return f"{scope['path']}?{query}" if query else str(scope["path"])


async def capture(app: ASGIApp, scope: Scope, receive: Receive, *, query: bytes | None = None) -> Answer:
    """What an application answers, whole: conditions are taken out of the request, and `query` put in its place."""
    status, headers, body = 0, [], bytearray()

    async def keep(message: Message) -> None:
        nonlocal status, headers
        if message["type"] == "http.response.start":
            status, headers = message["status"], list(message["headers"])
        else:
            body.extend(message.get("body", b""))

    plain = [(name, value) for name, value in scope["headers"] if name != b"if-none-match"]
    changed = {"headers": plain} | ({} if query is None else {"query_string": query})
    await app({**scope, **changed}, receive, keep)
    return status, headers, bytes(body)


async def reply(send: Send, answer: Answer, *, more: bool = False) -> None:
    """Send an answer; with `more` the body is not complete yet."""
    status, headers, body = answer
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": more})


async def hang_up(scope: Scope, receive: Receive, *, reset: bool) -> None:
    """End the connection as it is: after what was sent, or at once with a reset. Needs this package's server."""
    scope["extensions"][HANG_UP](reset=reset)
    while (await receive())["type"] != "http.disconnect":
        pass


def conditional(answer: Answer, scope: Scope) -> Answer:
    """The answer, or 304 where the request holds its ETag already."""
    status, headers, _ = answer
    etag = dict(headers).get(b"etag")
    if status == 200 and etag is not None:
        for name, value in scope["headers"]:
            if name == b"if-none-match" and matches(value, etag):
                return 304, [(n, v) for n, v in headers if not n.startswith(b"content-")], b""
    return answer


def matches(if_none_match: bytes, etag: bytes) -> bool:
    """Weak comparison with a list of ETags: W/ does not count; `*` matches whatever exists."""
    if if_none_match == etag:
        return True
    opaque = etag.removeprefix(b"W/")
    tags = (tag.strip() for tag in if_none_match.split(b","))
    return any(tag == b"*" or tag.removeprefix(b"W/") == opaque for tag in tags)


def content(kind: bytes, body: bytes) -> Headers:
    """The headers that describe a body."""
    return [(b"content-type", kind), (b"content-length", b"%d" % len(body))]
