"""`trawl try`: one request, explained."""

import os
from typing import Annotated

from cyclopts import Parameter

from trawl.crawl import CrawlOptions, Probe, count_of, probe
from trawl.crawl.probe import Asked, ListFacts, RecordFacts
from trawl.sources import get_crawler

from .common import JsonOption, LakeOption, line_width, open_lake, out, print_facts, print_json, run_async
from .differences import show_differences
from .text import shorten, verbatim

_DIFFERENCES = 12
_GOOD = {"ok", "not modified"}


def try_(
    source: str,
    endpoint: str,
    key: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None,
    /,
    *,
    base_url: str | None = None,
    lake: LakeOption = None,
    json_output: JsonOption = False,
) -> int:
    """Request one list or one record; explain the answer and what a crawl would do with it. Writes nothing.

    ```
    trawl try pokeapi pokemon
    trawl try pokeapi pokemon pikachu
    trawl try ./my-api.yaml users
    ```

    Parameters
    ----------
    source
        A registered source or a YAML file, also one that is not finished.
    endpoint
        One of the source's endpoints.
    key
        A record's key or label; without one, the list is asked for.
    base_url
        Takes the place of the source's own address.
    """
    crawler = get_crawler(source)
    found_lake = open_lake(lake)
    found = run_async(probe(crawler, endpoint, key, found_lake, CrawlOptions(base_url=base_url)))
    if (lake or os.environ.get("TRAWL_LAKE")) and not found_lake.store.exists:
        found.notes.append(f"there is no lake at {found_lake.url}: nothing to compare with")
    if json_output:
        print_json(found.to_dict())
    else:
        _show(found)
    return 0 if found.ok else 1


def _show(found: Probe) -> None:
    for asked in found.requests:
        _show_request(asked)
    for note in found.notes:
        out.print(f"[dim]note:[/] {verbatim(note)}")
    if found.listing is not None:
        _show_list(found.listing)
    if found.record is not None:
        _show_record(found.record)
    for problem in found.problems:
        out.print(f"[bold red]problem:[/] {verbatim(problem.message)}")
        out.print(f"  [bold]change:[/] {verbatim(problem.remedy)}")
    if found.ok:
        out.print("[bold green]ok:[/] a crawl can use this")


def _show_request(asked: Asked) -> None:
    out.print(f"[bold]GET {verbatim(asked.url)}[/]")
    facts: list[tuple[str, str]] = []
    facts.append(("why", verbatim(asked.why)))
    colour = "green" if asked.action in _GOOD else "red"
    if asked.status is None:
        facts.append(("answer", f"[red]{verbatim(asked.meaning)}[/]"))
    else:
        size = f"{asked.seconds * 1000:.0f} ms, {count_of(asked.bytes, 'byte')}"
        facts.append(("answer", f"[{colour}]{asked.status} {asked.action}[/] [dim]({size})[/]: {asked.meaning}"))
    for name, value in asked.headers.items():
        hint = _hint(name)
        facts.append((name, verbatim(value) + (f" [dim]({hint})[/]" if hint else "")))
    print_facts(facts)


def _hint(name: str) -> str:
    """What a header is good for, where not everybody knows."""
    return {
        "etag": "asked for again with If-None-Match: 304 where nothing changed",
        "last-modified": "asked for again with If-Modified-Since: 304 where nothing changed",
        "age": "age of this answer in a cache, in seconds",
        "retry-after": "the pause that the API asks for",
    }.get(name, "" if name in _PLAIN else "which version of the API answered")


_PLAIN = {"content-type", "content-encoding", "cache-control", "link", "location"}


def _show_list(listing: ListFacts) -> None:
    out.print("[bold]list[/]")
    facts: list[tuple[str, str]] = []
    counted = "" if listing.count is None else f" of {listing.count:,} that the API counts"
    facts.append(("items", f"{listing.items:,}{counted}"))
    mark = "[green]verified[/]" if listing.verified else "[yellow]not verified[/]"
    facts.append(("listing", f"{mark}: {verbatim(listing.note)}" if listing.note else mark))
    facts.append(
        ("snapshot", "one answer, so a consistent snapshot" if listing.complete else "[yellow]several answers[/]")
    )
    for index, (key, label) in enumerate(listing.keys):
        facts.append(("" if index else "first keys", verbatim(key) + (f" [dim]{verbatim(label)}[/]" if label else "")))
    print_facts(facts)


def _show_record(record: RecordFacts) -> None:
    out.print(f"[bold]record {verbatim(record.key)}[/]" + (f" {verbatim(record.label)}" if record.label else ""))
    facts: list[tuple[str, str]] = []
    for index, finding in enumerate(record.contract):
        mark = "[green]ok[/]" if finding.ok else "[red]broken[/]"
        where = verbatim(finding.path) or "the document"
        found = "missing" if finding.found is None else verbatim(finding.found)
        wanted = "" if finding.ok else f", not {verbatim(finding.wanted)}"
        found = verbatim(finding.wanted) if finding.ok and finding.wanted.startswith("the key ") else found
        facts.append(("" if index else "contract", f"{mark} {where} is {found}{wanted}"))
    if record.suggestion:
        suggested = verbatim(record.suggestion)
        facts.append(("", f"[yellow]there is none[/]: its documents are not checked further. Suggested: {suggested}"))
    hashes = {"bytes": record.byte_hash, "canonical": record.canonical_hash, "semantic": record.semantic_hash}
    facts.append(("hashes", ", ".join(f"{name} {digest[:12]}" for name, digest in hashes.items())))
    lists = ", ".join(f"{path} {number:,}" for path, number in record.unordered.items())
    none = "[dim]none of the declared lists is in this document[/]"
    facts.append(("unordered", verbatim(shorten(lists, 4 * line_width())) if lists else none))
    if record.version:
        facts.append(("lake", f"version {record.version}, {record.state}"))
    if record.verdict:
        facts.append(("verdict", f"[bold]{record.verdict}[/]: {verbatim(record.meaning)}"))
    print_facts(facts)
    show_differences(record.differences, limit=_DIFFERENCES)
