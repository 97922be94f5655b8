"""`trawl rekey`: new keys for stored records, after the key policy has changed."""

from trawl.crawl import count_of
from trawl.crawl import rekey as rekey_source
from trawl.sources import get_crawler

from .common import Flag, JsonOption, LakeOption, open_lake, out, print_json
from .text import verbatim


def rekey(
    source: str,
    /,
    *,
    lake: LakeOption = None,
    dry_run: Flag = False,
    json_output: JsonOption = False,
) -> None:
    """Change the keys of stored records to the source's current key policy, with their whole history.

    Keys are taken from what is stored: a field of the document, the label, or with a `pattern` the record's address.
    Children move with their parents. If a key cannot be found, or two records would share one, nothing is changed.

    ```
    trawl rekey ./my-api.yaml --dry-run
    ```

    Parameters
    ----------
    source
        A registered source or a YAML file, with the new policy.
    dry_run
        Show old and new keys; change nothing.
    """
    config = get_crawler(source).config_block
    found, forgotten = rekey_source(open_lake(lake), config, dry_run=dry_run)
    if json_output:
        endpoints = {name: result.to_dict() for name, result in found.items()}
        print_json({"endpoints": endpoints, "forgotten": forgotten})
        return
    if not found:
        out.print(f"{config.name}: no key policy has changed")
    verb = "would get" if dry_run else "got"
    for name, result in found.items():
        also = f" (and so do {', '.join(result.children)})" if result.children else ""
        out.print(f"[bold]{name}[/]: {result.moved:,} of {count_of(result.records, 'record')} {verb} another key{also}")
        for old, new in result.examples.items():
            out.print(f"  {verbatim(old)} -> {verbatim(new)}")
        if result.dropped:
            out.print(f"  {count_of(result.dropped, 'record')} without content: the next run lists them anew")
    if forgotten:
        out.print(
            f"[yellow]{count_of(forgotten, 'record')} forgotten under the old keys:[/] only hashes of those are known, so "
            "the next crawl may store such a record under its new key. Forget it again then"
        )
