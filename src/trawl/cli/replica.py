"""`trawl replica`: serve a stand-in of PokeAPI."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from trawl.model.errors import ConfigurationError
from trawl.replica import (
    ArchiveCatalogue,
    ASGIApp,
    Catalogue,
    Faults,
    FolderCatalogue,
    GeneratedCatalogue,
    Referee,
    RefereedApp,
    ReplicaApp,
    faulty,
    serve,
)

from .common import duration

_FAULTS = f"""
A fault, as `name=value`; repeatable. Without any there are no faults:

{Faults.describe()}
"""


def replica(
    *,
    archive: Path | None = None,
    folder: Path | None = None,
    generate: int | None = None,
    seed: int = 0,
    day: int = 0,
    fault: Annotated[tuple[str, ...], Parameter(negative=(), help=_FAULTS, show_default=False)] = (),
    before: str | None = None,
    jitter: str = "0.1s",
    host: Annotated[str, Parameter(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, Parameter(help="The port; 0 takes a free one.")] = 8000,
) -> None:
    """Serve a replica of PokeAPI with its real headers, lists and errors, without load on the real service.

    ```
    trawl replica --generate 3000
    trawl run pokeapi --base-url http://127.0.0.1:8000/api/v2 --rate unlimited
    trawl replica --generate 3000 --fault errors=0.05 --fault cut=0.01
    ```

    When it stops, it reports how polite its client was; until then, `GET /referee` does.

    Parameters
    ----------
    archive
        A snapshot as one `.tar.zst` file.
    folder
        A snapshot unpacked: the folder that holds `api/v2`.
    generate
        So many generated records, the same for the same seed and day.
    seed
        Which generated world.
    day
        Which day of it: days differ by records created, changed, reordered, renamed, removed and returned.
    before
        The day before, for the faults `cache` (caches hold it still) and `mixed`: an archive or a folder like the one
        that is served, or the number of a generated day.
    jitter
        By how much one request may be longer under way than another: what arrives so soon after a cool-down began may
        have left before its client knew, and is not counted against it. More for a slow network or a busy machine.
    """
    chosen = [
        flag
        for flag, value in (("--archive", archive), ("--folder", folder), ("--generate", generate))
        if value is not None
    ]
    if len(chosen) != 1:
        raise ConfigurationError(
            "give one of --archive, --folder and --generate" + (f", not {' and '.join(chosen)}" if chosen else ""),
            remedy="for example: trawl replica --generate 3000",
        )
    faults = Faults.parse(fault)
    faults.check(before=before is not None)
    catalogue: Catalogue
    if archive is not None:
        catalogue = ArchiveCatalogue(archive)
    elif folder is not None:
        catalogue = FolderCatalogue(folder)
    else:
        catalogue = GeneratedCatalogue(generate or 0, seed=seed, day=day)
    old = None if before is None else ReplicaApp(_day_before(before, generate, seed))
    referee = Referee(jitter=duration(jitter, "--jitter").total_seconds())
    app: ASGIApp = ReplicaApp(catalogue)
    if fault:
        app = faulty(app, faults, before=old, announce=referee.announced)
    serve(
        RefereedApp(app, referee),
        host,
        port,
        ready=lambda url: print(f"serving {url} (Ctrl-C ends it)", flush=True),
    )
    print(referee.summary())


def _day_before(before: str, generate: int | None, seed: int) -> Catalogue:
    if generate is not None:
        if not before.isdecimal():
            raise ConfigurationError(f"--before {before}: no day of a generated world", remedy="give its number")
        return GeneratedCatalogue(generate, seed=seed, day=int(before))
    path = Path(before)
    return FolderCatalogue(path) if path.is_dir() else ArchiveCatalogue(path)
