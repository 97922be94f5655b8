"""`trawl replica`: serve a stand-in of PokeAPI."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from trawl.model.errors import ConfigurationError
from trawl.replica import ArchiveCatalogue, Catalogue, FolderCatalogue, GeneratedCatalogue, ReplicaApp, serve


def replica(
    *,
    archive: Path | None = None,
    folder: Path | None = None,
    generate: int | None = None,
    seed: int = 0,
    day: int = 0,
    host: Annotated[str, Parameter(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, Parameter(help="The port; 0 takes a free one.")] = 8000,
) -> None:
    """Serve a stand-in of PokeAPI: its real headers, lists and errors, and no load on the real service.

    ```
    trawl replica --generate 3000
    trawl run pokeapi --base-url http://127.0.0.1:8000/api/v2 --rate unlimited
    ```

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
    catalogue: Catalogue
    if archive is not None:
        catalogue = ArchiveCatalogue(archive)
    elif folder is not None:
        catalogue = FolderCatalogue(folder)
    else:
        catalogue = GeneratedCatalogue(generate or 0, seed=seed, day=day)
    serve(
        ReplicaApp(catalogue),
        host,
        port,
        ready=lambda url: print(f"serving {url} (Ctrl-C ends it)", flush=True),
    )
