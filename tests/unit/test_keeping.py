"""The scripts behind `make restore` and `make rotate`, as far as they decide; tests/e2e does what they do."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture(autouse=True)
def _scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(SCRIPTS))


HELD: dict[str, dict[str, str]] = {
    "api": {"auth-string": "me:old", "username": "me", "password": "old"},
    "postgres": {"password": "old"},
    "minio": {"root-user": "root", "root-password": "old"},
    "s3": {"access-key": "trawl", "secret-key": "old"},
    "valkey": {"password": "old"},
}


@pytest.mark.parametrize("kind", HELD)
def test_a_new_password_takes_the_place_of_the_old_one_and_the_user_stays(kind: str) -> None:
    from rotate import KINDS, fields_of

    assert set(KINDS) == set(HELD)
    after = HELD[kind] | fields_of(kind, HELD[kind], "new")
    assert after.keys() == HELD[kind].keys()
    assert after == {key: value.replace("old", "new") for key, value in HELD[kind].items()}


def test_a_password_is_made_as_the_chart_makes_them() -> None:
    from rotate import new_password

    from trawl.orchestration.make_secrets import manifest

    made = manifest("x", {"password": "{random}"}, {})["stringData"]
    assert isinstance(made, dict)
    for password in (made["password"], new_password(), new_password()):
        assert re.fullmatch(r"[A-Za-z0-9]{32}", password)
    assert new_password() != new_password()


JOB: dict[str, Any] = {
    "metadata": {
        "name": "trawl-bootstrap-1",
        "uid": "u",
        "resourceVersion": "1",
        "labels": {"app": "trawl", "controller-uid": "u", "batch.kubernetes.io/job-name": "j"},
        "annotations": {"meta.helm.sh/release-name": "trawl"},
    },
    "spec": {
        "selector": {"matchLabels": {"batch.kubernetes.io/controller-uid": "u"}},
        "backoffLimit": 2,
        "template": {
            "metadata": {"labels": {"app": "trawl", "batch.kubernetes.io/controller-uid": "u", "job-name": "j"}},
            "spec": {"containers": []},
        },
    },
    "status": {"succeeded": 1},
}


def test_a_job_is_made_again_as_helm_made_it() -> None:
    from cluster import anew

    assert anew(json.loads(json.dumps(JOB))) == {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": "trawl-bootstrap-1",
            "labels": {"app": "trawl"},
            "annotations": {"meta.helm.sh/release-name": "trawl"},
        },
        "spec": {
            "backoffLimit": 2,
            "template": {"metadata": {"labels": {"app": "trawl"}}, "spec": {"containers": []}},
        },
    }


def job() -> dict[str, Any]:
    fetch = {"name": "fetch", "args": ["restore", "--from=s3://b", "--files-to=/tmp/restored"]}
    pod = {"initContainers": [fetch], "containers": [{"name": "database"}]}
    return {"metadata": {"name": "trawl-restore-1"}, "spec": {"template": {"spec": pod}}}


@pytest.mark.parametrize(
    ("at", "dump", "added"),
    [("", "", []), ("20261127T023000Z", "", ["--at=20261127T023000Z"]), ("", "a/b.dump", ["--only-file=a/b.dump"])],
)
def test_a_restore_is_told_what_to_restore(at: str, dump: str, added: list[str]) -> None:
    from restore import restoring

    [fetch] = restoring(job(), at, dump)["spec"]["template"]["spec"]["initContainers"]
    assert fetch["args"] == ["restore", "--from=s3://b", "--files-to=/tmp/restored", *added]


def test_a_listing_restores_nothing() -> None:
    from restore import listing

    pod = listing(job())["spec"]["template"]["spec"]
    assert pod == {"containers": [{"name": "fetch", "args": ["restore", "--from=s3://b", "--list"]}]}


def test_a_wrong_word_is_refused_before_anything_is_asked() -> None:
    for script, words in (("rotate.py", []), ("rotate.py", ["x"]), ("restore.py", []), ("restore.py", ["x"])):
        command = [sys.executable, str(SCRIPTS / script), *words]
        done = subprocess.run(command, env={"PATH": "", "SECRET": ""}, capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert "make rotate SECRET=postgres" in done.stderr or "usage:" in done.stderr
