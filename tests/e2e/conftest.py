import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson
import pytest
from cluster import CONTEXT, Json, Prefect, kubectl, port_forward, secret


@pytest.fixture(scope="session", autouse=True)
def _cluster() -> None:
    if not shutil.which("kubectl"):
        pytest.exit("tests/e2e needs kubectl and the cluster of `make up`", returncode=2)
    try:
        kubectl("get", "deployment", "trawl-server")
    except subprocess.CalledProcessError as error:
        pytest.exit(f"no installation in {CONTEXT}; `make up` makes one: {error.stderr.strip()}", returncode=2)


@pytest.fixture(scope="module")
def prefect() -> Iterator[Prefect]:
    with port_forward("trawl-server", 4200) as address, Prefect(address) as api:
        yield api


@pytest.fixture(scope="session")
def replica() -> Iterator[str]:
    with port_forward("pokeapi", 80, namespace="trawl-replica") as address:
        yield f"{address}/api/v2"


@pytest.fixture(scope="session")
def query() -> Callable[[str], list[Json]]:
    """`trawl query` on this machine, on the lake in the cluster, with the pod and the keys of now: tests change both."""
    trawl = str(Path(sys.executable).with_name("trawl"))

    def ask(sql: str) -> list[Json]:
        keys = secret("trawl-s3")
        with port_forward("trawl-minio", 9000) as address:
            env = {
                **os.environ,
                "AWS_ENDPOINT_URL": address,
                "AWS_ALLOW_HTTP": "true",
                "AWS_REGION": "us-east-1",
                "AWS_ACCESS_KEY_ID": keys["access-key"],
                "AWS_SECRET_ACCESS_KEY": keys["secret-key"],
            }
            command = [trawl, "query", sql, "--lake", "s3://trawl-lake", "--format", "jsonl"]
            done = subprocess.run(command, env=env, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return [orjson.loads(line) for line in done.stdout.splitlines()]

    return ask
