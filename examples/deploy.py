"""Flows of this folder, deployed to a work pool that runs them in containers.

    make image && python examples/deploy.py            # builds an image upon Trawl's with Docker, and deploys
    python examples/deploy.py --no-build --image trawl:dev   # the image is there already, as in a cluster

The code is in the image, so a run is what was tested, and needs nothing but the image. docs/code-storage.md says when to
have it pulled in place of that.
"""

import argparse
import os
from pathlib import Path

from backfill import report
from prefect import deploy
from prefect.deployments.runner import RunnerDeployment
from prefect.docker import DockerImage
from showcase import VERSION, showcase

NAME = "poke-showcase-docker-py-deploy"
IN_IMAGE = "/opt/trawl/examples"
"""Where this folder is in Trawl's image."""

HERE = Path(__file__).resolve().parent


def deployments(folder: str = IN_IMAGE) -> list[RunnerDeployment]:
    """What is deployed, for an image that has the examples in `folder`."""
    made = [
        showcase.to_deployment(
            NAME,
            description="The showcase, in a container.",
            tags=["showcase", "docker"],
            version=VERSION,
            parameters={"max_pokemon_to_discover_in_showcase": 10},
            # Overrides the pool's template for this deployment. A wrong name here is not refused: see docs/cluster.md.
            job_variables={"env": {"PREFECT_LOGGING_LEVEL": "DEBUG"}},
        ),
        report.to_deployment("report-docker-py-deploy", tags=["showcase", "docker"], version=VERSION),
    ]
    for each in made:
        file, _, name = str(each.entrypoint).rpartition(":")
        each.entrypoint = f"{folder}/{Path(file).name}:{name}"
    return made


def image(name: str, base: str) -> DockerImage:
    """Trawl's image with this folder in it. Prefect builds by Docker's classic builder, for which `RUN --mount` is an error."""
    repository, _, tag = name.rpartition(":")
    return DockerImage(
        name=repository,
        tag=tag,
        dockerfile=str(HERE / "Dockerfile"),
        context=str(HERE),
        buildargs={"BASE": base, "REVISION": os.environ.get("TRAWL_REVISION", "unknown")},
        platform="linux/amd64",
        pull=False,  # the base may be known to this machine alone
    )


def main() -> None:
    """From the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pool", default="trawl", help="the work pool (trawl)")
    parser.add_argument("--image", default="trawl:showcase", help="repository and tag (trawl:showcase)")
    parser.add_argument("--base", default="trawl:latest", help="Trawl's image, to build upon (trawl:latest)")
    parser.add_argument("--no-build", dest="build", action="store_false", help="the image is there already")
    parser.add_argument("--push", action="store_true", help="push the image that was built")
    parser.add_argument("--folder", default=IN_IMAGE, help=f"where the examples are in the image ({IN_IMAGE})")
    given = parser.parse_args()
    deploy(
        *deployments(given.folder),
        work_pool_name=given.pool,
        image=image(given.image, given.base) if given.build else given.image,
        build=given.build,
        push=given.push,
        print_next_steps_message=False,
    )


if __name__ == "__main__":
    main()
