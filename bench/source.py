"""The source file of the stand-in API."""

from collections.abc import Sequence
from pathlib import Path

_SOURCE = """
name: bench
base_url: http://127.0.0.1:1
rate: {{requests_per_second: 1000, connections: 20}}
defaults:
  freshness: 24h
  label: name
  contract: {{fields: {{id: integer, name: string}}}}
endpoints: {{{endpoints}}}
"""


def write(folder: Path, endpoints: Sequence[str]) -> str:
    """Write it; its path."""
    path = folder / "source.yaml"
    path.write_text(_SOURCE.format(endpoints=", ".join(f"{name}: {{}}" for name in endpoints)), encoding="utf-8")
    return str(path)
