"""What all runs share about one host: until when nobody may ask it, and its rate."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Annotated, Literal
from urllib.parse import quote

from pydantic import Field, TypeAdapter

from trawl.lake.store import Store

from .documents import Instant, read
from .lease import HEARTBEAT, TERM, Holder, holder_of


@dataclass(frozen=True, slots=True)
class Share(Holder):
    """A run that asks the host, and how many requests per second its source allows there."""

    rate: Annotated[float, Field(gt=0, allow_inf_nan=False)]


_SHARE = TypeAdapter(Share)
_COOL_DOWN = TypeAdapter(dict[Literal["until"], Instant])


class HostBoard:
    """The objects `hosts/<host>/` of a lake. What cannot be read counts as not there: politeness never stops a run."""

    def __init__(self, store: Store, host: str, clock: Callable[[], datetime]) -> None:
        self._store, self._clock = store, clock
        self._folder = f"hosts/{quote(host, safe='')}"
        self._renewed: datetime | None = None

    def cool_down(self) -> datetime | None:
        """Until when nobody may ask, or None."""
        found = read(_COOL_DOWN, self._store.get(f"{self._folder}/cool-down.json"))
        return datetime.fromisoformat(found["until"]) if found else None

    def publish(self, until: datetime) -> None:
        """Tell all runs not to ask before `until`, unless they know of a later instant."""
        known = self.cool_down()
        if known is not None and known >= until:
            return
        self._store.put(f"{self._folder}/cool-down.json", json.dumps({"until": until.isoformat()}).encode())

    def share(self, run: str, rate: float) -> list[Share]:
        """Take a share of the host's rate, or keep it; all shares that are held now, the run's own among them."""
        now = self._clock()
        if self._renewed is None or now - self._renewed >= HEARTBEAT:
            mine = Share(**holder_of(run, now, TERM), rate=rate)
            self._store.put(self._path(run), json.dumps(asdict(mine)).encode())
            self._renewed = now
        shares = self._shares()
        for share in shares:
            if share.run != run and share.gone(now):  # killed: nobody else takes it away
                self.leave(share.run)
        return [share for share in shares if share.run == run or not share.gone(now)]

    def leave(self, run: str) -> None:
        """Give the run's share back."""
        self._store.delete(self._path(run))

    def _shares(self) -> list[Share]:
        paths = sorted(item["path"] for item in self._store.scan(f"{self._folder}/shares"))
        return [share for path in paths if (share := read(_SHARE, self._store.get(path))) is not None]

    def _path(self, run: str) -> str:
        return f"{self._folder}/shares/{run}.json"
