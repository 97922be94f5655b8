"""Flows of this folder, served from this machine: the shortest way from a flow to a deployment.

    prefect server start                       # in another terminal; or `trawl serve`
    prefect config set PREFECT_API_URL=http://127.0.0.1:4200/api
    python examples/serve.py

One process, several deployments: it waits for their runs and starts each as a process of its own. No image, no work pool;
when it ends (Ctrl-C), their schedules are paused. In a container that may be moved, `pause_on_shutdown=False` leaves them on.
Runs ask the replica in this process, unless it is started with --live.
"""

from backfill import report
from common import api, arguments
from prefect import serve
from prefect.deployments.runner import RunnerDeployment
from prefect.schedules import Cron
from showcase import VERSION, showcase

NAME = "showcase-local-serve-deployment"


def deployments() -> list[RunnerDeployment]:
    """What is served: the showcase, by hand; a report, each morning and again, in full, on Mondays."""
    return [
        showcase.to_deployment(
            NAME,
            description="The showcase, from the machine of whoever serves it.",
            tags=["showcase", "local"],
            version=VERSION,
            # Parameters are flat: what a schedule or a person changes is this one value, and the others stay.
            parameters={"max_pokemon_to_discover_in_showcase": 5},
        ),
        report.to_deployment(
            "report-local",
            tags=["showcase", "local"],
            version=VERSION,
            schedules=[
                Cron("13 6 * * *", timezone="Europe/Berlin", slug="daily"),
                Cron("17 6 * * 1", timezone="Europe/Berlin", slug="weekly", parameters={"detail": "full"}),
            ],
        ),
    ]


def main() -> None:
    """Serve until somebody ends it."""
    with api(live=arguments(__doc__).parse_args().live):
        serve(*deployments(), limit=2)


if __name__ == "__main__":
    main()
