"""Leaving another orchestrator, step 4: the schedule moves, and the old one is retired.

    python examples/leaving/step4.py            # and take the job's line out of the old schedule, now

The schedule begins inactive, so that never both run: switch it on in the UI (or with `prefect deployment schedule resume`)
once the old one is off.
"""

from prefect.schedules import Cron
from step2 import my_job

SCHEDULE = Cron("37 2 * * *", timezone="Europe/Berlin", slug="nightly", active=False)

if __name__ == "__main__":
    my_job.serve("nightly", tags=["leaving"], schedules=[SCHEDULE])
