"""Writes helm/trawl/README.md from the chart's schema, values and scenarios, so that it cannot say anything else."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).parents[1] / "helm" / "trawl"
README = CHART / "README.md"

HEAD = """# The chart {name}

{description}

One chart installs Prefect's server, workers, Postgres, MinIO and what Trawl needs in Prefect; each store, and the server,
may run elsewhere instead. `make chart-readme` writes this page from `Chart.yaml`, `values.yaml` and `values.schema.json`.

## Install

Kubernetes {kubernetes}, Helm 3.14 or newer, or 4.

```
helm upgrade --install trawl oci://ghcr.io/trawl-crawler/charts/trawl \\
  --namespace trawl --create-namespace --wait --wait-for-jobs --timeout 10m
helm test trawl --namespace trawl --logs
kubectl -n trawl exec deploy/trawl-worker -- prefect deployment run refresh/refresh-pokeapi --watch
```

From a clone: `helm/trawl` in place of the address. [docs/cluster.md](../../docs/cluster.md) is about operating it,
[docs/troubleshooting.md](../../docs/troubleshooting.md) about what may go wrong.

## Scenarios

Values to begin with; each is rendered and checked by the chart's tests.

| file | |
|---|---|
{scenarios}

## Values

Helm refuses a key that is not here, and a value of another form, by its name.
"""

SHARED = (
    "resources",
    "nodeSelector",
    "tolerations",
    "affinity",
    "topologySpreadConstraints",
    "priorityClassName",
    "podSecurityContext",
)


def resolved(node: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """A node with what it refers to; its own words win."""
    reference = node.get("$ref", "").removeprefix("#/$defs/")
    return {**definitions[reference], **node} if reference else node


def rows(path: str, node: dict[str, Any], value: Any, definitions: dict[str, Any]) -> Iterator[tuple[str, Any, str]]:
    """Key, default and description of each value below `path`, in the schema's order."""
    node = resolved(node, definitions)
    inner = node.get("properties", {})
    pattern = node.get("additionalProperties")
    named = isinstance(pattern, dict) and resolved(pattern, definitions).get("properties")
    if named and isinstance(pattern, dict):
        yield path, sorted(value), node["description"]
        of_one = next(iter(value.values()), {})
        yield from children(f"{path}.<name>", resolved(pattern, definitions)["properties"], of_one, definitions)
    elif inner and path.rpartition(".")[2] not in SHARED:
        yield from children(path, inner, value, definitions)
    else:
        yield path, value, node.get("description", "")


def children(
    path: str, inner: dict[str, Any], values: Any, definitions: dict[str, Any]
) -> Iterator[tuple[str, Any, str]]:
    """The rows of a map. Placement, which every component has, is told once, at the end of the page."""
    for name, child in inner.items():
        value = (values or {}).get(name)
        if name not in SHARED or value is not None:
            yield from rows(f"{path}.{name}", child, value, definitions)


def table(found: Iterator[tuple[str, Any, str]]) -> str:
    lines = ["| key | default | |", "|---|---|---|"]
    for key, default, description in found:
        shown = "" if default is None else f"`{json.dumps(default, ensure_ascii=False)}`"
        lines.append(f"| `{key}` | {shown} | {description} |".replace("||", "|\\|"))
    return "\n".join(lines)


def scenario(file: Path) -> str:
    """What a scenario says of itself in its first lines."""
    said = []
    for line in file.read_text().splitlines():
        if not line.startswith("#"):
            break
        said.append(line.removeprefix("#").strip())
    return f"| [`ci/{file.name}`](ci/{file.name}) | {' '.join(said)} |"


def readme() -> str:
    schema = json.loads((CHART / "values.schema.json").read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    head = HEAD.format(
        name=chart["name"],
        description=chart["description"],
        kubernetes=chart["kubeVersion"].removeprefix(">=").removesuffix("-0") + " or newer",
        scenarios="\n".join(scenario(file) for file in sorted((CHART / "ci").glob("*-values.yaml"))),
    )
    definitions, loose, parts = schema["$defs"], [], [head]
    for name, node in schema["properties"].items():
        whole = resolved(node, definitions)
        if name in SHARED or not ("properties" in whole or isinstance(whole.get("additionalProperties"), dict)):
            loose.append((name, values.get(name), whole.get("description", "")))
        else:
            parts += [
                f"### {name}",
                "",
                whole["description"],
                "",
                table(rows(name, node, values.get(name), definitions)),
                "",
            ]
    parts += [
        "### The rest",
        "",
        "Placement and security hold for every pod, flow runs included. Each of `server`, `postgres`, `minio`, `valkey`, `worker`,",
        "`flows`, `bootstrap`, `metrics` and each pool's `worker` and `flows` takes the same keys of placement, and they win.",
        "",
        table(iter(loose)),
        "",
    ]
    return "\n".join(parts)


if __name__ == "__main__":
    README.write_text(readme())
