"""What speaks against a document that does not tell whose it is: where it came from, and what was there before."""

from collections import defaultdict
from collections.abc import Callable, Container
from threading import Lock

from trawl.lake import Snapshot, SourceLake
from trawl.model.canonical import byte_hash, parse
from trawl.model.config import SourceConfig
from trawl.model.contract import RENOUNCE
from trawl.model.errors import BrokenBody
from trawl.model.keys import KeyPolicy, key_at
from trawl.model.records import Answer, Prior
from trawl.sources import SourceCrawler, YamlCrawler

_ENOUGH = 8  # stored documents of an endpoint that have told their keys: the others do so, too


def policy_of(crawler: SourceCrawler, endpoint: str) -> KeyPolicy | None:
    """What makes an endpoint's keys, where its documents may repeat them; of keys that code makes nobody can say."""
    made_by = getattr(crawler.get_item_unique_id_from_summary_data, "__func__", None)
    described = made_by is YamlCrawler.get_item_unique_id_from_summary_data
    return crawler.config_block.endpoints[endpoint].repeated if described else None


class Doubts:
    """What one run (or look, or replay) knows beside an answer. Asks the lake, so only where the answer leaves it open.

    `planned` gives the keys of an endpoint that this run has listed, and the lake may not know.
    """

    def __init__(
        self,
        lake: SourceLake,
        snapshot: Snapshot | None,
        source: SourceConfig,
        planned: Callable[[str], Container[str]] | None = None,
    ) -> None:
        self._lake, self._snapshot, self._source, self._planned = lake, snapshot, source, planned
        self._keys: dict[str, list[Container[str]]] = {}
        self._told: dict[str, list[bool]] = defaultdict(list)
        self._lock = Lock()

    def may_be_lost(self, prior: Prior, policy: KeyPolicy | None) -> bool:
        """Whether a document without its key could have lost it, as far as is known without the lake."""
        return policy is not None and prior.version > 0 and all(self._told[prior.endpoint])

    def check(self, prior: Prior, answer: Answer, policy: KeyPolicy | None, led_to: str) -> None:
        """Raise BrokenBody where the document is another record's, or has lost its key. Blocking work.

        `led_to` is where redirects have led, below the base address; empty where there was none.
        """
        with self._lock:
            other = self._addressed(prior, led_to) if led_to else None
            if other is not None:
                raise BrokenBody(
                    f"contract: the API redirects the record {prior.key!r} to the record {other!r} ({led_to}); {RENOUNCE}"
                )
            if self._lost(prior, answer, policy):
                raise BrokenBody(
                    f"contract: the document no longer contains the record's key {prior.key!r}; {RENOUNCE}"
                )

    def _addressed(self, prior: Prior, led_to: str) -> str | None:
        """The other record that an address is of, if it is one."""
        detail = self._source.endpoints[prior.endpoint].detail
        key = None if detail is None else key_at(detail.path, prior.endpoint, led_to)
        return key if key is not None and key != prior.key and self._is_key(prior.endpoint, key) else None

    def _is_key(self, endpoint: str, key: str) -> bool:
        if endpoint not in self._keys:
            listed = [] if self._planned is None else [self._planned(endpoint)]
            self._keys[endpoint] = [self._lake.keys(self._snapshot, endpoint), *listed]
        return any(key in keys for keys in self._keys[endpoint])

    def _lost(self, prior: Prior, answer: Answer, policy: KeyPolicy | None) -> bool:
        """Whether the stored content, another one, tells the record's key. A few of them speak for their endpoint."""
        if policy is None or not self.may_be_lost(prior, policy) or byte_hash(answer.body or b"") == prior.byte_hash:
            return False
        told = self._told[prior.endpoint]
        if len(told) < _ENOUGH:
            stored = self._lake.payload(self._snapshot, prior.endpoint, prior.key)
            told.append(stored is not None and policy.told_by(parse(stored)) is not None)
        return all(told)
