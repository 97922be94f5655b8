"""The engine: list, plan, fetch, commit, resume. A laptop needs nothing above this."""

from .engine import crawl, preview
from .forget import Forgotten, forget
from .health import examine
from .holds import pending_holds
from .maintain import RETAIN, Maintained, maintain
from .options import CrawlOptions
from .planning import Preview
from .probe import Probe, probe
from .progress import Progress, Quiet, count_of
from .rekey import Rekeyed, rekey
from .replay import Replayed, Verdict, find_quarantined, replay
from .report import EndpointReport, Report

__all__ = [
    "RETAIN",
    "CrawlOptions",
    "EndpointReport",
    "Forgotten",
    "Maintained",
    "Preview",
    "Probe",
    "Progress",
    "Quiet",
    "Rekeyed",
    "Replayed",
    "Report",
    "Verdict",
    "count_of",
    "crawl",
    "examine",
    "find_quarantined",
    "forget",
    "maintain",
    "pending_holds",
    "preview",
    "probe",
    "rekey",
    "replay",
]
