"""`trawl check`: whether sources are described well; with --live also machine, lake and API."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import asdict

from trawl.crawl import count_of, examine, some_of
from trawl.model.config import SourceConfig
from trawl.model.errors import ConfigurationError
from trawl.model.health import Health, Level
from trawl.model.values import format_duration
from trawl.sources import SourceCrawler, get_crawler, source_names

from .common import Flag, JsonOption, LakeOption, open_lake, out, print_json, print_marked, run_async
from .text import verbatim

_MARKS = {Level.OK: "[green]ok     [/]", Level.WARNING: "[yellow]warning[/]", Level.WRONG: "[red]wrong  [/]"}


def check(
    source: str | None = None,
    /,
    *,
    live: Flag = False,
    lake: LakeOption = None,
    base_url: str | None = None,
    json_output: JsonOption = False,
) -> int:
    """Check a source's description, or all registered ones, without a single request.

    With --live also this machine, the lake and the API (some five requests per source): what is wrong, and what to do.
    The exit code is 1 if anything is.

    ```
    trawl check ./my-api.yaml
    trawl check pokeapi --live
    ```

    Parameters
    ----------
    source
        A registered source or a YAML file; without it, every registered one.
    live
        Look at the machine, the lake and the API, too.
    base_url
        Takes the place of the source's own address.
    """
    crawlers: list[SourceCrawler] = []
    findings: list[Health] = []
    for name in [source] if source is not None else source_names():
        try:
            crawlers.append(get_crawler(name))
        except ConfigurationError as error:  # the others are checked all the same
            if source is not None:
                raise
            findings.append(Health(name, "description", Level.WRONG, error.message, error.remedy))
        else:
            findings += _described(crawlers[-1].config_block)
    for finding in findings if not json_output else ():
        _show(finding)
    if live:
        found = run_async(_collect(examine(crawlers, open_lake(lake), base_url), quiet=json_output))
        findings += found
    wrong = [finding for finding in findings if finding.level is Level.WRONG]
    if json_output:
        print_json({"ok": not wrong, "checks": [asdict(finding) for finding in findings]})
    elif live:
        warnings = sum(finding.level is Level.WARNING for finding in findings)
        out.print(f"[bold]{_count(len(wrong), 'nothing')} wrong, {_count(warnings, 'no')} warnings[/]")
    return 1 if wrong else 0


async def _collect(findings: AsyncIterator[Health], *, quiet: bool) -> list[Health]:
    """All of them; shown as they come."""
    found = []
    async for finding in findings:
        found.append(finding)
        if not quiet:
            _show(finding)
    return found


def _described(config: SourceConfig) -> Iterator[Health]:
    children = [name for name, endpoint in config.endpoints.items() if endpoint.parent is not None]
    token = config.version_token
    yield Health(
        config.name,
        "description",
        Level.OK,
        f"{config.base_url}: {count_of(len(config.endpoints), 'endpoint')}"
        + (f", {len(children)} of them children ({', '.join(children)})" if children else "")
        + f"; {config.rate.requests_per_second:g} requests/s on {config.rate.connections} connections; "
        + (f"version token {token.path} {token.field}" if token else "no version token")
        + f"; fresh for {format_duration(config.defaults.freshness)}",
    )
    if config.uncontracted:
        yield Health(
            config.name,
            "contract",
            Level.WARNING,
            f"none for {some_of(config.uncontracted)}: a wrong answer may be taken for a document there",
            "write the fields that every document has, for example `contract: {fields: {id: integer, name: string}, key: "
            f"id}}`; `trawl try {config.name} {config.uncontracted[0]} KEY` suggests them from a document",
        )


def _show(finding: Health) -> None:
    text = f"[bold]{verbatim(finding.area)}[/] {verbatim(finding.subject)}: {verbatim(finding.message)}"
    print_marked(_MARKS[finding.level], text)
    if finding.remedy:
        print_marked(" " * len("warning"), f"[bold]do:[/] {verbatim(finding.remedy)}")


def _count(number: int, none: str) -> str:
    return none if number == 0 else f"{number:,}"
