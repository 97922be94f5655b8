"""One writer per source: a lease object in the lake, the same on a laptop and in a cluster.

It has an owner, an expiry and a heartbeat. What finally decides is the commit's fence; the lease spares two runs the
work. A lease of a process that is known to be dead on this very machine is taken over at once.
"""

import json
import os
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import ConfigDict, Field, TypeAdapter

from trawl.lake.store import Conflict, Store
from trawl.model.errors import LakeError, LeaseHeld

from .documents import CLOSED, Instant, is_whole, read

TERM = timedelta(seconds=60)
HEARTBEAT = timedelta(seconds=15)


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a lease, and until when (ISO 8601, UTC)."""

    __pydantic_config__: ClassVar[ConfigDict] = CLOSED

    run: Annotated[str, Field(pattern=r"^[\w-]+$")]
    host: str
    machine: str  # which host of that name, since which boot, and where there process numbers count
    pid: int
    taken_at: Instant
    expires_at: Instant

    def gone(self, now: datetime) -> bool:
        """Whether the lease may be taken over: it is over, or its process on this machine has ended."""
        if datetime.fromisoformat(self.expires_at) <= now:
            return True
        return self.machine == _machine() and self.pid != os.getpid() and not _alive(self.pid)

    def __str__(self) -> str:
        return f"run {self.run} on {self.host} (process {self.pid}), until {self.expires_at}"


class Lease:
    """A held lease; it renews itself in a thread until `release`."""

    def __init__(self, store: Store, path: str, run: str, clock: Callable[[], datetime]) -> None:
        self._store, self._path, self._run, self._clock = store, path, run, clock
        self._tag: str | None = None
        self._stop = threading.Event()
        self._lost: str | None = None
        self._thread = threading.Thread(target=self._renew, name=f"lease {path}", daemon=True)

    def take(self) -> None:
        """Take the lease or raise LeaseHeld, which names the holder."""
        found = self._store.get_tagged(self._path)
        holder = None if found is None else _read(found[0], self._path)
        if holder is not None and not holder.gone(self._clock()) and not _left_behind(holder):
            raise LeaseHeld(
                f"the source is being written by {holder}",
                remedy="wait for it (--wait 10m), or check whether it is still alive; its lease expires by itself",
            )
        _held.add(self._run)  # first: another run of this process may see the object before this one sees the answer
        try:
            self._tag = self._swap(None if found is None else found[1])
        except Conflict:
            _held.discard(self._run)
            raise LeaseHeld("another run took the source's lease just now", remedy="wait for it (--wait 10m)") from None
        self._thread.start()

    def check(self) -> None:
        """Raise LeaseHeld if the lease was lost: this run must not commit."""
        if self._lost is not None:
            raise LeaseHeld(f"this run lost the source's lease: {self._lost}", remedy="run again")

    def release(self) -> None:
        """Stop renewing, and let others take it at once."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        _held.discard(self._run)
        if self._lost is None and self._tag is not None:
            with suppress(Conflict, LakeError):  # it runs out by itself
                self._store.swap(self._path, self._content(timedelta(0)), self._tag)

    def _renew(self) -> None:
        due = self._clock() + TERM
        while not self._stop.wait(HEARTBEAT.total_seconds()):
            try:
                self._tag = self._swap(self._tag)
                due = self._clock() + TERM
            except Conflict:
                self._lost = "another writer took it over"
                return
            except LakeError as error:
                if self._clock() >= due:
                    self._lost = f"it could not be renewed: {error.message}"
                    return

    def _swap(self, tag: str | None) -> str:
        try:
            return self._store.swap(self._path, self._content(), tag)
        except Conflict:
            found = self._store.get_tagged(self._path)
            holder = None if found is None else _read(found[0], self._path)
            if found is None or holder is None or holder.run != self._run:
                raise
            return found[1]  # the answer to our own writing was lost, and it was sent again

    def _content(self, term: timedelta = TERM) -> bytes:
        return json.dumps(holder_of(self._run, self._clock(), term)).encode()


def holder_of(run: str, now: datetime, term: timedelta) -> dict[str, Any]:
    """The fields of a `Holder` that is this process, from now on for so long."""
    holder = Holder(run, socket.gethostname(), _machine(), os.getpid(), now.isoformat(), (now + term).isoformat())
    return asdict(holder)


def holder(store: Store, path: str, now: datetime) -> Holder | None:
    """Who holds the lease now, if anybody does."""
    content = store.get(path)
    found = None if content is None else _read(content, path)
    return None if found is None or found.gone(now) else found


_held: set[str] = set()  # the runs whose leases this process holds


def _left_behind(holder: Holder) -> bool:
    """Whether it was this very process, which could not write that it let go (the disk was full, say)."""
    return holder.machine == _machine() and holder.pid == os.getpid() and holder.run not in _held


def _read(content: bytes, path: str) -> Holder | None:
    """Who holds the lease. What is no JSON is a file that a power cut left: nobody's."""
    found = read(_HOLDER, content)
    if found is None and is_whole(content):
        raise LakeError(
            f"the lease {path} was written by another Trawl", remedy="delete that object if no run is alive"
        )
    return found


_HOLDER = TypeAdapter(Holder)


@cache
def _machine() -> str:
    """Names of hosts may be shared, and containers of one pod share theirs; a process number says nothing elsewhere."""
    found = [socket.gethostname()]
    with suppress(OSError):
        found.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip())
        found.append(Path("/proc/self/ns/pid").readlink().name)
    return " ".join(found)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:  # a killed process that nobody has reaped still has its number, but writes no more
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] != "Z"
    except (OSError, IndexError):
        return True
