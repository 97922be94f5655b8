"""The user as whom flow runs reach MinIO: not the root user, but one that is limited to the installation's buckets."""

import asyncio
import json
import os
from collections.abc import Collection, Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from trawl.model.errors import Retriable
from trawl.orchestration.setup.merging import ABSENT, Change, Found, Wanted

from .buckets import signs_in
from .kind import Server


def policy_for(buckets: Iterable[str]) -> Any:
    """Everything in these buckets, and nothing about buckets themselves or in others."""
    arns = [f"arn:aws:s3:::{bucket}" for bucket in buckets]
    about = ["s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"]
    within = ["AbortMultipartUpload", "DeleteObject", "GetObject", "ListMultipartUploadParts", "PutObject"]
    statements = [
        {"Effect": "Allow", "Action": about, "Resource": arns},
        {"Effect": "Allow", "Action": [f"s3:{action}" for action in within], "Resource": [f"{a}/*" for a in arns]},
    ]
    return _in_order({"Version": "2012-10-17", "Statement": statements})


class MinioUsers:
    """A user whose secret key no longer holds is made again, which sets it: that is how a key is rotated."""

    name = "MinIO user"

    async def read(self, server: Server, names: Collection[str]) -> dict[str, Found]:
        return await asyncio.to_thread(_there, list(names)) if names else {}

    async def make(self, server: Server, wanted: Wanted) -> None:
        await asyncio.to_thread(_make, wanted.name, wanted.fields["policy"])

    async def change(self, server: Server, wanted: Wanted, found: Found, changes: Mapping[str, Change]) -> None:
        if "policy" in changes and changes["policy"].new is not ABSENT:
            await asyncio.to_thread(_make, wanted.name, wanted.fields["policy"])

    async def remove(self, server: Server, found: Found) -> None:
        """A run may still use it."""


def _there(names: list[str]) -> dict[str, Found]:
    users = json.loads(_asked(lambda admin: admin.user_list()))
    found: dict[str, Found] = {}
    for name in names:
        current = name == os.environ.get("AWS_ACCESS_KEY_ID")
        if name not in users or (current and not signs_in()):
            continue
        policies = json.loads(_asked(lambda admin: admin.policy_list()))
        policy = policies.get(_policy(name)) if _policy(name) in users[name].get("policyName", "").split(",") else None
        found[name] = Found(name, {"policy": _in_order(policy)}, ours=True)
    return found


def _in_order(policy: Any) -> Any:
    """MinIO keeps actions and resources as sets, and gives them back in any order."""
    if policy is None:
        return None
    statements = [
        {key: sorted(part) if isinstance(part, list) else part for key, part in statement.items()}
        for statement in policy["Statement"]
    ]
    return {**policy, "Statement": sorted(statements, key=lambda statement: str(statement["Resource"]))}


def _make(name: str, policy: Mapping[str, Any]) -> None:
    key = os.environ["AWS_SECRET_ACCESS_KEY"]
    _asked(lambda admin: admin.policy_add(_policy(name), policy=dict(policy)))
    _asked(lambda admin: admin.user_add(name, key))
    users = json.loads(_asked(lambda admin: admin.user_list()))
    if _policy(name) not in users[name].get("policyName", "").split(","):
        _asked(lambda admin: admin.attach_policy([_policy(name)], user=name))


def _policy(user: str) -> str:
    return f"trawl-{user}"


def _asked(question: Any) -> str:
    """MinIO's answer to a question of its admin API, which has no types."""
    from minio import MinioAdmin  # noqa: PLC0415  needed by this step alone
    from minio.credentials.providers import StaticProvider  # noqa: PLC0415
    from minio.error import MinioAdminException  # noqa: PLC0415
    from urllib3.exceptions import HTTPError  # noqa: PLC0415

    address = urlsplit(os.environ["AWS_ENDPOINT_URL"])
    root = StaticProvider(os.environ["MINIO_ROOT_USER"], os.environ["MINIO_ROOT_PASSWORD"])
    admin = MinioAdmin(endpoint=address.netloc, credentials=root, secure=address.scheme == "https")
    try:
        answer: str = question(admin)
    except (MinioAdminException, HTTPError) as error:
        raise Retriable(
            f"the users of MinIO at {address.hostname}: {' '.join(str(error).split())[:200]}",
            remedy="check AWS_ENDPOINT_URL, MINIO_ROOT_USER and MINIO_ROOT_PASSWORD, and that the server runs",
        ) from None
    return answer
