"""The wrapper that pods start through, against an API made up for the test."""

import json
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from trawl.orchestration import start
from trawl.orchestration.make_secrets import manifest, parse
from trawl.replica import running
from trawl.replica.answers import reply, url_of


class FakeApi:
    """Answers `answers[path]`; remembers what was posted."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers = {"/ready": {}, **answers}
        self.posted: dict[str, Any] = {}
        self.signed_in: set[bytes | None] = set()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        path = url_of(scope).removeprefix("/api")
        if scope["method"] == "POST":
            self.posted[path] = json.loads((await receive())["body"])
            await reply(send, (201, [], b"{}"))
        else:
            self.signed_in.add(dict(scope["headers"]).get(b"authorization"))
            await reply(send, (200 if path in self.answers else 404, [], json.dumps(self.answers.get(path)).encode()))


@contextmanager
def serving(api: FakeApi) -> Iterator[dict[str, str]]:
    with running(api) as url:
        yield {"PREFECT_API_URL": url.removesuffix("/v2"), "PREFECT_API_AUTH_STRING": "admin:secret"}


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Whoever looks after a run passes signals on to it: these would no longer end the tests."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def run(state: str, count: int, before: int = 0) -> dict[str, Any]:
    return {
        "/flow_runs/r1": {"run_count": count, "state_type": state},
        "/flow_run_states/?flow_run_id=r1": [{"name": "AwaitingRetry"}] * before,
    }


def child(code: int) -> list[str]:
    return [sys.executable, "-c", f"raise SystemExit({code})"]


@pytest.mark.parametrize("state", ["PENDING", "SCHEDULED", "CRASHED"])
def test_a_run_that_never_began_goes_back_to_its_pool(state):
    api = FakeApi(run(state, 0))
    with serving(api) as env:
        assert start.look_after(child(1), env, "r1") == 0
    assert api.posted["/flow_runs/r1/set_state"]["state"]["name"] == "AwaitingRetry"
    assert api.signed_in == {b"Basic YWRtaW46c2VjcmV0"}


@pytest.mark.parametrize(("state", "count"), [("COMPLETED", 1), ("FAILED", 1), ("CRASHED", 1), ("CANCELLED", 0)])
def test_a_run_that_began_or_was_cancelled_is_left_alone(state, count):
    api = FakeApi(run(state, count))
    with serving(api) as env:
        assert start.look_after(child(3), env, "r1") == 3
    assert not api.posted


def test_a_pod_says_what_it_does_before_prefect_can(capsys):
    with serving(FakeApi(run("COMPLETED", 1))) as env:
        start.look_after(child(0), env, "r1")
    assert capsys.readouterr().err == "trawl: flow run r1: the API answers; loading Prefect takes some seconds\n"


def test_a_run_that_cannot_begin_does_not_go_round_for_ever():
    api = FakeApi(run("CRASHED", 0, before=start.MOST_RESTARTS))
    with serving(api) as env:
        assert start.look_after(child(0), env, "r1") == 1
    assert not api.posted


def test_it_waits_for_what_is_not_there_yet():
    api = FakeApi({})
    with serving(api) as env:
        threading.Timer(0.5, lambda: api.answers.update({"/work_pools/trawl": {}})).start()
        start.wait_for("pool/trawl", env)


def test_it_gives_up_in_the_end():
    with pytest.raises(SystemExit, match="gave up waiting"):
        start.wait_for("tcp://127.0.0.1:1", {}, timeout=0)


def test_secrets_are_made_of_what_is_asked():
    arguments = [
        "api",
        "auth-string=admin:{random}",
        "password={random}",
        "--",
        "s3",
        "--unless-volume=v",
        "key={random}",
    ]
    api, s3 = parse(arguments)
    assert (api.name, api.volume, s3.name, s3.volume) == ("api", None, "s3", "v")
    made = [manifest(api.name, api.values, {"a": "b"})["stringData"] for _ in range(2)]
    assert made[0] != made[1]
    user, password = made[0]["auth-string"].split(":")
    assert (user, password) == ("admin", made[0]["password"])
    assert len(password) == 32
    assert password.isalnum()
    assert manifest(s3.name, s3.values, {})["stringData"].keys() == {"key"}
