"""Erasing records: every trace of them in the log, in files that no commit names, and in quarantine.

First one commit puts files without their rows in the place of those with them, then the old files are deleted. Killed in
between, the same call goes on: what is left lies in files that no commit names.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import pyarrow as pa

from trawl.lake.log.table import LogFile, Snapshot
from trawl.lake.source import SourceLake

from .rewriting import count_of_keys, rewrite, without_keys
from .vacuum import answers_named

Record = tuple[str, str]  # endpoint and key


@dataclass(frozen=True, slots=True)
class Traces:
    """Where records stand.

    Attributes:
        rows: how many rows of the log are about them.
        files: the committed files that hold those.
        loose: files that hold rows of theirs though no commit names them: of dead runs, held news, or replaced ones.
        answers: the objects of quarantined answers.
        stray: quarantined answers under keys that no row has any longer (of a `rekey` that was killed).
        halves: half-written files, of which nobody can say what they hold.
    """

    rows: int
    files: list[LogFile]
    loose: list[LogFile]
    answers: list[str]
    stray: list[str]
    halves: list[str]

    @property
    def any(self) -> bool:
        """Whether there is a trace of the records themselves."""
        return bool(self.files or self.loose or self.answers)

    @property
    def nothing(self) -> bool:
        """Whether there is nothing to delete at all."""
        return not (self.any or self.stray or self.halves)


def traces(source: SourceLake, snapshot: Snapshot, records: Collection[Record], held: Collection[str]) -> Traces:
    """Look for records in all that a lake keeps of their source, its plans apart. `held`: runs with news that wait."""
    log, rows = source.log, 0
    files: list[LogFile] = []
    loose: list[LogFile] = []
    for endpoint, keys in _by_endpoint(records).items():
        for file in snapshot.log_files():
            if file.endpoint == endpoint and (found := count_of_keys(log, file, keys)):
                files.append(file)
                rows += found
        for file, _ in log.loose(snapshot, endpoint):
            try:
                found = count_of_keys(log, file, keys)
            except pa.ArrowInvalid:  # damaged, and of no use to anybody
                found = 1
            if found:
                loose.append(file)
    answers = [item["path"] for endpoint, key in records for item in source.runs.quarantine_objects(endpoint, key)]
    named, committed = answers_named(source, snapshot), source.committed_runs(snapshot).difference(held)
    stray = [
        item["path"]
        for item in source.runs.quarantine_objects()
        if item["path"].split("/")[2] in committed and item["path"] not in named
    ]
    halves = [item["path"] for item in source.store.halves(source.name)]
    return Traces(rows, files, loose, answers, stray, halves)


def without(source: SourceLake, run: str, found: Traces, records: Collection[Record]) -> list[LogFile]:
    """The committed files once more, without the records' rows; uncommitted."""
    added: list[LogFile] = []
    for endpoint, keys in _by_endpoint(records).items():
        files = [file for file in found.files if file.endpoint == endpoint]
        added += rewrite(source.log, run, files, without_keys(keys))
    return added


def delete(source: SourceLake, found: Traces) -> None:
    """Delete what held the records, once no commit names it any longer."""
    for file in [*found.files, *found.loose]:
        source.store.delete(source.log.path_of(file))
    for path in [*found.answers, *found.stray]:
        source.store.delete(path)
        source.store.prune(path.rpartition("/")[0])
    for path in found.halves:
        source.store.delete_half(path)


def _by_endpoint(records: Collection[Record]) -> dict[str, Sequence[str]]:
    return {
        endpoint: sorted(key for place, key in records if place == endpoint)
        for endpoint in sorted({endpoint for endpoint, _ in records})
    }
