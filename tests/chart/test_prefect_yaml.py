"""prefect.yaml and `trawl setup` describe the same deployments."""

from pathlib import Path

import yaml

from trawl.orchestration.deployments import SourceSettings, deployments_of

FILE = Path(__file__).parents[2] / "prefect.yaml"


def test_both_make_the_same_deployments():
    written = yaml.safe_load(FILE.read_text())["deployments"]
    made = deployments_of([("pokeapi", SourceSettings())])
    assert [entry["name"] for entry in written] == [deployment.name for deployment in made]
    for entry, deployment in zip(written, made, strict=True):
        assert entry["entrypoint"] == deployment.entrypoint
        assert entry["description"] == deployment.description
        assert entry["parameters"] == deployment.parameters
        assert entry["tags"] == deployment.tags
        assert entry["concurrency_limit"] == {"limit": 1, "collision_strategy": deployment.collision}
        assert entry["schedules"] == [{"slug": deployment.slug, **deployment.schedule.model_dump()}]
        assert entry["work_pool"]["name"] == "trawl"
