"""`trawl quarantine`: answers that were set aside, and what can be done about them."""

import json
from typing import Annotated, Any

from cyclopts import App, Parameter

from trawl.crawl import Verdict, count_of, find_quarantined
from trawl.crawl import replay as replay_answers
from trawl.model.errors import ConfigurationError
from trawl.sources import get_crawler

from .common import Flag, JsonOption, LakeOption, binary_output, open_lake, out, print_json, table
from .text import shorten, verbatim, visible

quarantine = App(
    name="quarantine",
    help="List, show and replay the answers that were set aside.\n\n"
    "```\n"
    "trawl quarantine list pokeapi\n"
    "trawl quarantine show pokeapi pokemon 25\n"
    "trawl quarantine replay ./my-api.yaml\n"
    "```",
    help_format="markdown",
)


@quarantine.command(name="list")
def list_answers(
    source: str,
    endpoint: str | None = None,
    /,
    *,
    lake: LakeOption = None,
    all: Flag = False,
    json_output: JsonOption = False,
) -> None:
    """List quarantined answers, newest first, with the reason of each.

    ```
    trawl quarantine list pokeapi
    trawl quarantine list pokeapi pokemon --all
    ```

    Parameters
    ----------
    source
        A source that the lake holds.
    endpoint
        Only of this endpoint.
    all
        Also those of records that were read well since.
    """
    rows = [row for row in find_quarantined(open_lake(lake), source, endpoint) if all or row["open"]]
    if json_output:
        print_json(rows)
        return
    if rows:
        columns = ["endpoint", "key", "label", "reason", "observed_at", "open", "run"]
        out.print(table(columns, [[_short(row[column]) for column in columns] for row in rows]))
    out.print(f"{count_of(len(rows), 'answer')}" + ("" if all else " of records not read well since"))


@quarantine.command
def show(
    source: str,
    endpoint: str,
    key: Annotated[str, Parameter(allow_leading_hyphen=True)],
    /,
    *,
    lake: LakeOption = None,
    run: str | None = None,
    body: Flag = False,
    json_output: JsonOption = False,
) -> None:
    """Show a kept answer completely: reason, status, headers, body.

    ```
    trawl quarantine show pokeapi pokemon pikachu
    trawl quarantine show pokeapi pokemon 25 --body > answer.bin
    ```

    Parameters
    ----------
    source
        A source that the lake holds.
    endpoint
        One of the source's endpoints.
    key
        The record's key, or its label (any case).
    run
        The answer of this run; without it, the newest.
    body
        Write nothing but the body, byte for byte.
    """
    found = open_lake(lake)
    row = find_quarantined(found, source, endpoint, key, run)[0]
    content = found.store.get(row["object"])
    kept = found.source(source).runs.quarantined(row["run"], row["endpoint"], row["key"])
    if content is None or kept is None:
        raise ConfigurationError(
            f"the answer of {row['endpoint']} {row['key']} in run {row['run']} is not kept any longer",
            remedy="`trawl maintain` deletes those of records that were read well since",
        )
    if body:
        output = binary_output()
        output.write(kept.body)
        output.flush()
        return
    if json_output:
        facts = {"label": row["label"], "open": row["open"], "run": row["run"]}
        print_json(json.loads(content) | facts)
        return
    out.print(
        f"[bold]{kept.endpoint}/{verbatim(kept.key)}[/] {verbatim(row['label'] or '')} [dim](run {row['run']})[/]"
    )
    out.print(f"[bold]reason[/] {verbatim(kept.reason)}" + ("" if row["open"] else " [dim](read well since)[/]"))
    out.print(f"[bold]at[/]     {kept.at:%Y-%m-%d %H:%M:%S} UTC")
    out.print(f"[bold]status[/] {'none: nothing was answered' if kept.status is None else kept.status}")
    if kept.led_to:
        out.print(f"[bold]led to[/] {verbatim(kept.led_to)}")
    for name, value in kept.headers.items():
        out.print(f"[dim]{verbatim(name)}:[/] {verbatim(value)}")
    if not kept.whole and kept.body:
        out.print("[dim]of the body no more was kept than this:[/]")
    out.print()
    out.print(visible(kept.body.decode(errors="backslashreplace"), lines=True), markup=False)


@quarantine.command
def replay(
    source: str,
    endpoint: str | None = None,
    key: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None,
    /,
    *,
    lake: LakeOption = None,
    dry_run: Flag = False,
    json_output: JsonOption = False,
) -> None:
    """Check kept answers again with the source's current contract and rules, without a request.

    For when the contract was wrong, and the source's YAML has been corrected. What passes becomes content, as of the
    instant at which it came; what does not stays open, and so does what holds no document. A record that was read well
    since is left alone.

    ```
    trawl quarantine replay ./my-api.yaml --dry-run
    trawl quarantine replay ./my-api.yaml users 17
    ```

    Parameters
    ----------
    source
        A registered source or a YAML file, as corrected.
    endpoint
        Only answers of this endpoint.
    key
        Only the answer of this record: its key, or its label (any case).
    dry_run
        Say what would become of them.
    """
    results, report = replay_answers(open_lake(lake), get_crawler(source), endpoint, key, dry_run=dry_run)
    run = None if report is None else report.run_id
    if json_output:
        print_json({"run_id": run, "results": [result.to_dict() for result in results]})
        return
    if results:
        columns = ["endpoint", "key", "label", "result", "reason"]
        rows = [[r.endpoint, r.key, r.label, r.result, _short(r.reason)] for r in results]
        out.print(table(columns, rows))
    passed = sum(result.result not in set(Verdict) for result in results)
    verb = "would pass" if dry_run else "passed"
    out.print(f"{passed:,} of {count_of(len(results), 'answer')} {verb}" + (f" [dim](run {run})[/]" if run else ""))


def _short(value: Any) -> Any:
    return shorten(value, 80) if isinstance(value, str) else value
