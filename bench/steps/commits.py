"""Commits of made-up and of real files, by the lake's own interface."""

import os
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import duckdb

from bench.folders import added, contents
from bench.steps import lakes
from trawl.lake import Lake, LogFile
from trawl.model.records import Kind

_CHANGES = 100


def changes(lake: str) -> dict[str, float]:
    """Commit 100 new versions as one shard would leave them. The seconds to open the log and to commit."""
    part = Lake(lake).source(lakes.SOURCE)
    run, now = f"alone-{uuid4().hex[:8]}", datetime.now(UTC)
    each = _CHANGES // len(lakes.ENDPOINTS)
    tables = {
        name: duckdb.sql(
            lakes.PUTS.format(endpoint=name, run=run, at=f"TIMESTAMPTZ '{now.isoformat()}'", first=0, end=each)
        ).to_arrow_table()
        for name in lakes.ENDPOINTS
    }
    start = time.perf_counter()
    base = part.log.snapshot()
    opened = time.perf_counter()
    assert base is not None
    writer = part.log.writer(run, "000000")
    for name, table in tables.items():
        writer.add_table(Kind.PAYLOAD, name, table)
    part.write_run(writer, base, run, now, {})
    part.log.commit(base, run, writer.close())
    return {"open": opened - start, "commit": time.perf_counter() - opened}


def checkpoint(lake: str) -> int:
    """Make a checkpoint of the Delta log; its bytes."""
    snapshot = Lake(lake).source(lakes.SOURCE).log.snapshot()
    assert snapshot is not None
    before = contents(Path(lake))
    snapshot.table.create_checkpoint()
    return sum(added(before, contents(Path(lake))).values())


def replay(lake: str, source: str, folder: str) -> float:
    """Commit the files of a lake of one run again, into an empty lake beside it. The seconds it took."""
    old = Lake(lake).source(source)
    snapshot = old.log.snapshot()
    assert snapshot is not None
    manifest, facts = old.runs.manifests()[0], old.facts(snapshot)
    files = [
        LogFile(
            row["path"],
            row["partition.kind"],
            row["partition.endpoint"],
            row["size_bytes"],
            row["num_records"],
        )
        for row in snapshot.files().to_pylist()
        if row["partition.kind"] != Kind.RUN
    ]
    with tempfile.TemporaryDirectory(dir=folder) as place:
        new = Lake(place).source(source)
        new.store.make()
        base = new.log.make()
        for file in files:
            target = Path(place, source, "log", file.path)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.link(Path(lake, source, "log", file.path), target)
        run = str(manifest["run_id"])
        start = time.perf_counter()
        writer = new.log.writer(run, "run")
        new.write_run(writer, base, run, datetime.now(UTC), facts)
        files += writer.close()
        new.runs.save_manifest(manifest)
        new.log.commit(base, run, files)
        return time.perf_counter() - start
