"""The Prefect server that its own commands would talk to, and its faults in words of ours.

What a second try may fix is Retriable, and all else a wrong configuration: a set-up Job is started again for the first
and not for the second.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from urllib.parse import urlsplit

import httpx
from prefect import get_client
from prefect.client.orchestration import PrefectClient
from prefect.exceptions import ObjectNotFound, PrefectException, PrefectHTTPStatusError
from prefect.settings import PREFECT_API_URL
from pydantic import ValidationError

from trawl.model.errors import ConfigurationError, Retriable, TrawlError

_ADDRESS = "check PREFECT_API_URL: it ends in /api, for example http://127.0.0.1:4200/api"
_SIGN_IN = "check PREFECT_API_AUTH_STRING (user:password), or PREFECT_API_KEY"
_SETTINGS = "check the variables PREFECT_API_*, SSL_CERT_FILE and HTTP(S)_PROXY"
_PASSING = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT, HTTPStatus.TOO_MANY_REQUESTS}


@asynccontextmanager
async def connected() -> AsyncIterator[PrefectClient]:
    """A client. What its requests fail with is raised as an error that names the server and the remedy."""
    address = _checked(PREFECT_API_URL.value())
    try:
        made = get_client()
    except (OSError, ValueError) as error:  # certificates, a key or a proxy that are none
        raise ConfigurationError(f"{address} cannot be asked: {error}", remedy=_SETTINGS) from None
    try:
        async with made as client:
            if not isinstance((await client.request("GET", "/admin/version")).json(), str):
                raise ConfigurationError(f"{address} does not answer as Prefect's API does", remedy=_ADDRESS)
            yield client
    except PrefectHTTPStatusError as error:
        raise _refused(error.response, address) from None
    except PrefectException as error:
        cause = getattr(error, "http_exc", None)
        if isinstance(error, ObjectNotFound) or not isinstance(cause, httpx.HTTPStatusError):
            raise Retriable(f"{address}: {error or type(error).__name__}") from None
        raise _refused(cause.response, address) from None
    except (httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
        raise ConfigurationError(f"{address}: {error}", remedy=_ADDRESS) from None
    except httpx.HTTPError as error:
        raise Retriable(f"{address} cannot be reached: {error or type(error).__name__}", remedy=_ADDRESS) from None
    except (json.JSONDecodeError, ValidationError):
        raise ConfigurationError(f"{address} does not answer as Prefect's API does", remedy=_ADDRESS) from None


def _checked(address: str | None) -> str:
    """The server's name in errors. Without an address Prefect starts one of its own for as long as it is asked."""
    if address is None:
        return "Prefect's temporary server"
    try:
        parts = urlsplit(address)
        known = (
            parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
        )  # (reading the port is its check)
    except ValueError:
        known = False
    if not known:
        raise ConfigurationError("PREFECT_API_URL is not an http(s) address", remedy=_ADDRESS)
    return f"the Prefect server {parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _refused(answer: httpx.Response, address: str) -> TrawlError:
    said = f"{address} answers {answer.status_code} to {answer.request.method} {answer.request.url.path}"
    if answer.status_code in _PASSING or answer.is_server_error:
        return Retriable(said)
    if answer.status_code in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return ConfigurationError(f"{said}{_detail(answer)}", remedy=_SIGN_IN)
    if answer.status_code == HTTPStatus.UNPROCESSABLE_ENTITY:
        return ConfigurationError(f"{said}{_detail(answer)}", remedy="correct that value of the set-up file")
    return ConfigurationError(f"{said}{_detail(answer)}", remedy=_ADDRESS)


def _detail(answer: httpx.Response) -> str:
    """What a server of Prefect's says about it; another one may say anything."""
    try:
        return f": {json.dumps(answer.json())[:300]}"
    except ValueError:
        return ""
