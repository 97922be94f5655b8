"""`trawl restore`: put a backup into an empty lake."""

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from trawl.lake import Backups, Store, fetch
from trawl.lake import restore as restore_lake
from trawl.model.errors import ConfigurationError

from .backup import ELSEWHERE
from .common import Flag, JsonOption, LakeOption, open_lake, out, print_json, table
from .progress import Bar
from .text import verbatim


def restore(
    *,
    from_: Annotated[str, Parameter(name="--from")],
    lake: LakeOption = None,
    at: str | None = None,
    files_to: Path | None = None,
    only: Annotated[str | None, Parameter(name="--only-file")] = None,
    list_: Annotated[Flag, Parameter(name="--list")] = False,
    json_output: JsonOption = False,
) -> None:
    """Put a backup that `trawl backup` made into an empty lake: every record, every version, every run.

    A lake that holds anything is refused. If it is interrupted, the same command continues.

    ```
    trawl restore --from /mnt/backups/lake --list
    trawl restore --from /mnt/backups/lake --lake ./lake
    trawl restore --from s3://trawl-backup --lake s3://trawl-lake --at 20261127T023000Z
    ```

    Parameters
    ----------
    from_
        Where backups lie: a folder or s3://bucket/prefix.
    at
        Which one; without it the newest.
    files_to
        A folder for the files that were added to it.
    only
        Restore no lake, and put this one file of the backups' place into `--files-to`.
    list_
        Say which there are, and restore nothing.
    """
    store = Store(from_, prefix=ELSEWHERE)
    if list_:
        _list(Backups(store), json_output=json_output)
        return
    if only is not None:
        if files_to is None:
            raise ConfigurationError("--only-file needs --files-to", remedy="name the folder that it is put into")
        out.print(verbatim(str(fetch(store, only, files_to))))
        return
    with Bar("restore") if not json_output else nullcontext() as bar:
        done = restore_lake(store, open_lake(lake), at, files_to=files_to, progress=bar)
    if json_output:
        print_json({"backup": done.name, "sources": done.versions, "objects": len(done.objects), "bytes": done.size})
        return
    out.print(
        f"[bold]{done.name}[/] is restored: {', '.join(done.versions) or 'no source'}; "
        f"{len(done.objects):,} objects ({done.size / 1e6:,.1f} MB)"
    )


def _list(backups: Backups, *, json_output: bool) -> None:
    found, dumps = [backups.read(name) for name in backups.names()], backups.dumps()
    if json_output:
        told = [{"backup": one.name, "sources": one.versions, "bytes": one.size, "added": one.added} for one in found]
        print_json({"backups": told, "before_upgrades": dumps})
        return
    rows = [
        [one.name, ", ".join(one.versions), len(one.objects), round(one.size / 1e6, 1), ", ".join(one.added)]
        for one in found
    ]
    out.print(table(["backup", "sources", "objects", "MB", "with"], rows))
    for path, size in sorted(dumps.items()):
        out.print(f"{verbatim(path)} ({size / 1e6:,.1f} MB)")
