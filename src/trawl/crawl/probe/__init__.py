"""Looking before a crawl: `trawl try` and `trawl check --live`."""

from .facts import Asked, ListFacts, Probe, RecordFacts
from .health import examine
from .probe import probe

__all__ = ["Asked", "ListFacts", "Probe", "RecordFacts", "examine", "probe"]
