"""What things outside of Trawl are called after a source: a source's name has `_`, most other names only `-`.

And which name was meant.
"""

from collections.abc import Iterable
from difflib import get_close_matches

BLOCK_NAME = r"[a-z0-9]+(-[a-z0-9]+)*"
"""The form of a Prefect block's name, and of its type's."""


def slug_of(source: str) -> str:
    """A source's name where only letters, digits and `-` may stand. Two sources never share one."""
    return source.replace("_", "-")


def config_block_name(source: str) -> str:
    """The Prefect block that may hold a source's configuration."""
    return f"{slug_of(source)}-source-config"


def public_calls_name(source: str) -> str:
    """The Prefect limit whose slots are a source's concurrent requests, over all runs."""
    return f"{slug_of(source)}-public-calls"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The beginning of a remedy: `did you mean 'pokeapi'? `, where a known name is near; else nothing."""
    near = get_close_matches(name, list(known), n=1)
    return f"did you mean {near[0]!r}? " if near else ""
