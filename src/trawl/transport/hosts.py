"""Where a source is asked, and how hard; which hosts may be asked without a limit: loopback, private and cluster ones."""

import ipaddress
import os
import socket
from math import inf
from typing import Literal
from urllib.parse import urlsplit

from trawl.model.config import SLOWEST, SourceConfig, check_base_url
from trawl.model.errors import ConfigurationError

Rate = float | Literal["unlimited"]

_CONNECTIONS = 16  # at the least, where there is no limit
_CLUSTER = (".svc", ".cluster.local", ".localhost")
_SHARED = ipaddress.ip_network("100.64.0.0/10")  # carrier-grade NAT, which some clusters use for their pods


def base_url_of(source: SourceConfig, flag: str | None) -> str:
    """A source's address: flag, else TRAWL_SOURCE_<NAME>_BASE_URL, else its own."""
    return base_url_and_origin(source, flag)[0]


def base_url_and_origin(source: SourceConfig, flag: str | None) -> tuple[str, str]:
    """A source's address, and who named it."""
    variable = f"TRAWL_SOURCE_{source.name.upper()}_BASE_URL"
    for origin, url in (("--base-url", flag), (variable, os.environ.get(variable))):
        if url:
            try:
                return check_base_url(url), origin
            except ValueError as error:
                raise ConfigurationError(
                    f"{origin}: {error}", remedy="for example http://127.0.0.1:8000/api/v2"
                ) from None
    return source.base_url, "`base_url` of the source"


def pace_of(source: SourceConfig, base_url: str, wish: Rate | None) -> tuple[float | None, int]:
    """Requests per second (None: no limit) and connections: the source's own, unless a run wishes otherwise."""
    rate = source.rate.requests_per_second if wish is None else wish
    if rate == "unlimited":
        if not is_private(base_url):
            raise ConfigurationError(
                f"--rate unlimited: {base_url} is a public host",
                remedy=f"unlimited is for loopback, private and cluster addresses; use a number (here: "
                f"{source.rate.requests_per_second:g})",
            )
        return None, max(source.rate.connections, _CONNECTIONS)
    if not SLOWEST <= rate < inf:
        raise ConfigurationError(
            f"--rate {rate:g} is not a valid rate",
            remedy=f"give requests per second (at least {SLOWEST:g}), or 'unlimited'",
        )
    return rate, source.rate.connections


def is_private(url: str) -> bool:
    """Whether every address of the URL's host is loopback, private or a cluster's.

    Asks the resolver, not the host. What has no address is not private.
    """
    host = urlsplit(url).hostname or ""
    if host == "localhost" or host.endswith(_CLUSTER):
        return True
    try:
        found = {info[4][0] for info in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
    except (OSError, ValueError):  # unknown, or no name at all
        return False
    return bool(found) and all(_private(str(address)) for address in found)


def _private(text: str) -> bool:
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if isinstance(address, ipaddress.IPv4Address) and address in _SHARED:
        return True
    return address.is_private and not address.is_unspecified
