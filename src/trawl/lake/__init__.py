"""Where records are kept: one append-only log per source, in a folder or a bucket, and views over it."""

from .hosts import HostBoard
from .lake import Lake, Result
from .log import LogFile, LogWriter, Snapshot
from .maintenance import Folded, fold
from .plans import SHARD_RECORDS, EndpointCount, EndpointRule, Planner, Token, listed_table
from .runs import Outcome, Plan, RunStore, Shard
from .source import ListingState, SourceLake

__all__ = [
    "SHARD_RECORDS",
    "EndpointCount",
    "EndpointRule",
    "Folded",
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
    "fold",
    "listed_table",
]
