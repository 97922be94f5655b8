"""The user that set-up makes on MinIO, on a real one."""

import asyncio
import os
import uuid

import boto3
import pytest
from botocore.exceptions import ClientError

from trawl.model.errors import ConfigurationError
from trawl.orchestration.setup.objects.minio_users import MinioUsers, policy_for
from trawl.orchestration.setup.settings import Settings
from trawl.orchestration.setup.wanted import wanted_objects

pytestmark = pytest.mark.xdist_group("prefect")

SET_UP = Settings.model_validate({"buckets": ["lake"], "minio_user": True})


def client(user=None, key=None):
    session = boto3.session.Session(region_name="us-east-1")
    return session.client("s3", aws_access_key_id=user, aws_secret_access_key=key)


@pytest.fixture
def user(monkeypatch):
    """A user that is not there yet, as the environment names it; the root user may make it."""
    if not os.environ.get("TRAWL_TEST_S3"):
        pytest.skip("TRAWL_TEST_S3 names no server")
    monkeypatch.setenv("MINIO_ROOT_USER", os.environ["AWS_ACCESS_KEY_ID"])
    monkeypatch.setenv("MINIO_ROOT_PASSWORD", os.environ["AWS_SECRET_ACCESS_KEY"])
    name = f"user-{uuid.uuid4().hex[:8]}"
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", name)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "first-" + uuid.uuid4().hex)
    return name


@pytest.fixture
def buckets(user):
    root = client(os.environ["MINIO_ROOT_USER"], os.environ["MINIO_ROOT_PASSWORD"])
    mine, other = (f"{kind}-{uuid.uuid4().hex[:8]}" for kind in ("mine", "other"))
    for bucket in (mine, other):
        root.create_bucket(Bucket=bucket)
    return mine, other


def converge(buckets):
    """What set-up does with it: reads, then makes or changes. The kind of step."""
    [wanted] = [
        wish
        for wish in wanted_objects(Settings.model_validate({"buckets": buckets, "minio_user": True, "sources": {}}))
        if wish.key[0] == MinioUsers.name
    ]
    found = asyncio.run(MinioUsers().read(None, [wanted.name])).get(wanted.name)
    if found is None:
        asyncio.run(MinioUsers().make(None, wanted))
        return "made"
    return "same" if found.fields == wanted.fields else "changed"


def test_the_user_may_do_all_in_its_buckets_and_nothing_elsewhere(user, buckets):
    mine, other = buckets
    assert converge([mine]) == "made"
    s3 = client()
    s3.put_object(Bucket=mine, Key="a", Body=b"1")
    assert s3.get_object(Bucket=mine, Key="a")["Body"].read() == b"1"
    s3.delete_object(Bucket=mine, Key="a")
    for refused in (
        lambda: s3.put_object(Bucket=other, Key="a", Body=b"1"),
        lambda: s3.list_objects_v2(Bucket=other),
        lambda: s3.create_bucket(Bucket="new-" + uuid.uuid4().hex[:8]),
        lambda: s3.delete_bucket(Bucket=mine),
    ):
        with pytest.raises(ClientError, match="AccessDenied"):
            refused()


def test_a_second_set_up_leaves_it(user, buckets):
    assert converge([buckets[0]]) == "made"
    assert converge([buckets[0]]) == "same"
    assert converge(list(buckets)) == "changed"


def test_a_new_secret_key_takes_effect(user, buckets, monkeypatch):
    converge([buckets[0]])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "second-" + uuid.uuid4().hex)
    assert converge([buckets[0]]) == "made"
    client().put_object(Bucket=buckets[0], Key="a", Body=b"1")


def test_what_the_policy_allows_names_the_buckets_alone():
    resources = {arn for part in policy_for(["lake"])["Statement"] for arn in part["Resource"]}
    assert resources == {"arn:aws:s3:::lake", "arn:aws:s3:::lake/*"}


def test_without_a_root_user_the_mistake_is_named(monkeypatch):
    for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.delenv("MINIO_ROOT_USER", raising=False)
    with pytest.raises(ConfigurationError, match="minio_user: the environment variable MINIO_ROOT_USER is not set"):
        wanted_objects(SET_UP)
