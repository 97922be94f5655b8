"""`trawl setup`."""

import asyncio
import logging
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from trawl.model.errors import ConfigurationError

from .common import Flag

__all__ = ["setup"]


def setup(
    *,
    config: Annotated[Path | None, Parameter(env_var="TRAWL_SETUP")] = None,
    dry_run: Flag = False,
    overwrite: Flag = False,
) -> None:
    """Set up a Prefect server: buckets, blocks, limits, work pool, queues, deployments, schedules, automations.

    Run it as often as you like: it makes what is missing, brings up to date what it made, and leaves what a person edited
    in the UI, which it names. The server is the one that Prefect's own commands would talk to (PREFECT_API_URL).

    ```
    trawl setup                                  # PokeAPI, on a pool of local processes
    trawl setup --config ./setup.yaml --dry-run  # what would change; nothing is
    trawl setup --config ./setup.yaml
    trawl setup --config ./setup.yaml --overwrite
    ```

    A set-up file holds what differs from the defaults:

    ```yaml
    sources:
      pokeapi:
        refresh:
          - {cron: "23 3 * * *", timezone: Europe/Berlin}
          - {interval: 6h, anchor: "2026-01-01T00:30:00", slug: often, parameters: {endpoints: [pokemon]}}
        job_variables: {memory_limit: 2Gi}
    secrets:
      pokeapi-api-key: {env: POKEAPI_KEY}
    notify: {slack: {env: SLACK_WEBHOOK_URL}}
    ```

    docs/setup.md describes every key. A paused schedule or deployment, and a disabled automation, stay so.

    Parameters
    ----------
    config
        YAML file; in a cluster the chart writes it. Without one: PokeAPI on a pool of local processes.
    dry_run
        Say what would be made, changed and removed, and change nothing.
    overwrite
        Reset what a person edited, too.

    """
    try:
        from trawl.orchestration.setup import apply, load_settings, preview
    except ModuleNotFoundError as error:
        raise without_prefect(error) from error
    except (OSError, ValueError) as error:  # Prefect reads its settings as it is imported
        raise unloadable(error) from None

    show_steps()
    settings = load_settings(config)
    work = preview if dry_run else apply
    asyncio.run(work(settings, config, overwrite=overwrite))


def show_steps() -> None:
    """What set-up says of its steps goes to stderr."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(message)s")
    logging.getLogger("trawl.setup").setLevel(logging.INFO)


def without_prefect(error: ModuleNotFoundError) -> Exception:
    """The error of a command that needs Prefect; another missing module is our own fault."""
    if error.name is None or not error.name.startswith("prefect"):
        return error
    return ConfigurationError("this needs Prefect, which is not installed", remedy="pip install 'trawl[prefect]'")


def unloadable(error: Exception) -> ConfigurationError:
    """Prefect does not take its own settings."""
    return ConfigurationError(
        f"Prefect cannot be loaded: {' '.join(str(error).split())[:400]}",
        remedy="correct that setting: a variable PREFECT_..., or the profile that `prefect config view` shows",
    )
