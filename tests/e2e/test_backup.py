"""What is backed up comes back in a namespace of its own, and a new password for anybody keeps runs working."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from cluster import NAMESPACE, Prefect, get, kubectl, port_forward, secret
from installing import asked, install, let_in, make, own_namespace, ready

pytestmark = pytest.mark.long

RECORDS = "SELECT * FROM pokeapi.records ORDER BY endpoint, key"
VERSIONS = "SELECT * FROM pokeapi.versions ORDER BY endpoint, key, version"
RUNS = "SELECT run_id, status, requests FROM pokeapi.runs ORDER BY run_id"


def made(*words: str, namespace: str = NAMESPACE, code: int = 0) -> str:
    done = make(namespace, *words)
    assert (done.returncode == 0) == (code == 0), done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout + done.stderr


@contextmanager
def signed_in() -> Iterator[Prefect]:
    """With the password and the pods of now: these tests change both."""
    with port_forward("trawl-server", 4200) as address, Prefect(address) as api:
        yield api


def refresh(prefect: Prefect, namespace: str = NAMESPACE) -> None:
    """A run to its end, and to that of its pod: this goes on for some seconds, and a rotation refuses to disturb it."""
    run_id = prefect.start("refresh/refresh-pokeapi")
    assert prefect.wait(run_id, timeout=400)["state_type"] == "COMPLETED", prefect.logs(run_id)
    of_run = ("-l", f"prefect.io/flow-run-id={run_id}")
    kubectl("wait", "job", *of_run, "--for=condition=Complete", "--timeout=60s", namespace=namespace)


@pytest.fixture(scope="module")
def crawled() -> None:
    with signed_in() as prefect:
        refresh(prefect)


@pytest.fixture(scope="module")
def backup(crawled: None) -> str:
    """A backup, made by hand, after somebody has made something in the UI."""
    with signed_in() as prefect:
        if prefect.http.get("/variables/name/kept_by_backup").status_code == 404:
            prefect.post("/variables/", {"name": "kept_by_backup", "value": "yes", "tags": []})
    said = made("backup")
    [line] = [line for line in said.splitlines() if "objects" in line]
    assert "with prefect.dump" in said
    return line.partition(":")[0]


def test_a_backup_is_listed_and_a_second_one_copies_nothing(backup):
    assert backup in made("backups")
    again = made("backup")
    assert "of which 0 were new" in again
    assert again.count("prefect.dump")


def test_flow_runs_cannot_reach_the_backups(backup):
    code = "import boto3, os; boto3.client('s3', endpoint_url=os.environ['AWS_ENDPOINT_URL']).list_objects_v2(Bucket='trawl-backup')"
    with pytest.raises(subprocess.CalledProcessError) as refused:
        kubectl("exec", "deploy/trawl-worker", "--", "python", "-c", code)
    assert "AccessDenied" in refused.value.stderr


def test_a_lake_that_is_not_empty_is_not_restored_over(backup):
    before = asked(NAMESPACE, VERSIONS)
    said = made("restore", code=2)
    assert "is not empty" in said
    ready(NAMESPACE)
    assert asked(NAMESPACE, VERSIONS) == before


@pytest.fixture
def elsewhere() -> Iterator[str]:
    """A second installation, which finds the first one's backups."""
    keys = secret("trawl-minio")
    with own_namespace("trawl-restored") as namespace:
        words = [f"--from-literal=access-key={keys['root-user']}", f"--from-literal=secret-key={keys['root-password']}"]
        kubectl("create", "secret", "generic", "backup-keys", *words, namespace=namespace)
        with let_in(namespace, "minio"):
            endpoint = f"backup.external.endpoint=http://trawl-minio.{NAMESPACE}:9000"
            install(namespace, f"{endpoint},backup.existingSecret=backup-keys")
            yield namespace


def test_a_new_installation_gets_all_of_it_back_and_works(backup, elsewhere):
    said = made("restore", f"AT={backup}", namespace=elsewhere)
    assert f"{backup} is restored" in said
    assert "Prefect's database is restored" in said
    assert asked(elsewhere, VERSIONS) == asked(NAMESPACE, VERSIONS)
    assert asked(elsewhere, RECORDS) == asked(NAMESPACE, RECORDS)
    assert asked(elsewhere, RUNS) == asked(NAMESPACE, RUNS)
    with port_forward("trawl-server", 4200, namespace=elsewhere) as address, Prefect(address, elsewhere) as restored:
        assert restored.get("/variables/name/kept_by_backup")["value"] == "yes"
        assert restored.post("/flow_runs/count", {"flow_runs": {"state": {"type": {"any_": ["COMPLETED"]}}}})
        # Its own stores and keys, not those of the installation that the backup came from.
        refresh(restored, elsewhere)
    assert asked(elsewhere, VERSIONS) == asked(NAMESPACE, VERSIONS)


@pytest.mark.usefixtures("crawled")
@pytest.mark.parametrize("kind", ["postgres", "s3", "minio", "api"])
def test_a_new_password_keeps_runs_working_and_the_old_one_is_worth_nothing(kind):
    name = f"trawl-{kind}"
    before = secret(name)
    said = made("rotate", f"SECRET={kind}")
    after = secret(name)
    changed = {key for key in before if before[key] != after[key]}
    assert changed
    for key in changed:
        assert after[key] not in said
        assert len(after[key].rpartition(":")[2]) == 32
    with signed_in() as prefect:
        refresh(prefect)
        if kind == "api":
            prefect.http.auth = tuple(before["auth-string"].split(":", 1))
            assert prefect.http.post("/flow_runs/filter", json={}).status_code == 401
    if kind == "postgres":
        probe = f"PGPASSWORD={before['password']} psql -h $(hostname -i) -U prefect -d prefect -c 'SELECT 1'"
        with pytest.raises(subprocess.CalledProcessError) as refused:
            kubectl("exec", "trawl-postgres-0", "--", "sh", "-c", probe)
        assert "password authentication failed" in refused.value.stderr


def test_a_rotation_waits_for_running_runs_and_names_them():
    with signed_in() as prefect:
        _a_run_is_named(prefect)


def _a_run_is_named(prefect: Prefect) -> None:
    run_id = prefect.start("refresh/refresh-pokeapi", force=True, rate=20)
    name = prefect.get(f"/flow_runs/{run_id}")["name"]
    while not get("pods", "-l", f"prefect.io/flow-run-id={run_id}"):
        pass
    before = secret("trawl-api")
    said = made("rotate", "SECRET=api", code=2)
    assert name in said
    assert "FORCE=1" in said
    assert secret("trawl-api") == before
    prefect.post(f"/flow_runs/{run_id}/set_state", {"state": {"type": "CANCELLING"}, "force": True})
    prefect.wait(run_id)


def test_an_unknown_secret_is_refused_with_those_that_there_are():
    assert "api, postgres, minio, s3, valkey" in made("rotate", "SECRET=postgre", code=2)
    assert "has made no Secret for valkey" in made("rotate", "SECRET=valkey", code=2)
