"""Where records are kept: one append-only log per source, in a folder or a bucket, and views over it."""

from .erasing import Traces, delete, traces, without
from .export import FORMATS, Exported, Format, export
from .history import CHANGES
from .hosts import HostBoard
from .lake import Lake, Result
from .log import LogFile, LogWriter, Snapshot
from .maintenance import Folded, fold, foldable
from .plans import SHARD_RECORDS, EndpointCount, EndpointRule, Planner, Token, listed_table
from .rehashing import rehash
from .rekeying import orphans, renamed, stored
from .runs import Kept, Outcome, Plan, RunStore, Shard
from .source import ListingState, SourceLake
from .vacuum import Junk, by_kind, junk, sweep

__all__ = [
    "CHANGES",
    "FORMATS",
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
