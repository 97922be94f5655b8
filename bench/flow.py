"""What a flow of Prefect's adds to a crawl: for each record, and once for each run."""

import json
import shutil
import sys
from contextlib import AbstractContextManager
from importlib.metadata import version
from pathlib import Path

from bench import machine
from bench.measure import Run, crawl, replica, served, step, total
from bench.options import Options
from bench.report import Section

FEW, MANY = 3_000, 40_000
OURS, FLOW = "trawl run pokeapi --rate unlimited", "the flow refresh, rate: unlimited"
KINDS = {
    "crawl": ("new", ""),
    "refresh (304)": ("unchanged", "force"),
}  # the result of every record, and how to have it
Cost = tuple[float, float]  # CPU: milliseconds for each record, seconds for each run


def bench(options: Options) -> Section:
    """CPU of whole processes at two sizes: what grows with the records is theirs, the rest is the start's."""
    rounds = options.rounds or 5
    section = Section("flow", "A flow around the engine", options.command, machine.describe(), rounds)
    few, many = options.sized(FEW), options.sized(MANY, 400)
    costs: dict[str, list[tuple[Cost, Cost]]] = {kind: [] for kind in KINDS}
    with _prefect(options.folder / "prefect") as server:
        for number in range(rounds):
            print(f"flow: round {number + 1} of {rounds}", flush=True)
            small, large = (_measured(server, size, options.folder) for size in (few, many))
            for kind in KINDS:
                engine, flow = (
                    cost(*(found[kind][which].cpu for found in (small, large)), few, many) for which in (0, 1)
                )
                costs[kind].append((engine, flow))
    for kind, pairs in costs.items():
        flag = " --force" * (kind != "crawl")
        section.add(f"{kind}: CPU of the engine", [engine[0] for engine, _ in pairs], "ms/record", OURS + flag)
        section.add(f"{kind}: CPU in a flow", [flow[0] for _, flow in pairs], "ms/record", FLOW, code=False)
        section.add(
            f"**{kind}: flow : engine**",
            [flow[0] / engine[0] for engine, flow in pairs],
            "times",
            "both, in the same round",
            "≤ 1.15",
            code=False,
        )
        section.add(f"{kind}: start of the engine", [engine[1] for engine, _ in pairs], "s", OURS + flag)
        section.add(f"{kind}: start of a flow", [flow[1] for _, flow in pairs], "s", FLOW, code=False)
    section.notes.append(
        f"Generated records of the replica, {few:,} and {many:,} of them. Time is CPU of whole processes, all threads "
        f"included. For each record: what the larger crawl cost more, by {many - few:,}; the rest is the start, most "
        f"of it imports. The server is Prefect {version('prefect')}'s, a process of its own, on SQLite."
    )
    return section


def _prefect(home: Path) -> AbstractContextManager[str]:
    home.mkdir()
    return served([sys.executable, "-m", "bench.steps", "flows:serve", json.dumps({"home": str(home)})])


def _measured(server: str, size: int, folder: Path) -> dict[str, tuple[Run, Run]]:
    """A crawl and its refresh by the engine alone and in a flow, each into a lake of its own."""
    found: dict[str, tuple[Run, Run]] = {}
    with replica("--generate", str(size)) as url:
        for kind, (result, force) in KINDS.items():
            flag = ["--force"] if force else []
            pair = (
                crawl("pokeapi", folder / "engine", url, *flag),
                step(
                    "flows:refresh",
                    server=server,
                    home=str(folder / "prefect"),
                    url=url,
                    lake=str(folder / "flow"),
                    force=bool(force),
                ),
            )
            if len({(run.result["status"], total(run.result, result)) for run in pair}) != 1:
                raise RuntimeError(f"{kind}: not the same: {pair[0].output}{pair[1].output}")
            found[kind] = pair
    for name in ("engine", "flow"):
        shutil.rmtree(folder / name)
    return found


def cost(small: float, large: float, few: int, many: int) -> Cost:
    """From the CPU seconds of two sizes."""
    each = (large - small) / (many - few)
    return 1e3 * each, small - few * each
