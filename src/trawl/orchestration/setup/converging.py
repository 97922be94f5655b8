"""Brings a Prefect server to what an installation needs, as often as it is run.

First everything that is wrong with the file is found, then what is wanted is compared with what the server has, and only then
is anything changed, object by object. Interrupted anywhere, or run twice at once, the next run ends in the same place.
"""

import logging
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from prefect.exceptions import PrefectHTTPStatusError

from trawl.model.errors import ConfigurationError, Retriable

from .api import connected
from .memory import Elsewhere, Shelf
from .merging import Found, Key, Memory, Step, Wanted, plan
from .objects import KINDS, Conflict, Server
from .objects.pools import wrong_type
from .settings import Settings
from .showing import differences
from .wanted import wanted_objects

__all__ = ["apply", "preview"]

log = logging.getLogger("trawl.setup")

_ROUNDS = 4  # of reading and deciding, where others change the server meanwhile

# A last line of defence: where such a name stands in a job's environment, a secret was put in the wrong place.
_HIDDEN = ("secret", "password", "passwd", "token", "api_key", "apikey", "credential", "auth")


async def apply(settings: Settings, origin: Path | None = None, *, overwrite: bool = False) -> list[Step]:
    """Make everything; each step says what it did. The steps that were done.

    Raises ConfigurationError before anything is changed; Retriable where the server goes away: the next run goes on.
    """
    wanted = wanted_objects(settings, _named(origin))
    async with connected() as client:
        server = Server(client, settings.pool.name, frozenset({settings.pool.name, *settings.pools}))
        for last in [False] * (_ROUNDS - 1) + [True]:
            try:
                return await _converge(server, wanted, overwrite=overwrite)
            except Conflict as conflict:
                if last:
                    raise _refused(conflict.cause) from None
                log.info("the server changed meanwhile; reading it again")
            except Elsewhere:
                if last:
                    raise Retriable(
                        "another set-up is running", remedy="wait for it, then run this one again"
                    ) from None
            server.kept.clear()
    raise AssertionError  # the last round returns or raises


async def preview(settings: Settings, origin: Path | None = None, *, overwrite: bool = False) -> list[Step]:
    """Say what `apply` would do, and change nothing."""
    wanted = wanted_objects(settings, _named(origin))
    async with connected() as client:
        server = Server(client, settings.pool.name, frozenset({settings.pool.name, *settings.pools}))
        wanted = await _possible(server, wanted)
        memory = await Shelf(server).read()
        steps = plan(wanted, await _found(server, wanted, memory), memory, overwrite=overwrite)
    _refuse_other_pool(steps)
    for step in steps:
        _say(step, dry=True)
    return steps


async def _converge(server: Server, wanted: list[Wanted], *, overwrite: bool) -> list[Step]:
    wanted = await _possible(server, wanted)
    shelf = Shelf(server)
    since = await shelf.read()
    found = await _found(server, wanted, since)
    steps = plan(wanted, found, since, overwrite=overwrite)
    _refuse_other_pool(steps)
    memory = await shelf.write(since.expecting(steps), since)
    for step in steps:
        await _do(server, step)
        _say(step)
    await shelf.write(memory.after(steps), memory)
    return steps


async def _possible(server: Server, wanted: list[Wanted]) -> list[Wanted]:
    """Without the automations that name a block which a person has yet to make."""
    made = {wish.name for wish in wanted if wish.key[0] == "block"}
    possible: list[Wanted] = []
    for wish in wanted:
        blocks = [action["block"] for action in wish.fields.get("actions", ()) if "block" in action]
        missing = [block for block in blocks if block not in made and await server.block_id(block) is None]
        if missing:
            log.warning("%s %s: waits for the block %s; make it, then run set-up again", *wish.key, missing[0])
        else:
            possible.append(wish)
    return possible


async def _found(server: Server, wanted: Iterable[Wanted], memory: Memory) -> dict[Key, Found]:
    names: dict[str, dict[str, None]] = defaultdict(dict)
    for kind, name in [*(wish.key for wish in wanted), *memory.keys()]:
        names[kind][name] = None
    found: dict[Key, Found] = {}
    for each in KINDS.values():
        there = await each.read(server, list(names[each.name]))
        found |= {(each.name, name): one for name, one in there.items()}
    return found


async def _do(server: Server, step: Step) -> None:
    kind = KINDS[step.key[0]]
    if step.action == "make" and step.wanted is not None:
        await kind.make(server, step.wanted)
    elif step.action == "change" and step.wanted is not None and step.found is not None:
        await kind.change(server, step.wanted, step.found, step.changes)
    elif step.action == "remove" and step.found is not None:
        await kind.remove(server, step.found)


def _refuse_other_pool(steps: Iterable[Step]) -> None:
    """A pool cannot change its type."""
    for step in steps:
        if step.key[0] == "work pool" and step.wanted and step.found and {"type"} & {*step.changes, *step.left}:
            raise wrong_type(step.wanted, step.found)


_KEPT = {"bucket", "MinIO user", "block type", "work pool", "queue"}
"""Kinds that are never removed."""


def _say(step: Step, *, dry: bool = False) -> None:
    kind, name = step.key
    would = "would be " if dry else ""
    level = logging.INFO
    match step.action:
        case "make":
            said = f"{would}made"
        case "change":
            said = f"{would}changed: {', '.join(step.changes)}"
        case "same":
            said = "up to date"
        case "remove" if kind in _KEPT:
            said = "is no longer in the file, but kept: it may be in use"
        case "remove":
            said = f"{would}removed: it is no longer in the file"
        case "left":
            said = ""
    if step.left:
        who = "somebody else made it" if step.foreign else "a person edited it"
        theirs = f"left as {who}: {', '.join(step.left)} (--overwrite resets it)"
        said = f"{said}; {theirs}" if said else theirs
        level = logging.WARNING
    log.log(level, "%s %s: %s", kind, name, said)
    if dry and step.action in {"change", "left"}:
        for path, old, new in differences(step, hidden=_HIDDEN):
            log.info("    %s: %s -> %s", path, old, new)


def _refused(error: PrefectHTTPStatusError) -> ConfigurationError:
    answer = error.response
    return ConfigurationError(
        f"the Prefect server refuses {answer.request.method} {answer.request.url.path} with {answer.status_code}: "
        f"{answer.text[:300]}",
        remedy="correct that value of the set-up file",
    )


def _named(origin: Path | None) -> str:
    return "trawl setup" if origin is None else str(origin)
