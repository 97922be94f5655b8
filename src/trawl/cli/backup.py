"""`trawl backup`: copy a lake elsewhere."""

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from trawl.lake import Store, back_up
from trawl.model.errors import ConfigurationError

from .common import Flag, JsonOption, LakeOption, open_lake, out, print_json
from .progress import Bar
from .text import verbatim

ELSEWHERE = "TRAWL_BACKUP_"
"""Stands before AWS_ENDPOINT_URL and the like where the backup's store is not the lake's."""

KEEP_AT_LEAST = 1


def backup(
    *,
    to: str,
    lake: LakeOption = None,
    keep: int | None = None,
    add: Annotated[tuple[Path, ...], Parameter(negative=(), show_default=False)] = (),
    make_bucket: Flag = False,
    json_output: JsonOption = False,
) -> None:
    """Copy the lake, with its whole history, to another place. Crawls may run meanwhile.

    Each source is copied as its last commit left it. Only what is new since the last backup is copied; backups share the
    rest. `trawl restore` puts one into an empty lake.

    Where the backup lies in another object store than the lake, give that one's `AWS_ENDPOINT_URL`, `AWS_REGION`,
    `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY` with `TRAWL_BACKUP_` before their names.

    ```
    trawl backup --to /mnt/backups/lake
    trawl backup --lake s3://trawl-lake --to s3://trawl-backup --keep 14
    ```

    Parameters
    ----------
    to
        Where backups lie: a folder or s3://bucket/prefix.
    keep
        Remove all but the newest backups, so many, and what only the others used. Without it none is removed.
    add
        A file to keep with it, such as a dump of a database; repeatable.
    make_bucket
        Make the bucket first, if it is not there.
    """
    if keep is not None and keep < KEEP_AT_LEAST:
        raise ConfigurationError(f"--keep {keep}: none would be left", remedy="keep at least 1")
    store = Store(to, prefix=ELSEWHERE)
    if make_bucket:
        _make_bucket(store)
    with Bar("backup") if not json_output else nullcontext() as bar:
        done = back_up(open_lake(lake), store, add=add, keep=keep, progress=bar)
    made = done.backup
    if json_output:
        facts = {"backup": made.name, "sources": made.versions, "objects": len(made.objects), "bytes": made.size}
        more = {"copied": done.copied, "copied_bytes": done.copied_bytes, "added": made.added, "removed": done.removed}
        print_json(facts | more)
        return
    out.print(
        f"[bold]{made.name}[/]: {', '.join(made.versions) or 'no source yet'}; {len(made.objects):,} objects "
        f"({made.size / 1e6:,.1f} MB), of which {done.copied:,} were new ({done.copied_bytes / 1e6:,.1f} MB)"
    )
    for name, size in made.added.items():
        out.print(f"  with {verbatim(name)} ({size / 1e6:,.1f} MB)")
    for name in done.removed:
        out.print(f"  removed: {name}")


def _make_bucket(store: Store) -> None:
    try:
        from trawl.orchestration.setup.objects.buckets import make_sure_of
    except ModuleNotFoundError:
        raise ConfigurationError(
            "--make-bucket needs boto3", remedy='pip install "trawl[prefect]", or make the bucket by other means'
        ) from None
    if store.folder is None:
        make_sure_of(store.url.removeprefix("s3://").partition("/")[0])
