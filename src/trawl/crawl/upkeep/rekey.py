"""Giving stored records new keys after the key policy of their endpoint has changed, with their whole history."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from trawl.crawl.holds import pending_holds
from trawl.crawl.planning import key_hashes
from trawl.crawl.progress import count_of
from trawl.lake import Lake, orphans, renamed, stored
from trawl.model.canonical import parse
from trawl.model.config import EndpointConfig, SourceConfig
from trawl.model.errors import ConfigurationError, TornListing
from trawl.model.keys import scalar
from trawl.model.rekey import key_again
from trawl.transport import Clock, utc_now

from .upkeep import Upkeep, upkeep

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Rekeyed:
    """What became of one endpoint's keys, or would.

    Attributes:
        records: how many have a key under the new policy, and `moved` how many of those another one than before.
        dropped: records that were never fetched and leave nothing to take a key from; the next run lists them anew.
        examples: some old keys with their new ones.
        children: the endpoints that moved with it.
    """

    records: int
    moved: int
    dropped: int
    examples: dict[str, str]
    children: list[str]

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


def rekey(
    lake: Lake, source: SourceConfig, *, dry_run: bool = False, clock: Clock = utc_now
) -> tuple[dict[str, Rekeyed], int]:
    """Move the records of every endpoint whose key policy has changed, and what hangs on them, in one commit.

    Gives what became of each endpoint, and how many forgotten records can no longer be told from others. Raises
    ConfigurationError where keys cannot be told or two records would share one: then nothing is changed.
    """
    with upkeep(lake, source.name, clock, dry_run=dry_run) as work:
        before, now = work.facts.get("keys", {}), key_hashes(source)
        changed = [name for name in now if before.get(name, now[name]) != now[name]]
        families = {name: _family(source, name) for name in changed}
        moving = [name for family in families.values() for name in family]
        _check_holds(work, moving)
        tables = {name: _table(work, source, name) for name in changed}
        for name, family in families.items():
            _check_children(work, family[1:], [old for old, new in tables[name].items() if new is not None])
        forgotten = sum(len(work.facts.get("forgotten", {}).get(name, [])) for name in moving)
        if changed and not dry_run:
            _move(work, families, tables, work.facts | {"keys": before | {name: now[name] for name in changed}})
        return {name: _rekeyed(tables[name], families[name][1:]) for name in changed}, forgotten


Keys = dict[str, str | None]  # the new keys by the old ones; None where there is nothing to take one from


def _family(source: SourceConfig, endpoint: str) -> list[str]:
    found = [endpoint]
    for name in found:
        found += [child for child, config in source.endpoints.items() if config.parent == name]
    return found


def _check_holds(work: Upkeep, moving: Sequence[str]) -> None:
    for name in pending_holds(work.source):
        if name in moving:
            raise ConfigurationError(
                f"held changes of {name} use the old keys",
                remedy=f"restore `key`, decide (trawl run {work.source.name} --accept {name}, or --reject {name}), "
                "then rekey",
            )


def _table(work: Upkeep, source: SourceConfig, endpoint: str) -> Keys:
    config = source.endpoints[endpoint]
    keys: Keys = {}
    labels: dict[str, str | None] = {}
    for old, label, locator, text in stored(work.source.log, work.snapshot, endpoint):
        payload = None if text is None else parse(text.encode())
        labels[old] = label
        try:
            keys[old] = key_again(config, payload, label, _address(source, locator))
        except TornListing as error:
            if text is not None:
                raise _untold(source, endpoint, old, error) from None
            keys[old] = None
        else:
            _check_contract(config, endpoint, payload, old, keys[old])
    counts = Counter(key for key in keys.values() if key is not None)
    if shared := sorted(key for key, count in counts.items() if count > 1):
        raise ConfigurationError(
            f"{endpoint}: by the new policy several records would share a key: "
            + "; ".join(f"{key!r}: {_candidates(keys, labels, key)}" for key in shared[:_SHOWN])
            + (f"; and {count_of(len(shared) - _SHOWN, 'more key')}" if len(shared) > _SHOWN else ""),
            remedy="choose a field that is unique (or several: field: [name, id]); nothing was changed",
        )
    return keys


def _address(source: SourceConfig, locator: str | None) -> str | None:
    if locator is None or "://" in locator:
        return locator
    return (
        "/".join(source.base_url.split("/", 3)[:3]) + locator if locator[0] == "/" else f"{source.base_url}/{locator}"
    )


def _untold(source: SourceConfig, endpoint: str, key: str, error: TornListing) -> ConfigurationError:
    config = source.endpoints[endpoint]
    pattern = "write `pattern: null` if none is wanted (`defaults` may have one); " if config.key.pattern else ""
    return ConfigurationError(
        f"{endpoint}: no new key can be found for the record {key}: {error.message}",
        remedy=f"{pattern}a key can be taken from what is stored: a field of the document"
        + (f", the label ({config.label})" if config.label else "")
        + ", or with a `pattern` its address; nothing was changed. Other fields of the list's items are not kept: crawl "
        "into another lake",
    )


def _check_contract(config: EndpointConfig, endpoint: str, payload: Any, old: str, new: str | None) -> None:
    field = config.contract.key
    if payload is not None and isinstance(field, str) and scalar(payload, field) != new:
        raise ConfigurationError(
            f"{endpoint}: the contract wants the key in the field {field!r}, but in the record {old} that is not {new!r}",
            remedy="change `contract.key` as well; nothing was changed",
        )


def _candidates(keys: Keys, labels: dict[str, str | None], wanted: str) -> str:
    found = [old for old, new in keys.items() if new == wanted]
    return ", ".join(f"{old} ({labels[old]})" if labels[old] else old for old in sorted(found)[:_SHOWN])


def _check_children(work: Upkeep, children: Sequence[str], known: Sequence[str]) -> None:
    files = [file for file in work.snapshot.log_files() if file.endpoint in children]
    if lost := orphans(work.source.log, files, known):
        raise ConfigurationError(
            f"{', '.join(children)}: records without a parent, or whose parent was never read: {', '.join(lost[:_SHOWN])}",
            remedy="forget them first (trawl forget); nothing was changed",
        )


def _move(work: Upkeep, families: dict[str, list[str]], tables: dict[str, Keys], facts: dict[str, Any]) -> None:
    source = work.source
    source.runs.drop_plans()
    removed, added, left = [], [], []
    later: dict[str, bytes] = {}
    contested: dict[str, bytes] = {}
    for name, family in families.items():
        kept = {old: new for old, new in tables[name].items() if new is not None}
        files = [file for file in work.snapshot.log_files() if file.endpoint in family]
        removed += files
        added += renamed(source.log, work.run, files, list(kept.keys()), list(kept.values()))
        for endpoint in family:
            moved = source.runs.rename_quarantined(endpoint, kept)
            later |= moved.later
            contested |= moved.contested
            left += moved.left
    try:
        work.commit_run("rekey", facts, added, removed, note=f"new keys in {', '.join(families)}")
    except BaseException:
        for path, content in contested.items():
            source.store.put(path, content)
        raise
    for path, content in later.items():
        source.store.put(path, content)
    for path in left:
        source.store.delete(path)


def _rekeyed(keys: Keys, children: list[str]) -> Rekeyed:
    moved = {old: new for old, new in keys.items() if new is not None and new != old}
    dropped = sum(new is None for new in keys.values())
    examples = {old: moved[old] for old in sorted(moved, key=lambda old: (len(old), old))[:_SHOWN]}
    return Rekeyed(len(keys) - dropped, len(moved), dropped, examples, children)
