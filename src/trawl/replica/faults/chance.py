"""Chance without a clock: the same asking of the same address always falls out the same way."""

import hashlib
from collections import Counter


class Chance:
    """Rolls for one layer; each keeps its own count of how often an address was asked."""

    def __init__(self, seed: int, layer: str) -> None:
        self._salt = f"{seed}/{layer}"
        self._asked: Counter[str] = Counter()

    def ask(self, url: str) -> int:
        """Count an asking: 1 for the first."""
        self._asked[url] += 1
        return self._asked[url]

    def roll(self, fault: str, url: str, nth: int = 0) -> float:
        """A number from 0 up to, not including, 1."""
        text = f"{self._salt}/{fault}/{nth}/{url}"
        return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=7).digest()) / 2**56
