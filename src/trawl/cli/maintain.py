"""`trawl maintain`: keep a lake quick, and no larger than it need be."""

from dataclasses import asdict
from functools import partial

from trawl.crawl import RETAIN, Maintained, count_of
from trawl.crawl import maintain as maintain_source

from .common import Flag, JsonOption, LakeOption, duration, open_lake, out, print_json, talk


def maintain(
    *sources: str,
    lake: LakeOption = None,
    retain: str | None = None,
    dry_run: Flag = False,
    json_output: JsonOption = False,
) -> None:
    """Compact old checks and small files, delete what is no longer needed. History (`--as-of`) does not change.

    What is deleted: files that no commit names any longer, plans and files of dead runs, quarantined answers of records
    that were read well since, manifests of runs that ended without a commit (after 90 days at least). Never what an
    unfinished run can still be finished with, nor what waits for `--accept`.

    ```
    trawl maintain pokeapi
    trawl maintain --retain 30d --dry-run
    ```

    Parameters
    ----------
    sources
        The sources to maintain; without any, all that the lake holds.
    retain
        How long to keep what nobody needs any longer (default 7d): somebody may be reading it.
    dry_run
        Say what would be done.
    """
    found = open_lake(lake)
    kept = RETAIN if retain is None else duration(retain, "--retain")
    results = {}
    for name in sources or tuple(found.sources()):
        say = None if json_output else partial(_say, name)
        results[name] = maintain_source(found, name, retain=kept, dry_run=dry_run, say=say)
        if not json_output:
            _show(name, results[name], dry_run=dry_run)
    if json_output:
        print_json({name: asdict(result) for name, result in results.items()})


def _show(name: str, result: Maintained, *, dry_run: bool) -> None:
    if dry_run:
        out.print(
            f"[bold]{name}[/]: {count_of(result.files_joined, 'file')} of {result.files_before:,} would be joined"
        )
    else:
        out.print(
            f"[bold]{name}[/]: {result.files_before:,} files became {result.files_after:,}; "
            f"{result.rows_folded:,} check rows folded"
        )
    verb = "would be deleted" if dry_run else "deleted"
    for what, count in result.removed.items():
        out.print(f"  {verb}: {count['files']:,} {what} ({count['bytes'] / 1e6:,.1f} MB)")


def _say(name: str, text: str) -> None:
    talk.print(f"[dim]{name}:[/] {text}")
