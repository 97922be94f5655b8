"""The rules by which a source is read, and since when: what was read by other rules is read anew, unconditionally.

A validator says that the same answer would come again, not that it would be read in the same way. So none outlives the
rules that read its answer: the address, the list, the record's path, key, label and contract of its endpoint.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from trawl.lake import ListingState
from trawl.model.config import SourceConfig

_NEVER = datetime.min.replace(tzinfo=UTC)
_TICK = timedelta(microseconds=1)


def reading_of(source: SourceConfig, base_url: str) -> dict[str, str]:
    """By endpoint, the hash of all that decides what is asked and how the answer is read."""
    sent = (base_url, sorted(source.headers.items()), source.credentials)
    found: dict[str, str] = {}
    for names in source.levels:
        for name in names:
            config = source.endpoints[name]
            above = found.get(config.parent or "", "")
            rules = (config.list, config.detail, config.key, config.label, config.contract, config.parent, above)
            found[name] = hashlib.sha256(repr((sent, rules)).encode()).hexdigest()[:12]
    return found


def read_since(
    facts: Mapping[str, Any], now: Mapping[str, str], started: datetime, newest: datetime | None
) -> dict[str, Any]:
    """The fact `reading` for these endpoints: by which rules each is read, and since when; None: ever since.

    `newest` is the latest instant in the log: a clock that is behind must not make old answers look new.
    """
    before, begins = facts.get("reading", {}), max(started, (newest or started) + _TICK).isoformat()
    return {
        name: before[name]
        if name in before and before[name]["rules"] == rules
        else {"rules": rules, "since": begins if name in before else None}
        for name, rules in now.items()
    }


def since_of(reading: Mapping[str, Any], endpoint: str) -> datetime | None:
    """From when on an endpoint's answers were read by the rules of today."""
    since = reading.get(endpoint, {}).get("since")
    return None if since is None else datetime.fromisoformat(since)


def still_good(known: Mapping[str, ListingState], reading: Mapping[str, Any]) -> dict[str, ListingState]:
    """The listings; of one that was read by other rules there is left that it was there, and nothing to build on."""
    found = dict(known)
    for name, state in known.items():
        since = since_of(reading, name)
        if since is not None and state.valid_from < since:
            found[name] = replace(state, etag=None, last_modified=None, source_version=None, valid_from=_NEVER)
    return found
