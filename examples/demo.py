"""Trawl in a minute, offline: crawl a stand-in of PokeAPI, let a day pass, and ask what changed.

`make demo` runs it. Everything that it does it does through the command line, so every step can be typed by hand.
"""

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

import trawl
from trawl.replica import GeneratedCatalogue, ReplicaApp, running

COLOURS = {"created": "green", "changed": "yellow", "renamed": "cyan", "reordered": "bright_black", "missing": "red"}
TRAWL = str(Path(sys.executable).parent / "trawl")
WIDTH = 50  # characters of the longest bar
RATE = "--rate unlimited"

console = Console(highlight=False, soft_wrap=True)


def main(records: int, folder: Path) -> None:
    """The tour: `records` are generated, `folder` holds the lake and the picture."""
    lake, picture = folder / "lake", folder / "changes.svg"
    shutil.rmtree(lake, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    os.environ["TRAWL_LAKE"] = str(lake)
    app = ReplicaApp(GeneratedCatalogue(records, day=0))
    with running(app) as url:
        os.environ["TRAWL_SOURCE_POKEAPI_BASE_URL"] = url
        console.print(f"A stand-in of PokeAPI serves {records:,} generated records at {url}; nobody else is asked.")

        step("The first crawl: list everything, fetch everything, commit once")
        run(f"run pokeapi {RATE}")

        app.catalogue = GeneratedCatalogue(records, day=1)
        step("A day passes. Discovery asks the lists only: what is new, what is missing?")
        run(f"run pokeapi --mode discover {RATE}")
        step("The refresh asks for what is due, conditionally: what did not change is not sent again")
        run(f"run pokeapi {RATE}")
        step("Once more: the API's version token says that nothing was deployed since")
        run(f"run pokeapi {RATE}")

        step("What changed")
        run("changes pokeapi --limit 2 --since", first_day(lake))
        draw(lake, picture)

        step("A question in SQL, and the same one as of the first day")
        question = (
            "SELECT endpoint, count(*) AS records, sum(bytes) // 1000 AS kB FROM pokeapi.records "
            "WHERE state = 'present' GROUP BY endpoint ORDER BY records DESC, endpoint LIMIT 4"
        )
        run("query", question)
        run("query", question, "--as-of", first_day(lake))

        step("The history of one record")
        endpoint, key = a_changed_record(lake)
        run(f"history pokeapi {endpoint} {key}")
    farewell(lake, picture)


def step(title: str) -> None:
    """Announce a step."""
    console.print(f"\n[bold]# {title}[/]")


def run(command: str, *more: str) -> None:
    """Show a command, and run it."""
    words = [*shlex.split(command), *more]
    shown = " ".join(f'"{word}"' if "'" in word else shlex.quote(word) for word in words)
    console.print("[dim]$[/] [bold]trawl", shown)
    sys.stdout.flush()
    done = subprocess.run([TRAWL, *words], check=False)
    if done.returncode:
        sys.exit(done.returncode)


def first_day(lake: Path) -> str:
    """The instant at which the first run had ended."""
    row = next(trawl.open(lake).query("SELECT min(finished_at) AS at FROM pokeapi.runs").rows())
    return str(row["at"].isoformat())


def a_changed_record(lake: Path) -> tuple[str, str]:
    """A record with something to tell: one that was renamed, else one that changed."""
    query = """
        SELECT endpoint, key FROM pokeapi.changes WHERE change IN ('renamed', 'changed')
        ORDER BY change = 'changed', endpoint, key LIMIT 1
    """
    row = next(trawl.open(lake).query(query).rows())
    return row["endpoint"], row["key"]


def draw(lake: Path, picture: Path) -> None:
    """A bar for each endpoint, one colour for each kind of change; on the terminal and as an SVG file."""
    counts = """
        SELECT endpoint, change, count(*) AS n FROM pokeapi.changes
        WHERE run <> (SELECT min(run_id) FROM pokeapi.runs) GROUP BY ALL
    """
    found: dict[str, dict[str, int]] = {}
    for row in trawl.open(lake).query(counts).rows():
        found.setdefault(row["endpoint"], {})[row["change"]] = row["n"]
    longest = max(sum(numbers.values()) for numbers in found.values())
    bars = Table(box=None, pad_edge=False, show_header=False)
    for endpoint, numbers in sorted(found.items(), key=lambda item: (-sum(item[1].values()), item[0])):
        bar = Text()
        for change, colour in COLOURS.items():
            number = numbers.get(change, 0)
            bar.append("█" * max(round(number * WIDTH / longest), number > 0), style=colour)
        bars.add_row(endpoint, f"{sum(numbers.values()):,}", bar)
    legend = Text("  ").join(Text.assemble(("█ ", colour), change) for change, colour in COLOURS.items())
    recorded = Console(record=True, width=WIDTH + 40, file=sys.stdout, highlight=False)
    recorded.print(Group("", bars, "", legend))
    drawn = recorded.export_svg(title="What changed in a day")
    picture.write_text(re.sub(r"@font-face \{.*?\}", "", drawn, flags=re.DOTALL), encoding="utf-8")  # any font will do


def farewell(lake: Path, picture: Path) -> None:
    """What to try next."""
    bin_ = shlex.quote(TRAWL)
    console.print(f"""
[bold]That was it.[/] The lake is {lake}, the picture {picture}. To try next:

  {bin_} status --lake {lake}
  {bin_} query --lake {lake} "FROM pokeapi.changes WHERE change = 'renamed'"
  {bin_} --help

and with the real PokeAPI, politely: one request, explained; then a small crawl, into ./lake

  {bin_} try pokeapi pokemon pikachu
  {bin_} run pokeapi --endpoint stat

docs/sources.md says how to describe an API of your own.""")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=3_000, help="how many records are generated (3000)")
    parser.add_argument("--folder", type=Path, default=Path("demo"), help="where the lake and the picture go (demo)")
    arguments = parser.parse_args()
    try:
        main(arguments.records, arguments.folder)
    except KeyboardInterrupt:
        sys.exit(130)
