"""Only what is surely private may be asked without a limit."""

import pytest

from trawl.transport import is_private


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST:80",
        "api.localhost",
        "127.0.0.1",
        "127.9.9.9:8000",
        "[::1]",
        "[::1]:8000",
        "10.0.0.1",
    ]
    + [
        "172.16.0.1",
        "192.168.1.1",
        "[fd00::1]",
        "[fe80::1]",
        "100.64.0.1",
        "169.254.1.1",
        "[::ffff:10.0.0.1]",
        "[::ffff:100.64.0.1]",
    ]
    + ["minio.trawl.svc", "minio.trawl.svc.cluster.local", "user@127.0.0.1"],
)
def test_loopback_private_and_cluster_addresses_are_private(host: str) -> None:
    assert is_private(f"http://{host}/v1")


@pytest.mark.parametrize(
    "host",
    [
        "8.8.8.8",
        "[2606:4700::1]",
        "[::ffff:8.8.8.8]",
        "172.32.0.1",
        "100.128.0.1",
        "0.0.0.0",
        "[::]",
        "1.1.1.1:80",
    ]
    + [
        "",
        "nowhere.invalid",
        "localhost.example.invalid",
        "127.0.0.1.example.invalid",
        "a..b",
        "a" * 70 + ".com",
    ]
    + ["svc", "10.0.0.1@8.8.8.8", "xn--.invalid"],
)
def test_everything_else_is_public(host: str) -> None:
    assert not is_private(f"http://{host}/v1")
