"""Where records are kept: one append-only log per source, in a folder or a bucket, and views over it."""

from .export import FORMATS, Exported, Format, export
from .history import CHANGES
from .hosts import HostBoard
from .lake import Lake, Result
from .log import LogFile, LogWriter, Snapshot
from .maintenance import Folded, fold
from .plans import SHARD_RECORDS, EndpointCount, EndpointRule, Planner, Token, listed_table
from .runs import Outcome, Plan, RunStore, Shard
from .source import ListingState, SourceLake

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
    "export",
    "fold",
    "listed_table",
]
