"""What a source's own code raised, in one line that finds the place."""

import sys
from pathlib import Path
from traceback import extract_tb

from trawl.sources import SourceCrawler


def fault_of(crawler: SourceCrawler, error: Exception) -> str:
    """The exception with its innermost line in the crawler's module, or else in any."""
    file = getattr(sys.modules.get(type(crawler).__module__), "__file__", None)
    frames = extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename == file] or frames
    place = f" ({Path(own[-1].filename).name}:{own[-1].lineno})" if own else ""
    return f"the source's own code: {type(error).__name__}: {error}{place}"
