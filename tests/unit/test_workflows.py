"""The workflows are thin, pinned and careful: read as text and as YAML, never run."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
# YAML 1.1 reads the key `on` as true.
WORKFLOWS: dict[str, dict[Any, Any]] = {file.stem: yaml.safe_load(file.read_text()) for file in FILES}
JOBS = [(name, job, spec) for name, workflow in WORKFLOWS.items() for job, spec in workflow["jobs"].items()]
STEPS = [(f"{name}/{job}", step) for name, job, spec in JOBS for step in spec.get("steps", [])]
GATE = "vars.DEPLOY_ENVIRONMENT != ''"

each_job = pytest.mark.parametrize(("workflow", "job", "spec"), JOBS, ids=[f"{w}-{j}" for w, j, _ in JOBS])
each_workflow = pytest.mark.parametrize("workflow", WORKFLOWS.values(), ids=WORKFLOWS)


def make_targets() -> set[str]:
    text = "\n".join((ROOT / name).read_text() for name in ("Makefile", "cluster.mk", "deploy.mk"))
    return set(re.findall(r"^([a-z0-9-]+):(?!=)", text, re.MULTILINE))


def made(run: str) -> list[str]:
    """The Make targets that a step calls."""
    calls = re.findall(r"(?:^|[;&|(]\s*|^\.ci/with-s3 )make((?:\s+--?[a-z-]+)*(?:\s+[a-z0-9-]+)+)", run, re.MULTILINE)
    return [word for call in calls for word in call.split() if not word.startswith("-")]


def test_there_are_the_workflows_that_the_documentation_names():
    assert set(WORKFLOWS) == {"ci", "codeql", "deploy", "release"}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_action_is_pinned_by_commit_with_its_version_beside_it(file):
    used = re.findall(r"^\s*(?:- )?uses: *(.*)$", file.read_text(), re.MULTILINE)
    assert used
    for line in used:
        if not line.startswith("./"):
            assert re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}  # v\d+\.\d+\.\d+", line), line


def test_an_action_has_the_same_pin_everywhere():
    pins: dict[str, set[str]] = {}
    for _, step in STEPS:
        if "uses" in step:
            action, commit = step["uses"].split("@")
            pins.setdefault("/".join(action.split("/")[:2]), set()).add(commit)
    assert {action: commits for action, commits in pins.items() if len(commits) > 1} == {}


def test_every_make_target_that_a_step_names_exists():
    named = [target for _, step in STEPS for target in made(step.get("run", ""))]
    assert {"lint", "test", "chart", "e2e", "publish", "deploy", "rollback"} <= set(named)
    assert set(named) <= make_targets()


@pytest.mark.parametrize(
    "page", ["README.md", "CONTRIBUTING.md", *(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md"))]
)
def test_every_make_target_that_a_page_names_exists(page):
    named = re.findall(r"(?:`|^\$ |^)make ([a-z0-9-]+)(?=[\s`])", (ROOT / page).read_text(), re.MULTILINE)
    assert set(named) <= make_targets()


@pytest.mark.parametrize(("where", "step"), [(w, s) for w, s in STEPS if "run" in s])
def test_every_step_calls_make_or_is_under_five_lines(where, step):
    lines = step["run"].strip().splitlines()
    assert len(lines) < 5 or all(made(line) for line in lines), where


@pytest.mark.parametrize(("where", "step"), [(w, s) for w, s in STEPS if "run" in s])
def test_no_step_pastes_an_expression_into_its_script(where, step):
    assert "${{" not in step["run"], where


@each_workflow
def test_a_workflow_may_do_nothing_by_itself(workflow):
    assert workflow["permissions"] == {}


@each_workflow
def test_a_workflow_has_a_concurrency_group(workflow):
    assert workflow["concurrency"]["group"]


@each_job
def test_a_job_says_what_it_may_do_and_how_long(workflow, job, spec):
    assert spec["permissions"]
    if "uses" not in spec:
        assert 0 < spec["timeout-minutes"] <= 60


def test_a_pull_request_can_write_nothing():
    assert "pull_request_target" not in WORKFLOWS["ci"][True]
    for spec in WORKFLOWS["ci"]["jobs"].values():
        assert spec["permissions"] == {"contents": "read"}


def test_no_checkout_leaves_its_credentials():
    checkouts = [step for _, step in STEPS if step.get("uses", "").startswith("actions/checkout@")]
    assert checkouts
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


@pytest.mark.parametrize("job", ["test", "server", "cluster"])
def test_what_a_failed_job_leaves_is_kept(job):
    kept = [s for s in WORKFLOWS["ci"]["jobs"][job]["steps"] if "upload-artifact" in s.get("uses", "")]
    assert kept
    assert all(step["if"] == "failure()" for step in kept)


class TestDeploying:
    jobs = WORKFLOWS["deploy"]["jobs"]

    def test_a_fork_without_a_cluster_only_proves(self):
        assert {name for name, spec in self.jobs.items() if GATE not in str(spec.get("if"))} == {"prove"}

    def test_what_is_deployed_was_proved_built_and_signed_before(self):
        assert (self.jobs["image"]["needs"], self.jobs["deploy"]["needs"]) == ("prove", "image")
        steps = [made(step.get("run", "")) for step in self.jobs["image"]["steps"]]
        assert steps.index(["publish"]) < steps.index(["sign"])
        steps = [made(step.get("run", "")) for step in self.jobs["deploy"]["steps"]]
        assert steps.index(["verify"]) < steps.index(["deploy"])

    def test_one_at_a_time_and_never_cancelled_half_way(self):
        assert WORKFLOWS["deploy"]["concurrency"]["cancel-in-progress"] is False
        group = {"group": "cluster", "cancel-in-progress": False}
        assert self.jobs["deploy"]["concurrency"] == self.jobs["rollback"]["concurrency"] == group

    def test_only_the_protected_environment_reaches_the_cluster(self):
        for name, spec in self.jobs.items():
            with_secret = "secrets.KUBECONFIG" in str(spec)
            assert with_secret == (spec.get("environment") == {"name": "${{ vars.DEPLOY_ENVIRONMENT }}"}), name

    def test_going_back_is_by_hand_and_only_that(self):
        assert "github.event_name == 'workflow_dispatch'" in self.jobs["rollback"]["if"]
        assert "github.event_name == 'push'" in self.jobs["prove"]["if"]


class TestPromises:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    def test_the_pythons_tested_are_those_promised(self):
        tested = WORKFLOWS["ci"]["jobs"]["test"]["strategy"]["matrix"]["python"]
        classifiers = (
            re.fullmatch(r"Programming Language :: Python :: (3\.\d+)", c) for c in self.project["classifiers"]
        )
        assert tested == [found[1] for found in classifiers if found]
        assert self.project["requires-python"] == f">={tested[0]}"

    def test_the_helms_tested_are_those_promised(self):
        tested = WORKFLOWS["ci"]["jobs"]["chart"]["strategy"]["matrix"]["helm"]
        oldest = re.search(r"Helm \((3\.\d+) or newer, or 4\)", (ROOT / "docs" / "cluster.md").read_text())
        assert oldest
        assert tested[0].startswith(f"v{oldest[1]}.")
        assert {version.split(".")[0] for version in tested} == {"v3", "v4"}

    def test_two_versions_of_kubernetes_by_digest(self):
        tested = WORKFLOWS["ci"]["jobs"]["cluster"]["strategy"]["matrix"]["kubernetes"]
        assert len({one["version"] for one in tested}) == 2
        for one in tested:
            assert re.fullmatch(rf"kindest/node:v{re.escape(one['version'])}\.\d+@sha256:[0-9a-f]{{64}}", one["node"])


def test_dependencies_are_renewed_in_groups_after_a_while():
    updates = yaml.safe_load((ROOT / ".github" / "dependabot.yml").read_text())["updates"]
    assert {update["package-ecosystem"] for update in updates} == {"github-actions", "pip", "docker"}
    for update in updates:
        assert update["groups"]
        assert update["cooldown"]["default-days"] >= 7
        for folder in update.get("directories", []):
            assert (ROOT / folder.strip("/")).is_dir()


@pytest.mark.parametrize("form", ["api", "bug", "idea"])
def test_an_issue_form_asks_for_something(form):
    read = yaml.safe_load((ROOT / ".github" / "ISSUE_TEMPLATE" / f"{form}.yml").read_text())
    assert read["name"]
    assert read["description"]
    ids = [field["id"] for field in read["body"]]
    assert len(ids) == len(set(ids))
    assert any(field.get("validations", {}).get("required") for field in read["body"])
