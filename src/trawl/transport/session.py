"""aiohttp's session as a source wants it: who asks, through which proxy, how long it waits."""

import ssl
from functools import cache
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from trawl.model.config import SourceConfig
from trawl.model.errors import ConfigurationError

from .wire import LONGEST_HEADER, Connector, never_twice

SLOWEST = 10
"""A whole answer may take this many times the timeout of one read."""


@cache
def _tls() -> ssl.SSLContext:
    """The system's certificates, read once: that takes 30 ms."""
    return ssl.create_default_context()


def open_session(source: SourceConfig, connections: int, *, secure: bool) -> aiohttp.ClientSession:
    """A session, which whoever opens it closes."""
    limit = source.requests.timeout.total_seconds()
    return aiohttp.ClientSession(
        connector=Connector(limit=connections, ssl=_tls() if secure else True, keepalive_timeout=30),
        headers=own_headers(source),
        timeout=aiohttp.ClientTimeout(total=limit * SLOWEST, sock_connect=limit, sock_read=limit),
        # No cookies: an API that sets them must not be able to tell one run's requests from another's.
        cookie_jar=aiohttp.DummyCookieJar(),
        middlewares=(never_twice,),
        max_line_size=LONGEST_HEADER,
        max_field_size=LONGEST_HEADER,
    )


def own_headers(source: SourceConfig) -> CIMultiDict[str]:
    """What every request of a source says of itself."""
    headers = CIMultiDict({"User-Agent": user_agent(source), "Accept": "application/json"})
    headers.update(source.headers)
    return headers


def user_agent(source: SourceConfig) -> str:
    """Who asks, with an address to complain to, unless the source names itself."""
    from importlib.metadata import version  # noqa: PLC0415

    return source.user_agent or f"trawl/{version('trawl')} (+https://github.com/trawl-crawler/trawl)"


def proxy_for(url: str) -> URL | None:
    """The proxy that the environment (HTTPS_PROXY, NO_PROXY, ...) names for this address.

    Raises ConfigurationError for one that cannot be used.
    """
    parts = urlsplit(url)
    known = getproxies()
    named = next((name for name in (parts.scheme, "all") if known.get(name)), "")
    proxy = known.get(named)
    if not proxy or proxy_bypass(parts.hostname or ""):
        return None
    try:
        found = URL(proxy if "://" in proxy else f"http://{proxy}")
        usable = found.scheme in {"http", "https"} and bool(found.host)
    except ValueError:
        usable = False
    if not usable:
        raise ConfigurationError(
            f"the proxy that {named}_proxy in the environment names is not an http(s) address",
            remedy=f"name an http(s) proxy in {named}_proxy, or {parts.hostname} in no_proxy",
        )
    return found
