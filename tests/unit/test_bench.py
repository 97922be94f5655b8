"""That the benches run, on tiny sizes and in this very process; what they find is not looked at."""

import json
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from bench import commit, crawl, measure, memory, plan, report  # noqa: E402
from bench.measure import Run  # noqa: E402
from bench.options import Options  # noqa: E402
from bench.steps import bare, snapshot, stand_in  # noqa: E402
from bench.steps.__main__ import call  # noqa: E402
from trawl.cli.app import invoke  # noqa: E402
from trawl.replica import ArchiveCatalogue, FolderCatalogue, ReplicaApp, running  # noqa: E402
