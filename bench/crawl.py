"""A full crawl of a real snapshot, and its refresh, side by side with bare client loops."""

import json
import shutil
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path

from bench import machine
from bench.measure import Run, crawl, replica, step, total
from bench.options import Options
from bench.report import Section

CONNECTIONS = 20
ARCHIVE = "2026-08-03.tar.zst"
CLIENTS = {"httpx": "httpx.AsyncClient", "aiohttp": "aiohttp.ClientSession"}
Runs = dict[str, list[Run]]


def bench(options: Options) -> Section | None:
    """The figures, or None without the real snapshots."""
    if options.archives is None:
        return None
    rounds = options.rounds or 5
    section = Section("crawl", "A full crawl and its refresh", options.command, machine.describe(), rounds)
    folder, archive = options.folder, str(options.archives / ARCHIVE)
    paths = step("snapshot:unpack", archive=archive, folder=str(folder), documents=options.documents).result
    (folder / "paths.json").write_text(json.dumps(paths), encoding="utf-8")
    with ExitStack() as stack:
        url = options.base_url or stack.enter_context(replica("--folder", str(folder)))
        rows = [_round(url, folder, len(paths)) for _ in range(rounds)]
    runs: Runs = defaultdict(list)
    for row, _ in rows:
        for name, run in row.items():
            runs[name].append(run)
    _report(section, runs, len(paths), [commit for _, commit in rows])
    megabytes = runs["httpx"][0].result["bytes"] / 1e6
    server = "a server that was named" if options.base_url else "`trawl replica --folder`, in a process of its own"
    section.notes.append(
        f"{len(paths):,} documents, {megabytes:,.0f} MB of bodies, from `{ARCHIVE}`, served by "
        f"{server}. The loops keep {CONNECTIONS} connections and throw the bodies away; Trawl lists, parses, "
        "checks, hashes, stores and commits."
    )
    return section


def _round(url: str, folder: Path, documents: int) -> tuple[dict[str, Run], float]:
    """One round, each program once; and the seconds of the crawl's commit, made again on its own."""
    lake, etags = folder / "lake", str(folder / "etags.json")
    shutil.rmtree(lake, ignore_errors=True)
    common = {"base_url": url, "paths": str(folder / "paths.json"), "connections": CONNECTIONS}
    found = {
        "httpx": step("bare:loop", client="httpx", keep=etags, **common),
        "aiohttp": step("bare:loop", client="aiohttp", **common),
        "trawl": _checked(crawl("pokeapi", lake, url), "new", documents),
    }
    commit: float = step("commits:replay", lake=str(lake), source="pokeapi", folder=str(folder)).result
    found |= {
        "httpx 304": step("bare:loop", client="httpx", etags=etags, **common),
        "aiohttp 304": step("bare:loop", client="aiohttp", etags=etags, **common),
        "trawl 304": _checked(crawl("pokeapi", lake, url, "--force"), "unchanged", documents),
    }
    return found, commit


def _checked(run: Run, result: str, documents: int) -> Run:
    counted = total(run.result, result)
    if run.result["status"] != "done" or counted != documents:
        raise RuntimeError(f"{counted} of {documents} records are {result}: {run.output}")
    return run


def _report(section: Section, runs: Runs, documents: int, commits: list[float]) -> None:
    for kind, suffix, flag, bound in (
        ("crawl", "", "", "≥ 1.5"),
        ("refresh (304)", " 304", " --force", "≥ 2"),
    ):
        ours = f"trawl run pokeapi --rate unlimited{flag}"
        commands = {name: f"{what}, {CONNECTIONS} connections" for name, what in CLIENTS.items()} | {"trawl": ours}
        for name, command in commands.items():
            who = f"{kind}: " + ("**Trawl**" if name == "trawl" else f"bare {name}")
            mine = runs[name + suffix]
            section.add(who, [documents / run.seconds for run in mine], "records/s", command)
            section.add(f"{who}, CPU", [1e3 * run.cpu / documents for run in mine], "ms/record", command)
        for name in CLIENTS:
            pairs = zip(runs[name + suffix], runs["trawl" + suffix], strict=True)
            ratios = [bare.seconds / trawl.seconds for bare, trawl in pairs]
            limit = bound if name == "httpx" else ""
            section.add(f"{kind}: Trawl : bare {name}", ratios, "times", "both, in the same round", limit, code=False)
        peaks = [run.peak for run in runs["trawl" + suffix]]
        section.add(f"{kind}: peak memory", peaks, "MB", ours, "≤ 400")
    command = "Log.commit and RunStore.save_manifest on the crawl's own files"
    section.add("commit", [1e3 * seconds for seconds in commits], "ms", command, code=False)
    shares = [100 * commit / run.seconds for commit, run in zip(commits, runs["trawl"], strict=True)]
    section.add("commit's share of the crawl", shares, "%", command, "≤ 10", code=False)
