"""Changed semantic rules: what is stored is hashed under the new ones, so that a mere reordering is none again."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial

from trawl.crawl.planning import rule_hashes
from trawl.crawl.progress import count_of
from trawl.lake import rehash
from trawl.model.canonical import fingerprint, parse
from trawl.model.config import SourceConfig

from .upkeep import Upkeep


def follow_rules(
    work: Upkeep, source: SourceConfig, endpoints: Iterable[str], say: Callable[[str], None] = lambda _: None
) -> Upkeep:
    """Bring some endpoints under the semantic rules of today, by a commit of its own, without a fetch.

    Rules of other endpoints stay as they are until somebody works on these.
    """
    before, now = work.facts.get("rules", {}), rule_hashes(source)
    changed = {name: now[name] for name in endpoints if name in now and before.get(name, now[name]) != now[name]}
    if not changed:
        return work
    step = replace(work, run=f"{work.run}-rules", facts=work.facts | {"rules": before | changed})
    log = work.source.log
    writer = log.writer(step.run, "rehash")
    semantic = {name: partial(_semantic, source.endpoints[name].unordered_paths) for name in changed}
    done = {
        name: f"{name}: its semantic rules have changed: {count_of(written, 'record')} hashed anew"
        for name, written in rehash(log, work.snapshot, writer, semantic, work.started_at).items()
    }
    for text in done.values():
        say(text)
    step.commit_run("rules", step.facts, writer.close(), note="; ".join(done.values()))
    return replace(step, run=work.run, snapshot=log.make())


def _semantic(unordered: tuple[tuple[str, ...], ...], body: bytes) -> bytes:
    return fingerprint(parse(body), unordered).semantic
