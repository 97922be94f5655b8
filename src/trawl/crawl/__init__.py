"""The engine: list, plan, fetch, commit, resume. A laptop needs nothing above this."""

from .engine import crawl, crawl_shards, preview
from .holds import pending_holds
from .options import CrawlOptions
from .planning import Preview
from .probe import Probe, examine, probe
from .progress import Progress, Quiet, count_of, some_of
from .report import EndpointReport, Report
from .shards import AT_ONCE, Done, ShardRunner, ShardWork, side_by_side
from .tasks import new_event_loop, to_the_end
from .upkeep.forget import Forgotten, forget
from .upkeep.maintain import RETAIN, Maintained, maintain
from .upkeep.rekey import Rekeyed, rekey
from .upkeep.replay import Replayed, Verdict, find_quarantined, replay

__all__ = [
    "AT_ONCE",
    "RETAIN",
    "CrawlOptions",
    "Done",
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
    "ShardRunner",
    "ShardWork",
    "Verdict",
    "count_of",
    "crawl",
    "crawl_shards",
    "examine",
    "find_quarantined",
    "forget",
    "maintain",
    "new_event_loop",
    "pending_holds",
    "preview",
    "probe",
    "rekey",
    "replay",
    "side_by_side",
    "some_of",
    "to_the_end",
]
