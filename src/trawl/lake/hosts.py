"""What all runs share about one host: until when nobody may ask it."""

import json
from datetime import datetime
from urllib.parse import quote

from .store import Store


class HostBoard:
    """The objects `hosts/<host>/` of a lake."""

    def __init__(self, store: Store, host: str) -> None:
        self._store, self._path = store, f"hosts/{quote(host, safe='')}/cool-down.json"

    def cool_down(self) -> datetime | None:
        """Until when nobody may ask, or None. What cannot be read counts as none: politeness never stops a run."""
        content = self._store.get(self._path)
        try:
            return None if content is None else datetime.fromisoformat(json.loads(content)["until"])
        except (ValueError, KeyError, TypeError):
            return None

    def publish(self, until: datetime) -> None:
        """Tell all runs not to ask before `until`."""
        self._store.put(self._path, json.dumps({"until": until.isoformat()}).encode())
