"""Secrets are used, and written nowhere: not in logs, artifacts, parameters, command lines or the server's database."""

import os
import subprocess
import uuid
from base64 import b64encode
from pathlib import Path
from secrets import token_hex
from urllib.parse import quote

import httpx
import pytest

from tests.server import databases
from tests.server.canaries import stands_in
from tests.server.place import Api, Place
from tests.server.processes import PREFECT, server, until
from trawl.replica import running

SETUP = """
pool: {name: trawl, type: process}
secrets: {pokeapi-key: {env: SOURCE_KEY}}
sources: {pokeapi: {discover: [], refresh: [], maintain: []}}
"""
RESULTS = "results: {bucket: trawl-test, folder: results}\n"


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_secrets_are_used_and_stand_nowhere(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if kind == "postgres" and databases.programs() is None:
        pytest.skip("PostgreSQL is not installed")
    canaries = {name: f"c4nary/{name}+{token_hex(8)}" for name in ("source", "api", "database")}
    s3 = os.environ.get("TRAWL_TEST_S3")
    if s3:
        canaries["s3"] = os.environ["AWS_SECRET_ACCESS_KEY"]
    monkeypatch.setenv("SOURCE_KEY", canaries["source"])
    home = tmp_path / "prefect"
    file = tmp_path / "setup.yaml"
    file.write_text(SETUP + (RESULTS if s3 else ""))
    api = Api()
    database = databases.sqlite(home) if kind == "sqlite" else databases.postgres(tmp_path, canaries["database"])
    with running(api) as url, database as (settings, dump):
        auth = {"PREFECT_SERVER_API_AUTH_STRING": f"trawl:{canaries['api']}"}
        with server(home, **auth, **settings) as made:
            command = [*PREFECT[:1], "-c", "from trawl.cli import main; main()", "setup", "--config", str(file)]
            subprocess.run(command, env=made.env, check=True, stdout=subprocess.DEVNULL)
            # As a person does in the UI.
            block = made.ask("GET", "block_types/slug/source-config/block_documents/name/pokeapi-source-config")
            made.ask("PATCH", f"block_documents/{block['id']}", {"data": {"api_key_block_name": "pokeapi-key"}})
            place = Place(made, api, url, tmp_path)
            if s3:
                place.lake = f"{s3}/{uuid.uuid4().hex}"
            api.hold("item/2[0-9]*")
            with place.worker():
                run = place.start(endpoints=["item"])
                until(lambda: api.waiting, "a run that waits")
                commands = command_lines()
                api.release()
                state = place.ended(run)
            assert state["type"] == "COMPLETED", state
            assert api.signed == {f"Bearer {canaries['source']}"}
            assert httpx.get(f"{made.url}/admin/version").status_code == 401
            dumped = dump()
    assert b"refresh-pokeapi" in dumped
    assert b"item" in dumped
    assert b"prefect" in commands
    written = {str(path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert any(b"shard 0" in text for text in written.values())
    for name, secret in canaries.items():
        for place_, text in {"a command line": commands, "the database": dumped, **written}.items():
            assert not stands_in(secret, text), f"the {name} secret stands in {place_}"


def command_lines() -> bytes:
    """Those of all processes, as anybody on the machine can read them."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            found.append((folder / "cmdline").read_bytes() if folder.name.isdigit() else b"")
        except OSError:
            continue
    return b"\n".join(found)


def test_a_secret_is_found_in_every_form() -> None:
    secret = "c4nary/x+1234"
    for text in (
        secret.encode(),
        quote(secret, safe="").encode(),
        secret.encode().hex().encode(),
        *(b64encode(b"user:"[:size] + secret.encode() + b"...") for size in range(4)),
    ):
        assert stands_in(secret, b"before " + text + b" after")
    assert not stands_in(secret, b"c4nary/x+1235")
