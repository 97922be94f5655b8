"""`trawl setup`."""

import asyncio
import logging
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from trawl.model.errors import ConfigurationError

__all__ = ["setup"]


def setup(
    *,
    config: Annotated[Path | None, Parameter(env_var="TRAWL_SETUP")] = None,
) -> None:
    """Prepare a Prefect server: buckets, work pool, queues, limits and one deployment per flow and source.

    Run it as often as you like: it makes what is missing, updates what Trawl owns and leaves what an operator
    may have changed. The server is the one that Prefect's own commands would talk to (PREFECT_API_URL).

    ```
    trawl setup
    trawl setup --config ./setup.yaml
    ```

    Parameters
    ----------
    config
        YAML file; in a cluster the chart writes it. Without one: PokeAPI on a pool of local processes.

    """
    try:
        from trawl.orchestration.setup import apply, load_settings
    except ModuleNotFoundError as error:
        if error.name is None or not error.name.startswith("prefect"):
            raise
        raise ConfigurationError(
            "Set-up needs Prefect, which is not installed", remedy="pip install 'trawl[prefect]'"
        ) from error
    except (OSError, ValueError) as error:  # Prefect reads its settings as it is imported
        raise ConfigurationError(
            f"Prefect cannot be loaded: {' '.join(str(error).split())[:400]}",
            remedy="correct that setting: a variable PREFECT_..., or the profile that `prefect config view` shows",
        ) from None

    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(message)s")
    logging.getLogger("trawl.setup").setLevel(logging.INFO)
    asyncio.run(apply(load_settings(config)))
