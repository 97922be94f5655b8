"""A full crawl of a real snapshot, and its refresh, side by side with bare client loops, dlt and Scrapy."""

import json
import shutil
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from bench import machine, nginx, peers
from bench.measure import Run, crawl, replica, step, total
from bench.options import Options
from bench.report import Grid, Section

CONNECTIONS = 20
DOCUMENTS = 7_442
ARCHIVE = "2026-08-03.tar.zst"
OURS = "trawl run pokeapi --rate unlimited"
TITLES = {"httpx": "bare httpx", "aiohttp": "bare aiohttp", "trawl": "**Trawl**", **peers.TITLES}
COMMANDS = {
    "httpx": f"bench.steps.bare: httpx.AsyncClient, {CONNECTIONS} connections",
    "aiohttp": f"bench.steps.bare: aiohttp.ClientSession, {CONNECTIONS} connections",
    "trawl": OURS,
    **peers.COMMANDS,
}
Row = dict[str, Run]  # one run of each program: what belongs to one round


def bench(options: Options) -> Section | None:
    """The figures, or None without the real snapshots."""
    if options.archives is None:
        return None
    rounds = options.rounds or 5
    if options.peers:
        peers.prepare()
    section = Section("crawl", "A full crawl and its refresh", options.command, machine.describe(), rounds)
    folder, archive = options.folder, str(options.archives / ARCHIVE)
    wanted = options.documents or DOCUMENTS
    snapshot = step("snapshot:unpack", archive=archive, folder=str(folder), documents=wanted).result
    (folder / "paths.json").write_text(json.dumps(snapshot["paths"]), encoding="utf-8")
    server, said = _server(options)
    crawls, commits, refreshes = [], [], []
    with server as url:
        for number in range(rounds):
            print(f"crawl: round {number + 1} of {rounds}", flush=True)
            shutil.rmtree(folder / "lake", ignore_errors=True)
            crawls.append(_crawls(url, folder, snapshot, options.peers))
            replay = step("commits:replay", lake=str(folder / "lake"), source="pokeapi", folder=str(folder))
            commits.append(replay.result)
            refreshes.append(_refreshes(url, folder, len(snapshot["paths"])))
    _report(section, crawls, commits, refreshes, len(snapshot["paths"]))
    _explain(section, said, crawls[0], len(snapshot["paths"]))
    return section


def ratios(rows: list[Row], name: str) -> list[float]:
    """How many times as fast as `name` Trawl was, round by round: a slow minute slows both."""
    return [row[name].seconds / row["trawl"].seconds for row in rows]


def _server(options: Options) -> tuple[AbstractContextManager[str], str]:
    """Who serves, and how to say so."""
    if options.base_url:
        return nullcontext(options.base_url), "a server that was named"
    if program := nginx.find():
        return nginx.serving(program, options.folder), f"{nginx.version(program)}, one process on loopback"
    said = (
        f"`trawl replica --folder` for want of nginx (`apt-get install {nginx.PACKAGE}`): it is slower than a fast "
        "client, so figures above about 2,000 records/s are the server's"
    )
    print(f"crawl: {said}", flush=True)
    return replica("--folder", str(options.folder)), said


def _crawls(url: str, folder: Path, snapshot: dict[str, Any], with_peers: bool) -> Row:
    """Every program once, each with all the documents."""
    documents = len(snapshot["paths"])
    row = {
        "httpx": _loop(url, folder, "httpx", documents, keep=str(folder / "etags.json")),
        "aiohttp": _loop(url, folder, "aiohttp", documents),
        "trawl": _checked(crawl("pokeapi", folder / "lake", url), "new", documents),
    }
    for name in peers.TITLES if with_peers else ():
        place = folder / name
        place.mkdir()
        run = peers.crawl(
            name, base_url=url, endpoints=snapshot["endpoints"], connections=CONNECTIONS, folder=str(place)
        )
        _check_peer(name, run, snapshot)
        shutil.rmtree(place)
        row[name] = run
    return row


def _refreshes(url: str, folder: Path, documents: int) -> Row:
    """The same documents again, asked for conditionally."""
    etags = str(folder / "etags.json")
    return {
        "httpx": _loop(url, folder, "httpx", documents, etags=etags),
        "aiohttp": _loop(url, folder, "aiohttp", documents, etags=etags),
        "trawl": _checked(crawl("pokeapi", folder / "lake", url, "--force"), "unchanged", documents),
    }


def _loop(url: str, folder: Path, client: str, documents: int, **etags: str) -> Run:
    paths = str(folder / "paths.json")
    run = step("bare:loop", client=client, base_url=url, paths=paths, connections=CONNECTIONS, **etags)
    counted = run.result["not_modified" if "etags" in etags else "documents"]
    if counted != documents:
        raise RuntimeError(f"the {client} loop had {counted} of {documents} documents: {run.output}")
    return run


def _checked(run: Run, result: str, documents: int) -> Run:
    counted = total(run.result, result)
    if run.result["status"] != "done" or counted != documents:
        raise RuntimeError(f"{counted} of {documents} records are {result}: {run.output}")
    return run


def _check_peer(name: str, run: Run, snapshot: dict[str, Any]) -> None:
    """That it has asked for all the documents, and has stored them: dlt's tables hold encounters entry by entry."""
    paths, rows = snapshot["paths"], len(snapshot["paths"])
    if name == "dlt":
        rows += snapshot["entries"] - sum(path.count("/") > 2 for path in paths)
    if (run.result["documents"], peers.stored(run.result)) != (len(paths), rows):
        raise RuntimeError(f"{name} has not all of {len(paths)} documents, {rows} rows: {run.output}")


def _report(section: Section, crawls: list[Row], commits: list[float], refreshes: list[Row], documents: int) -> None:
    for kind, rows, flag, bound in (
        ("crawl", crawls, "", "≥ 1.5"),
        ("refresh (304)", refreshes, " --force", "≥ 2"),
    ):
        columns = ["records/s", "CPU, ms/record", "peak memory, MB"]
        grid = Grid(kind, columns)
        section.grids.append(grid)
        for name in rows[0]:
            command = COMMANDS[name] + flag * (name == "trawl")
            grid.add(TITLES[name], command, _measures([row[name] for row in rows], documents))
        for name in [name for name in rows[0] if name != "trawl"]:
            limit = bound if name == "httpx" else ""
            both = "both, in the same round"
            section.add(f"{kind}: Trawl : {TITLES[name]}", ratios(rows, name), "times", both, limit, code=False)
        peaks = [row["trawl"].peak for row in rows]
        section.add(f"{kind}: Trawl's peak memory", peaks, "MB", f"{OURS}{flag}", "≤ 400")
    command = "Log.commit and RunStore.save_manifest on the crawl's own files"
    section.add("commit", [1e3 * seconds for seconds in commits], "ms", command, code=False)
    shares = [100 * commit / row["trawl"].seconds for commit, row in zip(commits, crawls, strict=True)]
    section.add("commit's share of the crawl", shares, "%", command, "≤ 10", code=False)


def _measures(runs: list[Run], documents: int) -> list[list[float]]:
    return [
        [documents / run.seconds for run in runs],
        [1e3 * run.cpu / documents for run in runs],
        [run.peak for run in runs],
    ]


def _explain(section: Section, said: str, row: Row, documents: int) -> None:
    megabytes = row["httpx"].result["bytes"] / 1e6
    section.notes.append(
        f"{documents:,} documents, {megabytes:,.0f} MB of bodies, from `{ARCHIVE}` (`--documents` says how many; which "
        f"ones is fixed: `bench.steps.snapshot.choose`), served by {said}. Everybody has {CONNECTIONS} requests in "
        "flight and must end with all the documents. The loops are told every address and throw the bodies away; "
        "Trawl lists, parses, checks, hashes, stores and commits. Ratios are taken within a round."
    )
    versions = {name: row[name].result["version"] for name in peers.TITLES if name in row}
    if versions:
        section.notes.append(
            f"dlt {versions['dlt']} lists, parses, normalises and writes Parquet, in one process with {CONNECTIONS} "
            f"threads; Scrapy {versions['scrapy']} lists, parses and writes JSON lines. dlt makes no conditional "
            "requests, Scrapy only out of its HTTP cache, which asks nothing while an answer is fresh: neither is in "
            "the refresh."
        )
