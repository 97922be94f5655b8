"""Credentials, fetched by reference and sent to the source's own origin only."""

import os
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

import httpx

from trawl.model.config import Credentials
from trawl.model.errors import ConfigurationError

SecretLoader = Callable[[str], str]


def read_secret(credentials: Credentials, load_block: SecretLoader | None = None) -> str:
    """The secret that a reference names. Raises ConfigurationError, which names the reference, never the secret."""
    if credentials.env is not None:
        secret = os.environ.get(credentials.env, "")
        if not secret:
            raise ConfigurationError(
                f"credentials: the environment variable {credentials.env} is not set",
                remedy=f"export {credentials.env}=..., or take `credentials` out of the source",
            )
    elif credentials.file is not None:
        try:
            secret = Path(credentials.file).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise ConfigurationError(
                f"credentials: cannot read {credentials.file}: {error.strerror}",
                remedy="mount the secret there, or name another file",
            ) from None
    elif load_block is not None and credentials.block is not None:
        secret = load_block(credentials.block)
    else:
        raise ConfigurationError(
            f"credentials: block {credentials.block!r} can only be read in a Prefect run",
            remedy="use `env` or `file` here",
        )
    if not secret or not secret.isprintable():
        raise ConfigurationError("credentials: the secret is empty or holds characters that no header can carry")
    return secret


class Credential(httpx.Auth):
    """Adds the secret to requests for one origin, and to no other."""

    def __init__(self, credentials: Credentials, secret: str, origin: httpx.URL) -> None:
        self._kind, self._name, self._secret = credentials.kind, credentials.name or "", secret
        self._origin = (origin.scheme, origin.host, origin.port)

    def auth_flow(self, request: httpx.Request):  # type: ignore[no-untyped-def]  # noqa: ANN201
        if (request.url.scheme, request.url.host, request.url.port) == self._origin:
            match self._kind:
                case "bearer":
                    request.headers["Authorization"] = f"Bearer {self._secret}"
                case "basic":
                    request.headers["Authorization"] = f"Basic {b64encode(self._secret.encode()).decode()}"
                case "header":
                    request.headers[self._name] = self._secret
                case "query":
                    request.url = request.url.copy_merge_params({self._name: self._secret})
        yield request
