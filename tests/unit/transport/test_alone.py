"""A client of one's own, outside of a run: it keeps to the source's manners all the same."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from loopback import Asked, reply, serving

from trawl.model.config import SourceConfig
from trawl.model.errors import BudgetSpent, ConfigurationError
from trawl.transport import Client

pytestmark = pytest.mark.xdist_group("waits")


def source(**more: Any) -> SourceConfig:
    fields = {"name": "api", "base_url": "https://api.example.com/v1", "endpoints": {"a": {}}}
    return SourceConfig.model_validate(fields | more)


async def test_it_asks_for_paths_and_for_the_sources_full_addresses_at_the_same_place() -> None:
    async with serving(reply()) as server, Client.for_source(source(), base_url=f"{server.url}/v2") as client:
        for url in ("a/1", "https://api.example.com/v1/a/1", f"{server.url}/v2/a/1"):
            assert (await client.get(url)).status == 200
        assert server.targets == ["/v2/a/1"] * 3


async def test_the_variable_names_the_address_unless_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(reply()) as server:
        monkeypatch.setenv("TRAWL_SOURCE_API_BASE_URL", f"{server.url}/env")
        for given, target in ((None, "/env/a"), (f"{server.url}/given", "/given/a")):
            async with Client.for_source(source(), base_url=given) as client:
                await client.get("a")
            assert server.targets[-1] == target
        with pytest.raises(ConfigurationError, match="--base-url"):
            Client.for_source(source(), base_url="ftp://h")


async def test_it_keeps_the_sources_own_pace_and_connections() -> None:
    client = Client.for_source(source(rate={"requests_per_second": 3, "connections": 2}))
    assert (client.requests_per_second, client.connections) == (3, 2)
    assert Client.for_source(source(), rate=0.5).requests_per_second == 0.5
    with pytest.raises(ConfigurationError, match="is a public host"):
        Client.for_source(source(base_url="https://1.1.1.1"), rate="unlimited")
    with pytest.raises(ConfigurationError, match="--rate 0 is not a valid rate"):
        Client.for_source(source(), rate=0)
    async with serving(reply()) as server, Client.for_source(source(), base_url=server.url, rate=20) as client:
        for _ in range(4):
            await client.get("a")
        gaps = [after - before for before, after in zip(server.at, server.at[1:], strict=False)]
        assert all(gap >= 0.04 for gap in gaps)


async def test_it_retries_and_cools_down() -> None:
    moment = datetime(2026, 8, 3, tzinfo=UTC)
    waits: list[timedelta] = []

    def clock() -> datetime:
        return moment

    def answer(asked: Asked) -> bytes:
        return reply(503) if asked.number == 0 else reply(429, retry_after="7") if asked.number == 1 else reply()

    async with serving(answer) as server:
        client = Client.for_source(source(), base_url=server.url, rate="unlimited", clock=clock)
        start = client.cool_down.start

        async def noted(wait: timedelta) -> None:
            nonlocal moment
            waits.append(wait)
            await start(wait)
            moment += wait

        client.cool_down.start = noted  # type: ignore[method-assign]
        async with client:
            assert (await client.get("a")).status == 200
        assert (client.traffic.requests, client.traffic.retries) == (3, 2)
        assert waits == [timedelta(seconds=7)]


@pytest.mark.parametrize("key", ["", "s3cret\r\nX: y", "s3crét"])
async def test_a_key_of_the_sources_own_that_no_header_can_carry_is_refused_unseen(key: str) -> None:
    with pytest.raises(ConfigurationError, match="the secret in get_api_key is empty or holds") as caught:
        await Client.for_source(source(), api_key=lambda: key).__aenter__()
    assert "s3cr" not in str(caught.value)


async def test_its_budget_is_its_own() -> None:
    async with serving(reply()) as server, Client.for_source(source(), base_url=server.url, budget=1) as client:
        await client.get("a")
        with pytest.raises(BudgetSpent):
            await client.get("a")


@pytest.mark.parametrize(
    ("more", "key", "sent"),
    [
        ({}, None, {}),
        ({"credentials": {"block": "none"}}, None, {}),
        ({"credentials": {"env": "API_TOKEN"}}, None, {"authorization": "Bearer from-env"}),
        ({"credentials": {"env": "API_TOKEN"}}, lambda: "own", {"authorization": "Bearer own"}),
        ({"credentials": {"kind": "header", "name": "X-Key", "env": "API_TOKEN"}}, lambda: "own", {"x-key": "own"}),
        ({}, lambda: "own", {"authorization": "Bearer own"}),
        ({"credentials": {"env": "API_TOKEN"}}, lambda: None, {}),
    ],
)
async def test_the_secret_goes_out_as_configured_and_as_a_bearer_token_by_default(
    monkeypatch: pytest.MonkeyPatch, more: Any, key: Any, sent: dict[str, str]
) -> None:
    monkeypatch.setenv("API_TOKEN", "from-env")
    async with (
        serving(reply()) as server,
        Client.for_source(source(**more), base_url=server.url, api_key=key) as client,
    ):
        await client.get("a")
        headers = server.asked[0].headers
        assert {name: headers[name] for name in ("authorization", "x-key") if name in headers} == sent
        assert client.keyless == ("credentials" in more and not sent)
