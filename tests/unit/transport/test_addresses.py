"""Which address is asked for, by what a program says."""

import httpcore
import httpx
import pytest

from trawl.transport.addresses import below
from trawl.transport.answers import is_misread, same_address
from trawl.transport.asynctransport import _url


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("https://h/v2/a?b=1", "a?b=1"),
        ("https://h/v2/", "https://h/v2/"),
        ("https://h/v2", "https://h/v2"),
        ("https://h/v2x/a", "https://h/v2x/a"),
        ("https://h/v2//a", "https://h/v2//a"),
        ("https://h/v2/https://other/a", "https://h/v2/https://other/a"),
        ("https://other/v2/a", "https://other/v2/a"),
    ],
)
def test_what_lies_below_the_base_is_told_by_its_path(url: str, found: str) -> None:
    assert below(url, "https://h/v2") == found


@pytest.mark.parametrize(
    ("path", "misread"),
    [
        ("a/1", False),
        ("/a/1", True),
        ("a:1", True),
        ("a/b:1", False),
        ("https://h/a", False),
        ("a:1?u=https://h", True),
    ],
)
def test_a_path_that_httpx_takes_for_another_is_known(path: str, misread: bool) -> None:
    assert is_misread(path) == misread


def test_the_same_address_may_be_written_in_two_ways() -> None:
    assert same_address("https://h:443/a b", "https://h/a%20b")
    assert not same_address("https://h/a", "https://h/a/")
    assert not same_address("https://h/a", "https://h:x/a")


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000/a?b=%2F", "https://h/", "http://[::1]:8000/a"])
def test_an_address_goes_through_httpcore_unchanged(url: str) -> None:
    asked = httpx.URL(url)
    handed = httpcore.URL(scheme=asked.raw_scheme, host=asked.raw_host, port=asked.port, target=asked.raw_path)
    assert _url(handed) == url
