"""What a release checks and says."""

import importlib.util
import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
spec = importlib.util.spec_from_file_location("release", ROOT / "scripts" / "release.py")
assert spec
assert spec.loader
release = importlib.util.module_from_spec(spec)
spec.loader.exec_module(release)

CHANGELOG = """\
# Changelog

## [Unreleased]

- Not yet.

## [0.2.0] - 2026-12-01

### Added

- Something new.

## [0.1.0] - 2026-11-01

- The first.

[0.2.0]: https://example.org/0.2.0
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "helm/trawl").mkdir(parents=True)
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "0.1.0"\n')
    (tmp_path / "helm/trawl/Chart.yaml").write_text('version: 0.1.0\nappVersion: "0.1.0"\n')
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG)
    return tmp_path


def test_notes_end_where_the_next_version_begins(project):
    assert release.notes("0.2.0", project) == "### Added\n\n- Something new."
    assert release.notes("0.1.0", project) == "- The first."


def test_package_and_chart_state_one_version_today():
    assert len(set(release.stated(ROOT).values())) == 1


def test_a_version_that_all_agree_on_passes(project):
    release.check("0.1.0", project)


def test_each_place_that_disagrees_is_named(project):
    chart = project / "helm/trawl/Chart.yaml"
    chart.write_text(chart.read_text().replace('"0.1.0"', '"0.2.0"'))
    with pytest.raises(
        SystemExit, match=r"(?s)says 0\.2\.0.*pyproject.*0\.1\.0.*Chart\.yaml, version is 0\.1\.0"
    ) as refused:
        release.check("0.2.0", project)
    assert "appVersion" not in str(refused.value)


def test_a_version_that_the_changelog_does_not_know_is_refused(project):
    with pytest.raises(SystemExit, match=r"CHANGELOG\.md says nothing about 0\.3\.0"):
        release.notes("0.3.0", project)


@pytest.mark.parametrize("tag", ["1.2.3", "v1.2", "v1.2.3 ", "latest", ""])
def test_a_tag_of_another_form_is_refused(tag):
    with pytest.raises(SystemExit, match="must look like"):
        release.version_of(tag)


def test_a_pushed_image_is_named_by_digest(tmp_path):
    digest = "sha256:" + "ab" * 32
    (tmp_path / "image.json").write_text(json.dumps({"containerimage.digest": digest}))
    assert release.reference("ghcr.io/a/b:main", str(tmp_path / "image.json")) == f"ghcr.io/a/b:main@{digest}"


def test_an_image_that_was_not_pushed_has_no_name(tmp_path):
    (tmp_path / "image.json").write_text("{}")
    with pytest.raises(SystemExit, match="nothing was pushed"):
        release.reference("ghcr.io/a/b", str(tmp_path / "image.json"))
