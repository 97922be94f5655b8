"""What a release needs to know: do the versions agree, what is new, which digest was pushed."""

import json
import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def version_of(tag: str) -> str:
    found = re.fullmatch(r"v(\d+\.\d+\.\d+(?:-[0-9A-Za-z.]+)?)", tag)
    if not found:
        sys.exit(f"TAG must look like v1.2.3 and is '{tag}'")
    return found[1]


def notes(version: str, root: Path = ROOT) -> str:
    """The changelog's section about a version, without its heading."""
    changelog = (root / "CHANGELOG.md").read_text()
    found = re.search(rf"^## \[{re.escape(version)}\].*\n((?:(?!## |\[[^\]]+\]: ).*\n?)*)", changelog, re.MULTILINE)
    text = found[1].strip() if found else ""
    if not text:
        sys.exit(
            f"CHANGELOG.md says nothing about {version}: a section '## [{version}] - YYYY-MM-DD' is missing or empty"
        )
    return text


def stated(root: Path = ROOT) -> dict[str, str]:
    """Each place that states the version, and what it says."""
    chart = (root / "helm/trawl/Chart.yaml").read_text()
    versions = {"pyproject.toml, version": tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"]}
    for key in ("version", "appVersion"):
        found = re.search(rf'^{key}: *"?([^"\s]+)', chart, re.MULTILINE)
        versions[f"helm/trawl/Chart.yaml, {key}"] = found[1] if found else "missing"
    return versions


def check(version: str, root: Path = ROOT) -> None:
    wrong = [f"  {place} is {said}" for place, said in stated(root).items() if said != version]
    if wrong:
        sys.exit("\n".join([f"The tag says {version}, but:", *wrong]))
    notes(version, root)


def reference(repository: str, metadata: str) -> str:
    """How to name, by digest, what `docker buildx build --metadata-file` has pushed."""
    digest = json.loads(Path(metadata).read_text()).get("containerimage.digest", "")
    if not re.fullmatch(r"sha256:[0-9a-f]{64}", digest):
        sys.exit(f"{metadata} names no digest: nothing was pushed")
    return f"{repository}@{digest}"


def main(arguments: list[str]) -> None:
    match arguments:
        case ["check", tag]:
            check(version_of(tag))
            print(f"{tag}: package, chart and changelog agree")
        case ["notes", tag]:
            print(notes(version_of(tag)))
        case ["reference", repository, metadata]:
            print(reference(repository, metadata))
        case _:
            sys.exit("usage: release.py check TAG | notes TAG | reference REPOSITORY METADATA")


if __name__ == "__main__":
    main(sys.argv[1:])
