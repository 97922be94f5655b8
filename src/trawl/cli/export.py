"""`trawl export`: records as plain files."""

from dataclasses import asdict
from pathlib import Path

from trawl.crawl import count_of
from trawl.lake import Format
from trawl.lake import export as export_source

from .common import AsOfOption, EndpointOption, Flag, JsonOption, LakeOption, open_lake, out, parse_time, print_json
from .progress import Bar
from .text import verbatim


def export(
    source: str,
    /,
    *,
    to: Path = Path("export"),
    format: Format = "files",
    endpoint: EndpointOption = (),
    as_of: AsOfOption = None,
    overwrite: Flag = False,
    lake: LakeOption = None,
    json_output: JsonOption = False,
) -> None:
    """Write records as plain files: a JSON document each, or a table per endpoint.

    Again into the same folder it writes only the documents that changed (tables anew), and removes what is gone; files of
    others stay.

    ```
    trawl export pokeapi --to ./pokeapi-files
    trawl export pokeapi --format parquet --endpoint pokemon --as-of 2026-08-03
    ```

    Parameters
    ----------
    source
        A source that the lake holds.
    to
        The folder. In it: SOURCE/ENDPOINT/KEY.json, or SOURCE/ENDPOINT.parquet (.csv, .jsonl).
    format
        `files` are the documents as received; the tables have the columns of the view `records`.
    overwrite
        Write into a folder that holds other files, and replace those of the same names.
    """
    part = open_lake(lake).held(source)
    with Bar(source, quiet=json_output) as bar:
        done = export_source(
            part,
            to,
            format,
            endpoints=endpoint,
            as_of=parse_time(as_of, "--as-of"),
            overwrite=overwrite,
            begin=bar.begin,
            advance=bar.advance,
        )
    if json_output:
        print_json(asdict(done))
        return
    unchanged = f", {done.unchanged:,} unchanged" if done.unchanged else ""
    removed = f", {done.removed:,} removed" if done.removed else ""
    out.print(
        f"[bold]{count_of(done.records, 'record')}[/] in {verbatim(done.folder)}: {count_of(done.written, 'file')} written "
        f"({done.bytes / 1e6:,.1f} MB){unchanged}{removed}"
    )
