"""prefect.yaml and `trawl setup` describe the same deployments."""

from pathlib import Path

import yaml

from trawl.orchestration.setup.deployments import RUN_ENV, SourceSettings, deployments_of

FILE = Path(__file__).parents[2] / "prefect.yaml"


def test_both_make_the_same_deployments():
    written = {entry["name"]: entry for entry in yaml.safe_load(FILE.read_text())["deployments"]}
    made = deployments_of([("pokeapi", SourceSettings())])
    assert list(written)[: len(made)] == [deployment.name for deployment in made]
    for deployment in made:
        entry = written[deployment.name]
        assert entry["entrypoint"] == deployment.entrypoint
        assert entry["description"] == deployment.description
        assert entry.get("parameters", {}) == deployment.parameters
        assert entry["tags"] == deployment.tags
        limit = {"limit": deployment.concurrency, "collision_strategy": deployment.collision}
        assert entry.get("concurrency_limit") == (limit if deployment.concurrency else None)
        schedules = {slug: (one.cron, one.timezone) for slug, one in deployment.schedules.items()}
        assert {one["slug"]: (one["cron"], one["timezone"]) for one in entry["schedules"]} == schedules
        assert entry["work_pool"]["name"] == "trawl"
        assert entry["work_pool"]["work_queue_name"] == deployment.queue
        assert entry["work_pool"]["job_variables"] == {**deployment.job_variables, "env": RUN_ENV}


def test_the_others_are_not_taken_for_set_ups():
    own = {deployment.name for deployment in deployments_of([("pokeapi", SourceSettings())])}
    others = [entry for entry in yaml.safe_load(FILE.read_text())["deployments"] if entry["name"] not in own]
    assert not [entry["name"] for entry in others if "managed-by:trawl" in entry.get("tags", [])]
