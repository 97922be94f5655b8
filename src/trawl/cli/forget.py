"""`trawl forget`: erase a record."""

from dataclasses import asdict
from typing import Annotated

from cyclopts import Parameter

from trawl.crawl import Forgotten, count_of
from trawl.crawl import forget as forget_record
from trawl.model.errors import ConfigurationError

from .common import Flag, JsonOption, LakeOption, confirm, open_lake, out, print_json
from .text import verbatim


def forget(
    source: str,
    endpoint: str,
    key: Annotated[str, Parameter(allow_leading_hyphen=True)],
    /,
    *,
    lake: LakeOption = None,
    until_listed_again: Flag = False,
    yes: Annotated[Flag, Parameter(name=["--yes", "-y"])] = False,
    dry_run: Flag = False,
    json_output: JsonOption = False,
) -> int:
    """Erase a record and its children permanently: from all versions, from quarantine, and from the files.

    It stays away: a hash of its key is remembered, and no later crawl stores it, though the API may list it. No `--as-of`
    brings it back, and whoever reads the log's old versions by Delta's time travel finds their files gone.

    ```
    trawl forget pokeapi pokemon 25 --dry-run
    trawl forget pokeapi pokemon pikachu --yes
    ```

    Parameters
    ----------
    source
        A source that the lake holds.
    endpoint
        One of the source's endpoints.
    key
        The record's key, or its label (any case).
    until_listed_again
        Do not remember it: the next crawl stores it again if the API still lists it. Also takes back what is remembered.
    yes
        Do not ask.
    dry_run
        Say what would be erased.
    """
    found = open_lake(lake)
    seen = forget_record(found, source, endpoint, key, until_listed_again=until_listed_again, dry_run=True)
    if seen is None:
        key = found.find(source, endpoint, key)
        seen = forget_record(found, source, endpoint, key, until_listed_again=until_listed_again, dry_run=True)
    if seen is None:
        raise ConfigurationError(f"{source}/{endpoint} has no record {key!r}", remedy="give its key or its label")
    if not json_output:
        _show(source, seen)
    if not dry_run:
        if not confirm("Erase it for good?", yes=yes):
            return 1
        seen = forget_record(found, source, endpoint, key, until_listed_again=until_listed_again) or seen
    if json_output:
        print_json(asdict(seen))
    elif not dry_run:
        out.print("erased" if seen.rows or seen.loose or seen.answers else "nothing was left to erase")
    return 0


def _show(source: str, found: Forgotten) -> None:
    own, *children = found.endpoints
    also = f" (with its records in {', '.join(children)})" if children else ""
    out.print(f"[bold]{source}/{own}[/] {verbatim(found.key)}{also}:")
    out.print(
        f"  {count_of(found.rows, 'row')} in {count_of(found.files, 'file')} of the log, which are rewritten without them; "
        f"{count_of(found.loose, 'file')} that no commit names; {count_of(found.answers, 'quarantined answer')}"
    )
    if found.plans:
        out.print(f"  {count_of(found.plans, 'unfinished plan')} may hold it and will be given up")
    if found.remembered:
        out.print("  a hash of its key is remembered: it is not stored again, even if the API still lists it")
    else:
        out.print("  [yellow]not remembered:[/] if the API still lists it, the next crawl stores it again")
