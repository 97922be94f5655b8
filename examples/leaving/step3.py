"""Leaving another orchestrator, step 3: a server starts it, when people ask. The old schedule still runs beside it.

    prefect config set PREFECT_API_URL=http://127.0.0.1:4200/api
    python examples/leaving/step3.py
    prefect deployment run my_job/by-hand       # in another terminal, or from the UI

So far runs were recorded by a server that lives as long as the run does. Now one server keeps them all, and anybody may
start the job, with other parameters too.
"""

from step2 import my_job

if __name__ == "__main__":
    my_job.serve("by-hand", tags=["leaving"])
