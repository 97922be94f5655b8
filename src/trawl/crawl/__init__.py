"""The engine: list, plan, fetch, commit, resume. A laptop needs nothing above this."""

from .engine import crawl, preview
from .health import examine
from .holds import pending_holds
from .maintain import maintain
from .options import CrawlOptions
from .planning import Preview
from .probe import Probe, probe
from .progress import Progress, Quiet, count_of
from .report import EndpointReport, Report

__all__ = [
    "CrawlOptions",
    "EndpointReport",
    "Preview",
    "Probe",
    "Progress",
    "Quiet",
    "Report",
    "count_of",
    "crawl",
    "examine",
    "maintain",
    "pending_holds",
    "preview",
    "probe",
]
