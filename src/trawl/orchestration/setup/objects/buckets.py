"""Buckets of the object store; endpoint and credentials come from the usual AWS_* variables, or MINIO_ROOT_*."""

import asyncio
import os
from collections.abc import Collection, Mapping
from http import HTTPStatus
from typing import Any, Protocol
from urllib.parse import urlsplit

from trawl.model.errors import ConfigurationError, Retriable, TrawlError
from trawl.orchestration.setup.merging import Change, Found, Wanted

from .kind import Server

_CHECK = "check the name, AWS_ENDPOINT_URL, AWS_REGION, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"


class ObjectStore(Protocol):
    """What is used of boto3's client, which has no types."""

    exceptions: Any

    def create_bucket(self, **arguments: Any) -> object: ...

    def head_bucket(self, **arguments: Any) -> object: ...

    def list_buckets(self) -> object: ...


class Buckets:
    """Buckets are made, and then left: they hold what runs wrote."""

    name = "bucket"

    async def read(self, server: Server, names: Collection[str]) -> dict[str, Found]:
        return await asyncio.to_thread(_there, list(names)) if names else {}

    async def make(self, server: Server, wanted: Wanted) -> None:
        await asyncio.to_thread(_create, wanted.name)

    async def change(self, server: Server, wanted: Wanted, found: Found, changes: Mapping[str, Change]) -> None:
        """A bucket has nothing that set-up looks after."""

    async def remove(self, server: Server, found: Found) -> None:
        """What runs wrote is never removed."""


def _there(names: list[str]) -> dict[str, Found]:
    found: dict[str, Found] = {}
    try:
        s3 = _store()
        for name in names:
            try:
                s3.head_bucket(Bucket=name)
            except s3.exceptions.ClientError as error:
                if _status(error) == HTTPStatus.NOT_FOUND:
                    continue
                if _status(error) != HTTPStatus.FORBIDDEN:  # a key may read and write in a bucket, and not ask for it
                    raise
            found[name] = Found(name, {})
    except Exception as error:  # noqa: BLE001  boto's are of many kinds; what is not its own is raised as it is
        raise _told(error) from None
    return found


def _create(name: str) -> None:
    region = _region()
    # us-east-1 is refused as a constraint: it is where a bucket goes without one.
    place = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    try:
        s3 = _store()
        try:
            s3.create_bucket(Bucket=name, **place)
        except s3.exceptions.BucketAlreadyOwnedByYou:
            return
    except Exception as error:  # noqa: BLE001
        raise _told(error) from None


def make_sure_of(name: str) -> None:
    """Make a bucket, unless it is there."""
    if not _there([name]):
        _create(name)


def signs_in() -> bool:
    """Whether the store knows the user of AWS_ACCESS_KEY_ID by that secret key."""
    try:
        s3 = _store(root=False)
        try:
            s3.list_buckets()
        except s3.exceptions.ClientError as error:
            # Who is known may still be refused a list of all buckets.
            return error.response["Error"]["Code"] not in {"InvalidAccessKeyId", "SignatureDoesNotMatch"}
    except Exception as error:  # noqa: BLE001
        raise _told(error) from None
    return True


def _region() -> str:
    return os.environ.get("AWS_REGION", "us-east-1")


def _store(*, root: bool = True) -> ObjectStore:
    """The store: as MinIO's root user, if it is given, for what the runs' own user may not do."""
    import boto3  # type: ignore[import-untyped]  # noqa: PLC0415  half a second, needed by this step alone
    from botocore.config import Config  # type: ignore[import-untyped]  # noqa: PLC0415

    endpoint = os.environ.get("AWS_ENDPOINT_URL")
    # MinIO, and most of what speaks S3, knows a bucket by the path.
    style = {"addressing_style": "path"} if endpoint else {}
    config = Config(s3=style, retries={"max_attempts": 10})
    keys: dict[str, str] = {}
    if root and "MINIO_ROOT_USER" in os.environ:
        keys["aws_access_key_id"] = os.environ["MINIO_ROOT_USER"]
        keys["aws_secret_access_key"] = os.environ.get("MINIO_ROOT_PASSWORD", "")
    # A session of its own: the default one keeps the credentials that it found first.
    session = boto3.session.Session(region_name=_region())
    client: ObjectStore = session.client("s3", endpoint_url=endpoint, config=config, **keys)
    return client


def _status(error: Exception) -> int:
    status: int = getattr(error, "response", {}).get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return status


def _told(error: Exception) -> Exception:
    """The error in words of ours; one that is not the store's as it is."""
    from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError  # type: ignore[import-untyped]  # noqa: PLC0415

    endpoint = os.environ.get("AWS_ENDPOINT_URL")
    where = f"buckets at {urlsplit(endpoint).hostname}" if endpoint else "buckets"
    if isinstance(error, TrawlError):
        return error
    if isinstance(error, HTTPClientError):
        return Retriable(f"{where}: {error}", remedy="check AWS_ENDPOINT_URL and that the server runs")
    if not isinstance(error, BotoCoreError | ClientError | ValueError):
        return error
    if _status(error) >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Retriable(f"{where}: {error}")
    return ConfigurationError(f"{where}: {error}", remedy=_CHECK)
