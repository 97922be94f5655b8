"""Renders the chart and finds things in it."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).parents[2] / "helm" / "trawl"
KIND_VALUES = CHART.parents[1] / "k8s" / "values-kind.yaml"

Manifest = dict[str, Any]

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast

HELM_VERSIONS = [name for name in ("helm", "helm3") if shutil.which(name)]


class RefusedError(Exception):
    """What Helm said."""


@cache
def render(*values: str, release: str = "trawl", namespace: str = "trawl", helm: str = "helm") -> list[Manifest]:
    """The chart's manifests, with values in the form of --set-json, or files."""
    command = [helm, "template", release, str(CHART), "--namespace", namespace, "--kube-version", "1.34.0"]
    for value in values:
        command += ["--values", value] if value.endswith(".yaml") else ["--set-json", value]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RefusedError(done.stderr)
    return [manifest for manifest in yaml.load_all(done.stdout, Loader=LOADER) if manifest]


def pods(manifests: list[Manifest]) -> Iterator[tuple[str, Manifest]]:
    """Every pod that the manifests lead to, flow runs and hooks included, with a name for the message."""
    for manifest in manifests:
        spec = manifest.get("spec", {})
        template = (
            manifest if manifest["kind"] == "Pod" else spec.get("jobTemplate", {}).get("spec", spec).get("template")
        )
        if template:
            yield f"{manifest['kind']}/{manifest['metadata']['name']}", template
    yield "flow run", job_template(manifests)["job_configuration"]["job_manifest"]["spec"]["template"]


def setup_config(manifests: list[Manifest]) -> Manifest:
    """What `trawl setup` is told."""
    [config] = (m for m in manifests if m["kind"] == "ConfigMap" and "setup.yaml" in m["data"])
    return yaml.load(config["data"]["setup.yaml"], Loader=LOADER)


def job_template(manifests: list[Manifest]) -> Manifest:
    return setup_config(manifests)["pool"]["base_job_template"]


def one(manifests: list[Manifest], kind: str, name: str) -> Manifest:
    found = [m for m in manifests if m["kind"] == kind and m["metadata"]["name"].startswith(name)]
    assert len(found) == 1, f"{kind}/{name}: {len(found)} found"
    return found[0]


def leaves(value: object) -> Iterator[object]:
    """Every value in a document; a text that is a YAML document itself is looked into."""
    if isinstance(value, str) and value.count("\n") > 1:
        value = yaml.load(value, Loader=LOADER)
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from leaves(inner)
    else:
        yield value


def as_text(value: object) -> str:
    return json.dumps(value, sort_keys=True)
