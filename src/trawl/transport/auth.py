"""Credentials, fetched by reference and sent to the source's own origin only."""

import os
import re
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, quote_plus

from yarl import URL

from trawl.model.config import Credentials
from trawl.model.errors import ConfigurationError

SecretLoader = Callable[[str], str | None]
"""Gives the secret in the block of this name, or None where there is no such block."""

_NONE = frozenset({"", "none", "null", "n/a", "no-key", "not-needed"})


def read_secret(credentials: Credentials | None, load_block: SecretLoader | None = None) -> str | None:
    """The secret that a reference names. None without one, or where its block is not there or only stands in for one.

    Raises ConfigurationError, which names the reference, never the secret.
    """
    if credentials is None or (credentials.block is not None and is_placeholder(credentials.block)):
        return None
    found = _find_secret(credentials, load_block)
    if found is None or (credentials.block is not None and is_placeholder(found)):
        return None
    return _sendable(credentials, found)


def _sendable(credentials: Credentials, found: str) -> str:
    secret = found.strip()
    plain = secret.isascii() or credentials.kind in {"basic", "query"}  # these two encode it
    if not secret or not secret.isprintable() or not plain:
        raise ConfigurationError(
            f"credentials: the secret in {credentials.env or credentials.file or credentials.block or 'get_api_key'} is "
            "empty or holds characters that no header can carry",
            remedy="check its content",
        )
    return secret


def is_placeholder(text: str) -> bool:
    """Whether a block's name, or what it holds, says that there is no secret: nothing, `none`, or a word that is `dummy`."""
    plain = text.strip().lower().replace("_", "-")
    return plain in _NONE or "dummy" in re.split(r"[^a-z0-9]+", plain)


def _find_secret(credentials: Credentials, load_block: SecretLoader | None) -> str | None:
    if credentials.env is not None:
        secret = os.environ.get(credentials.env)
        if not secret:
            raise ConfigurationError(
                f"credentials: the environment variable {credentials.env} is not set",
                remedy=f"export {credentials.env}=..., or take `credentials` out of the source",
            )
        return secret
    if credentials.file is not None:
        try:
            return Path(credentials.file).read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            # A decoding error would show a part of the secret.
            reason = error.strerror if isinstance(error, OSError) else "it is not text"
            raise ConfigurationError(
                f"credentials: cannot read {credentials.file}: {reason}",
                remedy="put the secret there, or name another file",
            ) from None
    if load_block is not None and credentials.block is not None:
        return load_block(credentials.block)
    raise ConfigurationError(
        f"credentials: block {credentials.block!r} can only be read in a Prefect run",
        remedy="use `env` or `file` here",
    )


class Credential:
    """Adds the secret to requests for one origin, and to no other."""

    def __init__(self, credentials: Credentials, secret: str, origin: str) -> None:
        secret = _sendable(credentials, secret)  # a source in Python may have got it from anywhere
        self._kind, self._name, self._secret = credentials.kind, credentials.name or "", secret
        self._header = self._name.lower() if self._kind == "header" else "authorization"
        self._origin = _origin_of(URL(origin))
        spelt = (secret, quote(secret), quote(secret, safe=""), quote_plus(secret), b64encode(secret.encode()).decode())
        shapes = sorted(set(spelt), key=len, reverse=True)
        self._parameter = re.compile(rf"(?<=[?&]){re.escape(quote_plus(self._name))}=[^&#>\s\"]*&?")
        self._shapes = re.compile("|".join(map(re.escape, shapes)), re.IGNORECASE)  # %2B is %2b to some

    def sign(self, address: URL, headers: dict[str, str]) -> tuple[URL, dict[str, str]]:
        """The address and headers of a request, with the secret if it goes to the source's own origin.

        A header that the request brings itself stays: whoever signs a request otherwise means that.
        """
        if _origin_of(address) != self._origin:
            return address, headers
        if self._kind == "query":
            return address.update_query({self._name: self._secret}), headers
        if self._header in map(str.lower, headers):
            return address, headers
        match self._kind:
            case "bearer":
                return address, headers | {"Authorization": f"Bearer {self._secret}"}
            case "basic":
                return address, headers | {"Authorization": f"Basic {b64encode(self._secret.encode()).decode()}"}
            case "header":
                return address, headers | {self._name: self._secret}

    def unsigned(self, text: str) -> str:
        """Addresses without the secret in their query, where an API repeats it: `sign` adds it anew."""
        return self._parameter.sub("", text) if self._kind == "query" else text

    def hide(self, text: str) -> str:
        """The text without the secret: the libraries below put addresses into their errors."""
        return self._shapes.sub("...", text)


def _origin_of(address: URL) -> tuple[str, str | None, int | None]:
    return address.scheme, address.host and address.host.lower(), address.port
