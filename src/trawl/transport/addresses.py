"""Which addresses may be asked, and where a redirect may lead: pure."""

import re
from collections.abc import Mapping
from urllib.parse import SplitResult, parse_qs, urljoin, urlsplit, urlunsplit

from yarl import URL

from trawl.model.errors import RedirectRefused

_DOTS = re.compile(r"/(?:%2e|\.)*%2e(?:%2e|\.)*(?=[/?#]|$)", re.IGNORECASE)
_ABSOLUTE = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_ENCODED = re.compile(r"[!#-;=?-\[\]_a-z~]*")  # what may stand in an address as it is
_LONGEST = 65_536  # characters of an address


def locate(url: str, own_url: str, base_url: str) -> str:
    """The address to ask for: relative ones below the base, the source's own moved to it.

    Raises RedirectRefused for another host's, and for what is not an address.
    """
    try:
        if not url.startswith("/") and not _ABSOLUTE.match(url):
            return _checked(f"{base_url}/{url}")
        own, base = urlsplit(own_url), urlsplit(base_url)
        parts = _lifted(_lifted(urlsplit(urljoin(own_url, url)), own), base)
        if _origin(parts) == _origin(own):
            below = parts.path == own.path or parts.path.startswith(own.path + "/")
            path = base.path + parts.path[len(own.path) :] if below else parts.path
            parts = parts._replace(scheme=base.scheme, netloc=base.netloc, path=path)
        if _origin(parts) == _origin(base) and "@" not in parts.netloc:
            return _checked(urlunsplit(parts))
    except ValueError:
        raise RedirectRefused(f"{url} is not an address: refused") from None
    raise RedirectRefused(f"{url} is not on {base_url}: refused")


def _origin(parts: SplitResult) -> tuple[str, str | None, int | None]:
    """Scheme, host and port, the scheme's own port said aloud. Raises ValueError for no port at all."""
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _lifted(parts: SplitResult, origin: SplitResult) -> SplitResult:
    """The address by https, where the origin is asked by that and the address differs in nothing but the scheme.

    Many an API behind a proxy writes its links so. Nothing is ever lowered to http.
    """
    ports = (parts.port or 80, origin.port or 443)
    same = parts.hostname == origin.hostname and (ports == (80, 443) or ports[0] == ports[1])
    if (parts.scheme, origin.scheme) != ("http", "https") or not same or "@" in parts.netloc:
        return parts
    return parts._replace(scheme="https", netloc=origin.netloc)


def joined(url: str, target: str) -> str:
    """Where a `Location` leads. Raises RedirectRefused for what is no address."""
    try:
        return urljoin(url, target)
    except ValueError:
        raise RedirectRefused(f"{target} is not an address: refused") from None


def led(asked: str, url: str, target: str) -> str:
    """Where a redirect leads, with the query that was asked for.

    Frameworks that add a slash at the end of a path forget the query: it is sent again. Raises RedirectRefused where the
    target changes it, or is another path without it: what comes from there is no answer to what was asked.
    """
    before, after = urlsplit(url), urlsplit(target)
    if not asked or _values(asked).items() <= _values(after.query).items():
        return target
    if not after.query and before.path.rstrip("/") == after.path.rstrip("/"):
        return urlunsplit(after._replace(query=asked, fragment=""))
    raise RedirectRefused(f"{url} leads to {target}, which is not what was requested ({asked}): refused")


def _values(query: str) -> dict[str, list[str]]:
    return parse_qs(query, keep_blank_values=True)


def _checked(url: str) -> str:
    """The address, unless it has a segment that says `.` in code: on its way it would become another one."""
    if _DOTS.search(url):
        raise RedirectRefused(f"{url}: a path cannot hold a record's empty, '.' or '..': refused")
    if len(url) > _LONGEST:
        raise RedirectRefused(f"{url[:200]}... is longer than {_LONGEST} characters: refused")
    return url


def below(url: str, base_url: str) -> str:
    """The part of an address below the base; the address itself, where it is elsewhere or that part reads as another."""
    start = f"{base_url}/"
    rest = url[len(start) :] if url.startswith(start) else ""
    return url if not rest or rest.startswith("/") or _ABSOLUTE.match(rest) else rest


def as_sent(url: str, params: Mapping[str, str | int] | None) -> URL:
    """The address as it goes out: what is encoded well already stays to the letter."""
    address = URL(url, encoded=_ENCODED.fullmatch(url) is not None)
    return address.extend_query(params) if params else address
