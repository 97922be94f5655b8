"""The engine: list, plan, fetch, commit, resume. A laptop needs nothing above this."""

from .engine import crawl
from .options import CrawlOptions
from .progress import Progress, Quiet
from .report import EndpointReport, Report

__all__ = ["CrawlOptions", "EndpointReport", "Progress", "Quiet", "Report", "crawl"]
