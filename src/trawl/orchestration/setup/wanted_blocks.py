"""The blocks that the set-up file asks for. Secrets come by reference, and errors name the reference alone."""

import os
from collections.abc import Iterator
from typing import Any

from trawl.model.errors import ConfigurationError
from trawl.model.names import config_block_name
from trawl.orchestration.configured import fields_of_source
from trawl.sources import YamlCrawler, get_crawler

from .merging import Wanted
from .settings import Reference, Results, Settings

__all__ = ["NOTIFY", "wanted_blocks"]

NOTIFY = "slack-webhook/trawl-notifications"
"""The block that is made of `notify.slack`."""


def wanted_blocks(settings: Settings, origin: str) -> Iterator[Wanted]:
    """Secrets, the results' bucket, the one who is told, and each source's configuration."""
    for name, reference in settings.secrets.items():
        value = _secret(reference, f"{origin}: secrets.{name}")
        yield Wanted("block", f"secret/{name}", {"value": value}, secret=frozenset({"value"}))
    if settings.results is not None:
        yield from _results(settings.results, origin)
    if settings.notify is not None and settings.notify.slack is not None:
        url = _secret(settings.notify.slack, f"{origin}: notify.slack")
        yield Wanted("block", NOTIFY, {"url": url}, secret=frozenset({"url"}))
    for source, one in settings.sources.items():
        crawler = get_crawler(source)
        if one.block and isinstance(crawler, YamlCrawler):
            yield Wanted("block", f"source-config/{config_block_name(source)}", fields_of_source(crawler.config_block))


def _results(results: Results, origin: str) -> Iterator[Wanted]:
    """The bucket's block, and the one with its credentials: MinIO's where AWS_ENDPOINT_URL names a server, else AWS's."""
    place = f"{origin}: results"
    endpoint, region = os.environ.get("AWS_ENDPOINT_URL"), os.environ.get("AWS_REGION", "us-east-1")
    user = _secret(Reference(env="AWS_ACCESS_KEY_ID"), place)
    password = _secret(Reference(env="AWS_SECRET_ACCESS_KEY"), place)
    if endpoint:
        kind, names = "minio-credentials", ("minio_root_user", "minio_root_password")
        more: dict[str, Any] = {"aws_client_parameters": {"endpoint_url": endpoint}}
    else:
        kind, names, more = "aws-credentials", ("aws_access_key_id", "aws_secret_access_key"), {}
    credentials = f"{kind}/{results.credentials}"
    fields = {names[0]: user, names[1]: password, "region_name": region, **more}
    yield Wanted("block", credentials, fields, secret=frozenset(names))
    bucket = {"bucket_name": results.bucket, "bucket_folder": results.folder, "credentials": {"block": credentials}}
    yield Wanted("block", f"s3-bucket/{results.block_name}", bucket)


def _secret(reference: Reference, place: str) -> str:
    """The secret itself; errors name the reference alone."""
    if reference.env is not None:
        found = os.environ.get(reference.env, "").strip()
        if not found:
            raise ConfigurationError(
                f"{place}: the environment variable {reference.env} is not set",
                remedy=f"export {reference.env}=... where set-up runs, or take the entry out",
            )
        return found
    assert reference.file is not None
    try:
        found = reference.file.read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        # A decoding error would show a part of the secret.
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise ConfigurationError(
            f"{place}: cannot read {reference.file}: {reason}", remedy="put the secret there, or name another file"
        ) from None
    if not found:
        raise ConfigurationError(f"{place}: {reference.file} is empty", remedy="put the secret there")
    return found
