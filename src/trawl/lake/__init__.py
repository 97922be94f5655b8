"""Where records are kept: one append-only log per source, in a folder or a bucket, and views over it."""

from .backup.copying import BackedUp, back_up
from .backup.kept import Backup, Backups
from .backup.restoring import fetch, restore
from .log.sql import stop_questions
from .log.table import LogFile, LogWriter, Snapshot
from .reading.export import FORMATS, Exported, Format, export
from .reading.history import CHANGES
from .reading.lake import Lake, Result
from .runs.hosts import HostBoard
from .runs.objects import Kept, Outcome, Plan, RunStore, Shard
from .runs.plans import SHARD_RECORDS, EndpointCount, EndpointRule, Planner, Token, listed_table
from .source import LIST_PAGES, ListingState, SourceLake
from .store import Store
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
    "BackedUp",
    "Backup",
    "Backups",
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
    "Store",
    "Token",
    "Traces",
    "back_up",
    "by_kind",
    "delete",
    "export",
    "fetch",
    "fold",
    "foldable",
    "junk",
    "listed_table",
    "orphans",
    "rehash",
    "renamed",
    "restore",
    "stop_questions",
    "stored",
    "sweep",
    "traces",
    "without",
]
