"""`trawl serve`."""

import os
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from . import interrupts
from .common import LakeOption, run_async, talk
from .setup import show_steps, unloadable, without_prefect

__all__ = ["serve"]


def serve(
    *,
    lake: LakeOption = None,
    port: Annotated[int, Parameter(validator=Number(gte=1, lte=65535))] = 4200,
    config: Annotated[Path | None, Parameter(env_var="TRAWL_SETUP")] = None,
) -> None:
    """Run Prefect on this machine: server, UI, schedules and runs, until Ctrl-C.

    One command in the place of `prefect server start`, `trawl setup` and `prefect worker start`. It makes what `trawl setup`
    makes, on a pool of local processes. If PREFECT_API_URL names a server, that one is used, and none is started.

    ```
    trawl serve
    trawl serve --lake ./lake --port 4300
    TRAWL_SOURCE_POKEAPI_BASE_URL=http://127.0.0.1:8000/api/v2 trawl serve   # a replica of the API
    trawl serve --config ./setup.yaml                                        # schedules of your own
    ```

    Then look at http://127.0.0.1:4200, and start a run there or with `prefect deployment run refresh/refresh-pokeapi`.

    Parameters
    ----------
    port
        Where server and UI are, on 127.0.0.1.
    config
        The set-up file; see `trawl setup --help`.

    """
    try:
        from trawl.orchestration.serving import PATIENCE
        from trawl.orchestration.serving import serve as serve_all
        from trawl.orchestration.setup import load_settings
    except ModuleNotFoundError as error:
        raise without_prefect(error) from error
    except (OSError, ValueError) as error:
        raise unloadable(error) from None

    settings = load_settings(config)
    show_steps()
    interrupts.allow(PATIENCE)
    where = lake if lake is not None else os.environ.get("TRAWL_LAKE") or "lake"
    home = Path(os.environ.get("PREFECT_HOME") or Path.home() / ".trawl" / "prefect")
    whole = where if "://" in where else str(Path(where).resolve())
    say = lambda line: talk.print(line, markup=False)  # noqa: E731
    run_async(serve_all(settings, config, lake=whole, port=port, home=home, say=say))
