"""What lies beside the log: a run's plan while it works, its manifest for good, the bodies that it quarantined.

All of it is named by the run. A plan is removed when its run has ended; a manifest counts once the log holds its run, or
if it says that the run ended without a commit.
"""

import base64
import hashlib
import json
import tempfile
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Annotated, Any, ClassVar
from urllib.parse import quote

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import ConfigDict, Field, TypeAdapter

from trawl.lake.log.table import LogFile
from trawl.lake.store import Conflict, Store
from trawl.model.errors import LakeError
from trawl.model.records import Prior

from .documents import ANSWER, CLOSED, MANIFEST, Counts, Facts, Hold, Instant, Uncommitted, Whole, is_whole, read
from .plans import Planner


@dataclass(frozen=True, slots=True)
class Shard:
    """A slice of the plan that one worker fetches: its number, level, records and their last known bytes."""

    number: int
    level: int
    records: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run has decided to do, stored before its first fetch.

    Attributes:
        config: the hash of everything that shaped the plan; another configuration cannot adopt it.
        base: the log that it was made from, by its news: a log that was merely rearranged since is as good.
        files: the rows that the listings alone taught, written and uncommitted.
        held: by endpoint, why its news are held, and the files that would have been committed.
        endpoints: by endpoint, the counts so far.
        facts: what the next run builds on, should this one commit.
    """

    __pydantic_config__: ClassVar[ConfigDict] = CLOSED

    run: str
    source: str
    mode: str
    config: str
    base: int
    created_at: Instant
    shards: list[Shard]
    files: list[Uncommitted]
    held: dict[str, Hold]
    endpoints: dict[str, Counts]
    facts: Facts


_Traffic = Annotated[str, Field(pattern="^(requests|not_modified|bytes|retries)$")]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one shard came to.

    Attributes:
        results: counts, by endpoint and result.
        unfetched: records that no budget was left for.
        told: the paths of children that new documents tell, by child and key.
        losses: the keys of what came to nothing for the first time, by guard and endpoint.
        traffic: what a process that fetched this shard alone has asked for; empty where the run's own process did.
    """

    __pydantic_config__: ClassVar[ConfigDict] = CLOSED

    shard: int
    files: list[Uncommitted]
    results: dict[str, dict[str, int]]
    unfetched: int
    told: dict[str, dict[str, str]]
    losses: dict[str, dict[str, list[str]]]
    traffic: dict[_Traffic, Whole] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Kept:
    """A response in quarantine.

    Attributes:
        status: None where no answer came, or none was asked for.
        whole: whether the body is all of it.
        led_to: where redirects have led, below the base address; empty where there was none.
    """

    endpoint: str
    key: str
    reason: str
    status: int | None
    headers: dict[str, str]
    body: bytes
    at: datetime
    whole: bool = True
    led_to: str = ""


class Keys:
    """Keys that can be looked for: in Arrow, for there may be millions."""

    def __init__(self, keys: pa.ChunkedArray) -> None:
        self._keys = keys

    def __contains__(self, key: object) -> bool:
        return bool(pc.index(self._keys, key).as_py() >= 0)


class RunStore:
    """The objects of one source that are not its log."""

    def __init__(self, store: Store, source: str) -> None:
        self._store, self._source = store, source

    # -- plans -----------------------------------------------------------------------------------------------

    def save_plan(self, plan: Plan, planner: Planner) -> None:
        """Store a plan whole: the shards' records first, then the document that makes it count."""
        self._store.make()
        with tempfile.TemporaryFile() as file:
            planner.write_shards(file)
            file.seek(0)
            self._store.upload(f"{self._plan(plan.run)}/shards.arrow", file)
        self._store.create(f"{self._plan(plan.run)}/plan.json", _json(asdict(plan)))

    def plans(self) -> list[Plan]:
        """The plans of runs that have not ended, oldest first."""
        return [plan for plan in self.unfinished().values() if plan is not None]

    def unfinished(self) -> dict[str, Plan | None]:
        """By run, oldest first, the plans of runs that have not ended; None where a plan is not whole."""
        return {run: self._whole_plan(run) for run in sorted(self._store.folders(f"{self._source}/plans"))}

    def plan(self, run: str) -> Plan | None:
        """The plan of a run that has not ended; None where there is none, or where it is not whole."""
        return self._whole_plan(run)

    def _whole_plan(self, run: str) -> Plan | None:
        content = self._store.get(f"{self._plan(run)}/plan.json")
        plan = read(_PLAN, content)
        if plan is None and content is not None and is_whole(content):
            raise LakeError(
                f"the plan of run {run} was written by another Trawl, or is damaged",
                remedy="finish it with that version, or delete the source's plans/ folder",
            )
        if plan is None or plan.run != run or not all(map(self._is_whole, plan.files)):
            return None
        if [shard.number for shard in plan.shards] != list(range(len(plan.shards))):
            return None
        return plan if self._store.size_of(f"{self._plan(run)}/shards.arrow", b"ARROW1") else None

    def drop_plan(self, run: str) -> None:
        """Remove a run's plan, its document last."""
        paths = [found["path"] for found in self._store.scan(self._plan(run))]
        for path in sorted(paths, key=lambda path: path.endswith("/plan.json")):
            self._store.delete(path)
        self._store.drop_folder(self._plan(run))

    def drop_plans(self) -> list[str]:
        """Remove every plan, also what is left of one, and the note of losses; the runs that the plans were of."""
        self.drop_losses()
        runs = self._store.folders(f"{self._source}/plans")
        for run in runs:
            self.drop_plan(run)
        return runs

    def read_shard(self, run: str, shard: int) -> list[Prior]:
        """A shard's records, with all that is known of them."""
        with self._store.open(f"{self._plan(run)}/shards.arrow") as file:
            try:
                rows = pa.ipc.open_file(file).get_batch(shard).to_pylist()
                return [Prior(**row) for row in rows]
            except (ValueError, TypeError):  # no such batch, or other columns; Arrow's own errors are ValueErrors too
                raise LakeError(
                    f"the plan of run {run} is damaged",
                    remedy="delete the source's plans/ folder: the next run makes another",
                ) from None

    def planned_keys(self, run: str, endpoint: str) -> Keys:
        """The keys of an endpoint's records in a plan."""
        with self._store.open(f"{self._plan(run)}/shards.arrow") as file:
            shards = pa.ipc.open_file(file)
            found = []
            for number in range(shards.num_record_batches):
                rows = shards.get_batch(number)
                found.append(rows["key"].filter(pc.equal(rows["endpoint"], endpoint)))
        return Keys(pa.chunked_array(found, pa.string()))

    def save_outcome(self, run: str, outcome: Outcome) -> None:
        """Store what a shard came to. Of two attempts the first one counts: the other's files stay uncommitted."""
        try:
            self._store.create(f"{self._plan(run)}/{outcome.shard:06d}.json", _json(asdict(outcome)))
        except Conflict:
            return

    def outcomes(self, run: str, shards: Collection[int] | None = None) -> dict[int, Outcome]:
        """The finished shards of a run; `shards` reads only those."""
        found = self._outcomes(run, None if shards is None else set(shards)).values()
        return {outcome.shard: outcome for outcome in found if outcome is not None}

    def finished(self, run: str) -> set[int]:
        """The numbers of a run's finished shards, by the names of their outcomes."""
        return set(self._outcome_paths(run))

    def drop_broken_outcomes(self, run: str) -> int:
        """Forget the shards of a dead run whose outcome or files are not whole, so that they are fetched again."""
        broken = [
            path
            for path, outcome in self._outcomes(run).items()
            if outcome is None or not all(map(self._is_whole, outcome.files))
        ]
        for path in broken:
            self._store.delete(path)
        return len(broken)

    def note_losses(self, keys: Mapping[str, list[str]]) -> None:
        """Note, by endpoint, what made a run abort: its rows are not committed, and the next run must know."""
        self._store.put(self._losses, _json(keys))

    def losses(self) -> dict[str, set[str]]:
        """What came to nothing in runs that were aborted since the last one that committed, by endpoint."""
        return {endpoint: set(keys) for endpoint, keys in (read(_LOSSES, self._store.get(self._losses)) or {}).items()}

    def drop_losses(self) -> None:
        """Forget them: a run has committed, and the log says who failed in it."""
        if self._store.get(self._losses) is not None:
            self._store.delete(self._losses)

    @property
    def _losses(self) -> str:
        return f"{self._source}/losses.json"

    def _outcomes(self, run: str, shards: set[int] | None = None) -> dict[str, Outcome | None]:
        paths = self._outcome_paths(run)
        wanted = [path for number, path in paths.items() if shards is None or number in shards]
        return {path: read(_OUTCOME, self._store.get(path)) for path in wanted}

    def _outcome_paths(self, run: str) -> dict[int, str]:
        paths = [item["path"] for item in self._store.scan(self._plan(run))]
        names = {path.rpartition("/")[2].removesuffix(".json"): path for path in paths if path.endswith(".json")}
        return {int(name): path for name, path in names.items() if name.isdigit()}

    def _is_whole(self, file: LogFile) -> bool:
        return self._store.size_of(f"{self._source}/log/{file.path}", b"PAR1") == file.size

    def _plan(self, run: str) -> str:
        return f"{self._source}/plans/{run}"

    # -- manifests -------------------------------------------------------------------------------------------

    def save_manifest(self, manifest: Mapping[str, Any]) -> None:
        """Store a run's manifest: an object of its own, never changed."""
        suffix = "" if manifest["committed"] else f".{manifest['status'].replace(' ', '-')}"
        path = f"{self._source}/runs/{manifest['run_id']}{suffix}.json"
        try:
            self._store.create(path, _json(manifest))
        except Conflict:
            self._store.put(path, _json(manifest))

    def manifests(self, *, newest: int | None = None) -> list[dict[str, Any]]:
        """The manifests, newest first: a run's own (`committed`) and those of runs that ended without a commit.

        Of one that a power cut damaged there is left what its name says.
        """
        paths = sorted((item["path"] for item in self._store.scan(f"{self._source}/runs")), reverse=True)
        return [
            read(MANIFEST, self._store.get(path)) or _lost_manifest(path)
            for path in (paths if newest is None else paths[:newest])
        ]

    # -- quarantine ------------------------------------------------------------------------------------------

    def quarantine(
        self,
        run: str,
        endpoint: str,
        key: str,
        *,
        reason: str,
        status: int | None,
        headers: Mapping[str, str],
        body: bytes,
        at: datetime,
        whole: bool = True,
        led_to: str = "",
    ) -> None:
        """Keep what came in place of a usable document with its reason, and without its cookies; see `Kept`."""
        try:
            content: dict[str, str] = {"body": body.decode()}
        except UnicodeDecodeError:
            content = {"body_base64": base64.b64encode(body).decode()}
        document = {
            "endpoint": endpoint,
            "key": key,
            "reason": reason,
            "status": status,
            "observed_at": at.isoformat(),
            "headers": {name: value for name, value in headers.items() if name.lower() != "set-cookie"},
            "whole": whole,
            "led_to": led_to,
        } | content
        self._store.put(quarantine_path(self._source, run, endpoint, key), _json(document))

    def quarantined(self, run: str, endpoint: str, key: str) -> "Kept | None":
        """A response that was kept, or None where it is kept no longer."""
        found = read(ANSWER, self._store.get(quarantine_path(self._source, run, endpoint, key)))
        if found is None or found["key"] != key:  # a killed rekey has left another record's there
            return None
        body = base64.b64decode(found["body_base64"]) if "body_base64" in found else found["body"].encode()
        at = datetime.fromisoformat(found["observed_at"])
        whole, led_to = found.get("whole", True), found.get("led_to", "")
        return Kept(endpoint, key, found["reason"], found["status"], found["headers"], body, at, whole, led_to)

    def quarantine_objects(self, endpoint: str | None = None, key: str | None = None) -> Iterator[dict[str, Any]]:
        """The objects of kept responses: all, or those of one record in any run."""
        end = "" if endpoint is None or key is None else quarantine_path("", "", endpoint, key).rpartition("//")[2]
        for item in self._store.scan(f"{self._source}/quarantine"):
            if not end or item["path"].split("/", 3)[3] == end:
                yield item

    def rename_quarantined(self, endpoint: str, keys: Mapping[str, str]) -> "Moving":
        """Put the responses of records under their other keys, as far as that can be done before these hold.

        A place that one response leaves and another takes is emptied meanwhile: whoever stops halfway loses what lay
        there, but nobody takes one record's response for another's.
        """
        new: dict[str, bytes] = {}
        old: dict[str, bytes] = {}
        for item in self._store.scan(f"{self._source}/quarantine"):
            _, _, run, place, _ = item["path"].split("/", 4)
            content = self._store.get(item["path"]) if place == endpoint else None
            document = read(ANSWER, content)
            key = None if document is None else keys.get(document["key"])
            if content is not None and document is not None and key is not None and key != document["key"]:
                new[quarantine_path(self._source, run, endpoint, key)] = _json(document | {"key": key})
                old[item["path"]] = content
        contested = {path: old[path] for path in old if path in new}
        for path in new.keys() - old.keys():
            self._store.put(path, new[path])
        for path in contested:
            self._store.delete(path)
        return Moving({path: new[path] for path in contested}, contested, [path for path in old if path not in new])


@dataclass(frozen=True, slots=True)
class Moving:
    """Kept responses on their way: what is still to be written, what lay there before, and what is to be deleted."""

    later: dict[str, bytes]
    contested: dict[str, bytes]
    left: list[str]


def quarantine_path(source: str, run: str, endpoint: str, key: str) -> str:
    """Where a quarantined body lies."""
    name = quote(key, safe="")
    return f"{source}/quarantine/{run}/{endpoint}/{name if len(name) <= 200 else hashlib.sha256(key.encode()).hexdigest()}.json"


def _lost_manifest(path: str) -> dict[str, Any]:
    run, _, status = path.rpartition("/")[2].removesuffix(".json").partition(".")
    note = f"its manifest {path} is damaged"
    lost = {"run_id": run, "status": status or "unknown", "committed": not status, "note": note}
    return lost | {"endpoints": {}, "holds": {}}


_PLAN = TypeAdapter(Plan)
_OUTCOME = TypeAdapter(Outcome)
_LOSSES = TypeAdapter(dict[str, list[str]])


def _json(value: Any) -> bytes:
    return json.dumps(value, indent=1, default=str).encode()
