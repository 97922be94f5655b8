"""Where records are kept: one append-only log per source, in a folder or a bucket, and views over it."""

from .log.table import LogFile, LogWriter, Snapshot
from .reading.export import FORMATS, Exported, Format, export
from .reading.history import CHANGES
from .reading.lake import Lake, Result
from .runs.hosts import HostBoard
from .runs.objects import Kept, Outcome, Plan, RunStore, Shard
from .runs.plans import SHARD_RECORDS, EndpointCount, EndpointRule, Planner, Token, listed_table
from .source import LIST_PAGES, ListingState, SourceLake
from .upkeep.erasing import Traces, delete, traces, without
from .upkeep.maintenance import Folded, fold, foldable
from .upkeep.rehashing import rehash
from .upkeep.rekeying import orphans, renamed, stored
from .upkeep.vacuum import Junk, by_kind, junk, sweep

__all__ = [
    "CHANGES",
    "FORMATS",
    "LIST_PAGES",
    "SHARD_RECORDS",
    "EndpointCount",
    "EndpointRule",
    "Exported",
    "Folded",
    "Format",
    "HostBoard",
    "Junk",
    "Kept",
    "Lake",
    "ListingState",
    "LogFile",
    "LogWriter",
    "Outcome",
    "Plan",
    "Planner",
    "Result",
    "RunStore",
    "Shard",
    "Snapshot",
    "SourceLake",
    "Token",
    "Traces",
    "by_kind",
    "delete",
    "export",
    "fold",
    "foldable",
    "junk",
    "listed_table",
    "orphans",
    "rehash",
    "renamed",
    "stored",
    "sweep",
    "traces",
    "without",
]
