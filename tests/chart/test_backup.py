"""Backups as the chart renders them: what they may reach, with whose keys, and what an upgrade waits for."""

import pytest
from rendering import CHART, Manifest, as_text, one

from trawl.cli.app import app

EXTERNAL = (str(CHART / "ci" / "external-values.yaml"),)
ELSEWHERE = ('backup={"external":{"endpoint":"https://s3.example:8443"},"existingSecret":"my-backup"}',)


def pod_of(rendered: list[Manifest], name: str) -> Manifest:
    return one(rendered, "CronJob", name)["spec"]["jobTemplate"]["spec"]["template"]["spec"]


def containers(pod: Manifest) -> dict[str, Manifest]:
    return {container["name"]: container for container in pod.get("initContainers", []) + pod["containers"]}


def secrets_of(container: Manifest) -> dict[str, str]:
    """The variables that come from a Secret, with its name."""
    return {
        entry["name"]: entry["valueFrom"]["secretKeyRef"]["name"] for entry in container["env"] if "valueFrom" in entry
    }


def plain(container: Manifest) -> dict[str, str]:
    return {entry["name"]: entry["value"] for entry in container["env"] if "value" in entry}


def reached(rendered: list[Manifest], component: str) -> set[str | int]:
    """The components that a policy lets this one reach, and the ports that it may reach anywhere."""
    found: set[str | int] = set()
    for rule in one(rendered, "NetworkPolicy", f"trawl-{component}")["spec"]["egress"]:
        for peer in rule["to"]:
            if "podSelector" in peer:
                found.add(peer["podSelector"]["matchLabels"]["app.kubernetes.io/component"])
            elif "ipBlock" in peer:
                found |= {port["port"] for port in rule.get("ports", [])}
    return found


def reaching(rendered: list[Manifest], component: str) -> list[str]:
    [rule] = one(rendered, "NetworkPolicy", f"trawl-{component}")["spec"]["ingress"]
    return rule["from"][0]["podSelector"]["matchExpressions"][0]["values"]


def init_of_server(rendered: list[Manifest]) -> dict[str, Manifest]:
    return containers(
        {"containers": one(rendered, "Deployment", "trawl-server")["spec"]["template"]["spec"]["initContainers"]}
    )


def test_nothing_runs_until_a_schedule_is_given(chart, manifests):
    assert one(manifests, "CronJob", "trawl-backup")["spec"]["suspend"] is True
    spec = one(chart('backup={"schedule":"30 2 * * *","timezone":"Europe/Berlin"}'), "CronJob", "trawl-backup")["spec"]
    assert (spec["suspend"], spec["schedule"], spec["timeZone"]) == (False, "30 2 * * *", "Europe/Berlin")
    assert spec["concurrencyPolicy"] == "Forbid"
    assert one(manifests, "CronJob", "trawl-restore")["spec"]["suspend"] is True


def test_the_database_is_dumped_and_kept_beside_the_lake(manifests):
    found = containers(pod_of(manifests, "trawl-backup"))
    assert list(found) == ["dump", "backup"]
    [file] = [word.removeprefix("--file=") for word in found["dump"]["command"] if word.startswith("--file=")]
    assert f"--add={file}" in found["backup"]["args"]
    assert secrets_of(found["dump"]) == {"PGPASSWORD": "trawl-postgres"}
    assert plain(found["backup"])["TRAWL_LAKE"] == "s3://trawl-lake"


def test_only_the_root_user_reaches_what_flow_runs_must_not(manifests):
    for name, container in (("trawl-backup", "backup"), ("trawl-restore", "fetch")):
        keys = secrets_of(containers(pod_of(manifests, name))[container])
        assert keys == {"AWS_ACCESS_KEY_ID": "trawl-minio", "AWS_SECRET_ACCESS_KEY": "trawl-minio"}
    assert "trawl-backup" not in as_text(one(manifests, "ConfigMap", "trawl-bootstrap"))


def test_another_store_has_keys_and_an_address_of_its_own(chart):
    backup = containers(pod_of(chart(*ELSEWHERE), "trawl-backup"))["backup"]
    assert secrets_of(backup) == {
        "AWS_ACCESS_KEY_ID": "trawl-s3",
        "AWS_SECRET_ACCESS_KEY": "trawl-s3",
        "TRAWL_BACKUP_AWS_ACCESS_KEY_ID": "my-backup",
        "TRAWL_BACKUP_AWS_SECRET_ACCESS_KEY": "my-backup",
    }
    assert plain(backup)["TRAWL_BACKUP_AWS_ENDPOINT_URL"] == "https://s3.example:8443"
    assert "--make-bucket" not in backup["args"]
    amazon = chart('backup={"external":{"endpoint":"aws","region":"eu-central-1"},"existingSecret":"my-backup"}')
    env = plain(containers(pod_of(amazon, "trawl-backup"))["backup"])
    assert env["TRAWL_BACKUP_AWS_ENDPOINT_URL"] == "https://s3.eu-central-1.amazonaws.com"


def test_stores_that_run_elsewhere_are_backed_up_with_their_own_secrets(chart):
    found = containers(pod_of(chart(*EXTERNAL), "trawl-backup"))
    assert secrets_of(found["dump"]) == {"PGPASSWORD": "my-postgres"}
    assert secrets_of(found["backup"]) == {"AWS_ACCESS_KEY_ID": "my-s3", "AWS_SECRET_ACCESS_KEY": "my-s3"}
    theirs = containers(pod_of(chart(*EXTERNAL, 'backup={"existingSecret":"my-backup"}'), "trawl-backup"))["backup"]
    assert set(secrets_of(theirs).values()) == {"my-backup"}


def test_without_a_server_the_lake_alone_is_backed_up_and_restored(chart):
    rendered = chart('server={"external":{"url":"https://prefect.example/api"}}')
    assert list(containers(pod_of(rendered, "trawl-backup"))) == ["backup"]
    pod = pod_of(rendered, "trawl-restore")
    assert [container["name"] for container in pod["containers"]] == ["fetch"]
    assert "initContainers" not in pod


def test_it_reaches_the_stores_and_nobody_reaches_it(chart, manifests):
    assert reached(manifests, "backup") == {"postgres", "minio"}
    assert "ingress" not in one(manifests, "NetworkPolicy", "trawl-backup")["spec"]
    assert reached(chart(*ELSEWHERE), "backup") == {"postgres", "minio", 8443}
    assert {"backup", "server"} <= set(reaching(manifests, "minio"))
    assert "backup" in reaching(manifests, "postgres")


def test_a_server_reaches_the_store_only_to_keep_a_dump_there(chart, manifests):
    assert "minio" in reached(manifests, "server")
    without = chart('backup={"beforeUpgrade":false}')
    assert "minio" not in reached(without, "server")
    assert "server" not in reaching(without, "minio")
    elsewhere = chart(*ELSEWHERE)
    assert 8443 in reached(elsewhere, "server")
    assert "server" not in reaching(elsewhere, "minio")


@pytest.mark.parametrize(
    ("values", "dumps"),
    [
        ((), True),
        (('backup={"beforeUpgrade":false}',), False),
        (EXTERNAL, False),
        ((*EXTERNAL, *ELSEWHERE), True),
        (ELSEWHERE, True),
        ((str(CHART / "ci" / "high-availability-values.yaml"),), True),
    ],
)
def test_an_upgrade_waits_for_its_dump_where_there_is_a_place_for_it(chart, values, dumps):
    rendered = chart(*values)
    found = init_of_server(rendered)
    assert list(found) == (["look", "dump", "migrate"] if dumps else ["migrate"])
    words = [word for word in found["migrate"]["args"] if word.startswith(("--dump", "--to", "--make"))]
    assert bool(words) == dumps
    services = [m for m in rendered if m["kind"] == "Deployment" and m["metadata"]["name"] == "trawl-services"]
    for deployment in services:
        inits = deployment["spec"]["template"]["spec"]["initContainers"]
        assert [container["name"] for container in inits] == list(found)


def test_the_server_itself_has_no_key_to_the_backups(manifests):
    [server] = one(manifests, "Deployment", "trawl-server")["spec"]["template"]["spec"]["containers"]
    assert not [name for name in secrets_of(server) if name.startswith(("AWS", "TRAWL_BACKUP"))]


def test_the_commands_exist_with_these_options(manifests):
    for name, container in (("trawl-backup", "backup"), ("trawl-restore", "fetch")):
        found = containers(pod_of(manifests, name))[container]
        command, bound, *_ = app.parse_args([*found["args"]], exit_on_error=False, print_error=False)
        assert command.__name__ == found["args"][0]
        assert bound.arguments
