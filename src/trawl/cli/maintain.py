"""`trawl maintain`: keep a lake quick."""

from dataclasses import asdict
from functools import partial

from trawl.crawl import maintain as maintain_source

from .common import JsonOption, LakeOption, open_lake, out, print_json, talk


def maintain(
    *sources: str,
    lake: LakeOption = None,
    json_output: JsonOption = False,
) -> None:
    """Fold old checks and join small files. History stays: every `--as-of` answers as before.

    ```
    trawl maintain pokeapi
    ```

    Parameters
    ----------
    sources
        The sources to maintain; without any, all that the lake holds.
    """
    found = open_lake(lake)
    names = sources or tuple(found.sources())
    results = {}
    for name in names:
        folded = maintain_source(found, name, say=None if json_output else partial(_say, name))
        results[name] = folded
        if not json_output:
            out.print(
                f"[bold]{name}[/]: {folded.files_before:,} files became {folded.files_after:,}; "
                f"{folded.rows_folded:,} check rows folded"
            )
    if json_output:
        print_json({name: asdict(folded) for name, folded in results.items()})


def _say(name: str, text: str) -> None:
    talk.print(f"[dim]{name}:[/] {text}")
