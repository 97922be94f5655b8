"""What Helm prints after an installation: each command names things that were installed."""

import atexit
import re
import shlex
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import pytest
import yaml
from rendering import CHART, HELM_VERSIONS, one, setup_config

from trawl.cli.app import app
from trawl.orchestration.setup import Settings
from trawl.orchestration.setup.deployments import deployments_of

SCENARIOS = {file.name.removesuffix("-values.yaml"): (str(file),) for file in sorted((CHART / "ci").glob("*.yaml"))}
SCENARIOS |= {
    "prefect-elsewhere": (
        'server={"external":{"url":"https://prefect.example/api"}}',
        'existingSecrets={"api":"mine"}',
    ),
    "process-pool": ('workPools={"quick":{"type":"process","queues":["default"]}}', 'defaultWorkPool="quick"'),
    "no-source": ('sources={"pokeapi":null}',),
}
RELEASES = [("trawl", "trawl"), ("nightly", "crawls")]


@cache
def chart_with_notes():
    """The chart with its notes as an object: `helm template` renders no notes, `helm install` wants a cluster."""
    folder = Path(tempfile.mkdtemp()) / "trawl"
    shutil.copytree(CHART, folder)
    atexit.register(shutil.rmtree, folder.parent)
    text = (folder / "templates" / "NOTES.txt").read_text()
    (folder / "templates" / "_notes.tpl").write_text('{{- define "notes" -}}\n' + text + "{{- end }}")
    (folder / "templates" / "notes.yaml").write_text(
        'apiVersion: v1\nkind: Notes\nmetadata: {name: notes}\ntext: {{ include "notes" . | toJson }}\n'
    )
    return folder


@cache
def notes(*values, release="trawl", namespace="trawl", helm="helm"):
    command = [
        helm,
        "template",
        release,
        str(chart_with_notes()),
        "--namespace",
        namespace,
        "--kube-version",
        "1.34.0",
        "--show-only",
        "templates/notes.yaml",
    ]
    for value in values:
        command += ["--values", value] if value.endswith(".yaml") else ["--set-json", value]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return yaml.safe_load(done.stdout)["text"]


def commands(text):
    return [shlex.split(line.partition(" | ")[0]) for line in text.splitlines() if re.match(r"  (kubectl|helm) ", line)]


def option(command, *names):
    return next(command[at + 1] for at, word in enumerate(command) if word in names)


@pytest.mark.parametrize(("release", "namespace"), RELEASES, ids=[release for release, _ in RELEASES])
@pytest.mark.parametrize("values", SCENARIOS.values(), ids=SCENARIOS)
def test_every_command_is_about_what_was_installed(chart, values, release, namespace):
    rendered = chart(*values, release=release, namespace=namespace)
    said = commands(notes(*values, release=release, namespace=namespace))
    assert len(said) >= 3
    for command in said:
        assert option(command, "-n") == namespace, command
        match command[0], command[3] if command[0] == "kubectl" else command[1]:
            case "kubectl", "port-forward":
                (service,) = (
                    m for m in rendered if f"svc/{m['metadata']['name']}" == command[4] and m["kind"] == "Service"
                )
                assert int(command[5]) in {port["port"] for port in service["spec"]["ports"]}
            case "kubectl", "get":
                assert command[4] == "secret"
                assert option(command, "-o") == "jsonpath={.data.auth-string}"
                [pod] = (
                    m["spec"]["template"]["spec"]
                    for m in rendered
                    if m["kind"] == "Deployment" and m["metadata"]["name"].endswith("-server")
                )
                env = {entry["name"]: entry for entry in pod["containers"][0]["env"]}
                assert env["PREFECT_SERVER_API_AUTH_STRING"]["valueFrom"]["secretKeyRef"] == {
                    "name": command[5],
                    "key": "auth-string",
                }
            case "kubectl", "exec":
                (deployment,) = (
                    m for m in rendered if m["kind"] == "Deployment" and f"deploy/{m['metadata']['name']}" == command[4]
                )
                env = {entry["name"] for entry in deployment["spec"]["template"]["spec"]["containers"][0]["env"]}
                assert {"TRAWL_LAKE", "PREFECT_API_URL", "AWS_ACCESS_KEY_ID"} <= env
                inside(command[command.index("--") + 1 :], rendered)
            case "kubectl", "logs":
                wanted = dict(pair.split("=") for pair in option(command, "-l").split(","))
                assert (
                    wanted.items()
                    <= one(rendered, "Job", f"{chart_name(release)}-bootstrap")["spec"]["template"]["metadata"][
                        "labels"
                    ].items()
                )
            case "kubectl", "delete":
                key, _, value = option(command, "-l").partition("=")
                for stateful in (
                    m for m in rendered if m["kind"] == "StatefulSet"
                ):  # a claim has its selector's labels
                    assert stateful["spec"]["selector"]["matchLabels"][key] == value
            case "helm", "test":
                assert command[2] == release
            case _:
                pytest.fail(f"not looked at: {command}")


def chart_name(release):
    return release if "trawl" in release else f"{release}-trawl"


def inside(command, rendered):
    """What is run in the worker: a deployment that set-up makes, or a command of Trawl's that it understands."""
    if command[0] == "prefect":
        made = {
            f"{d.entrypoint.rpartition('.')[2]}/{d.name}"
            for d in deployments_of(Settings.model_validate(setup_config(rendered)).sources.items())
        }
        assert command[1:3] == ["deployment", "run"]
        assert command[3] in made
    else:
        assert command[0] == "trawl"
        app.parse_args(command[1:], print_error=False, exit_on_error=False)


@pytest.mark.parametrize("helm", HELM_VERSIONS)
def test_every_helm_says_the_same(helm):
    assert notes(helm=helm) == notes()


def test_the_way_to_the_ui_is_the_one_that_was_installed():
    assert "https://trawl.example.com\n" in notes(*SCENARIOS["hardened"])
    assert "https://trawl.example.com\n" in notes(*SCENARIOS["gitops"])
    assert "port-forward" not in notes(*SCENARIOS["gitops"])
    elsewhere = notes(*SCENARIOS["prefect-elsewhere"])
    assert "https://prefect.example\n" in elsewhere
    assert "get secret" not in elsewhere


def test_what_is_kept_is_what_has_a_volume(chart):
    for values in SCENARIOS.values():
        kept = re.search(r"keeps the volumes of (.*), and", notes(*values))
        stateful = {m["metadata"]["name"].removeprefix("trawl-") for m in chart(*values) if m["kind"] == "StatefulSet"}
        assert set(kept[1].split(" and ") if kept else ()) == stateful


def test_the_images_that_artifact_hub_lists_are_the_charts(chart):
    listed = yaml.safe_load(yaml.safe_load((CHART / "Chart.yaml").read_text())["annotations"]["artifacthub.io/images"])
    used = {
        container["image"]
        for manifest in chart("highAvailability=true")
        if manifest["kind"] in {"Deployment", "StatefulSet"}
        for container in manifest["spec"]["template"]["spec"]["containers"]
    }
    assert {image["image"] for image in listed} == used
