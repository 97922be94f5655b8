"""What httpx's documentation promises holds: authentication flows, event hooks, requests built and sent by hand."""

import base64
import hashlib
import re
from collections.abc import AsyncGenerator, Generator
from typing import Any

import httpx
from loopback import Asked, asking, reply


class Renewed(httpx.Auth):
    """A token that is fetched where the old one is refused: the flow of httpx's documentation."""

    requires_response_body = True

    def __init__(self) -> None:
        self.token = "stale"

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["Authorization"] = f"Bearer {self.token}"
        response = yield request
        if response.status_code == 401:
            answer = yield httpx.Request("POST", request.url.copy_with(path="/v1/token"), data={"grant": "renew"})
            self.token = answer.json()["token"]
            request.headers["Authorization"] = f"Bearer {self.token}"
            yield request


def guarded(asked: Asked) -> bytes:
    if asked.path == "/v1/token":
        assert (asked.method, asked.body) == ("POST", b"grant=renew")
        return reply(body=b'{"token": "fresh"}')
    return reply() if asked.headers.get("authorization") == "Bearer fresh" else reply(401, b"no")


async def test_a_401_is_the_flows_to_answer() -> None:
    async with asking(guarded) as (ours, server):
        auth = Renewed()
        for _ in range(2):
            assert (await ours.http.get("a", auth=auth)).status_code == 200
        assert [asked.path for asked in server.asked] == ["/v1/a", "/v1/token", "/v1/a", "/v1/a"]
        assert (await ours.http.get("a")).status_code == 401, "whoever sends nothing is told so"


async def test_an_asynchronous_flow_may_read_what_it_wants() -> None:
    class Asynchronous(httpx.Auth):
        async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
            response = yield request
            if response.status_code == 401:
                assert await response.aread() == b"no"
                request.headers["Authorization"] = "Bearer fresh"
                yield request

    async with asking(guarded) as (ours, _):
        assert (await ours.http.get("a", auth=Asynchronous())).status_code == 200


async def test_a_pair_is_basic_and_a_digest_answers_its_challenge() -> None:
    def answer(asked: Asked) -> bytes:
        said = asked.headers.get("authorization", "")
        if said == "Basic " + base64.b64encode(b"me:word").decode():
            return reply(body=b'"basic"')
        if not said.startswith("Digest"):
            return reply(401, b"", www_authenticate='Digest realm="r", nonce="n", qop="auth", algorithm=SHA-256')
        part = {name: value.strip('"') for name, value in re.findall(r'(\w+)=("[^"]*"|\w+)', said)}
        one, two = (hashlib.sha256(text.encode()).hexdigest() for text in ("me:r:word", f"GET:{asked.target}"))
        proof = hashlib.sha256(f"{one}:n:{part['nc']}:{part['cnonce']}:auth:{two}".encode()).hexdigest()
        return reply(body=b'"digest"') if part["response"] == proof else reply(403)

    async with asking(answer) as (ours, _):
        assert (await ours.http.get("a", auth=("me", "word"))).json() == "basic"
        assert (await ours.http.get("a?b=1", auth=httpx.DigestAuth("me", "word"))).json() == "digest"


async def test_hooks_see_each_request_and_its_final_answer() -> None:
    seen: list[Any] = []

    async def asks(request: httpx.Request) -> None:
        request.headers["X-Hook"] = "1"
        seen.append(request.url.path)

    async def answered(response: httpx.Response) -> None:
        await response.aread()
        seen.append((response.status_code, response.text))
        response.raise_for_status()

    def answer(asked: Asked) -> bytes:
        return reply(503) if asked.number == 0 else reply(body=b'"well"')

    async with asking(answer) as (ours, server):
        ours.http.event_hooks = {"request": [asks], "response": [answered]}
        await ours.http.get("a")
        assert seen == ["/v1/a", (200, '"well"')], "retries are the client's, below"
        assert [asked.headers["x-hook"] for asked in server.asked] == ["1", "1"]


async def test_requests_are_built_sent_and_streamed_by_hand() -> None:
    async def parts() -> AsyncGenerator[bytes]:
        yield b"one, "
        yield b"two"

    async with asking(lambda asked: reply(body=asked.body or b"none")) as (ours, server):
        client = ours.http
        assert (await client.send(client.build_request("PUT", "a", content=parts()))).text == "one, two"
        assert (await client.post("a", json={"query": "{ a }"})).json() == {"query": "{ a }"}
        assert (await client.post("a", files={"f": ("n.txt", b"file")})).text.count("file") >= 1
        assert server.asked[-1].headers["content-type"].startswith("multipart/form-data; boundary=")
        response = await client.send(client.build_request("GET", "a"), stream=True)
        assert await response.aread() == b"none"
        await response.aclose()
        assert response.elapsed.total_seconds() > 0
        assert client._transport._pool._requests == []


async def test_a_repeated_header_is_one_list() -> None:
    async with asking(reply()) as (ours, server):
        await ours.http.get("a", headers=[("X-Tag", "a"), ("X-Tag", "b")])
        assert server.asked[0].headers["x-tag"] == "a, b"


async def test_several_headers_of_an_answer_are_all_there() -> None:
    raw = reply().replace(b"\r\n\r\n", b"\r\nset-cookie: a=1\r\nset-cookie: b=2\r\nx-name: caf\xc3\xa9\r\n\r\n", 1)
    async with asking(raw) as (ours, _):
        response = await ours.http.get("a")
        assert response.headers.get_list("set-cookie") == ["a=1", "b=2"]
        assert response.headers["x-name"] == "café"
