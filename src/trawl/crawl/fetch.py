"""One shard: ask for its records, decide each, write the rows. Runs on a laptop or in a pod of its own alike."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import partial
from http import HTTPStatus

from trawl.lake import LogWriter, Outcome, SourceLake
from trawl.model.canonical import parse
from trawl.model.classify import Action, remaining_age, speaks_of_the_record
from trawl.model.config import SourceConfig
from trawl.model.decide import Rules, is_listed, refused, settle, unfetched
from trawl.model.documents import read_json
from trawl.model.errors import BrokenBody, BudgetSpent, Retriable, Skippable, TrawlError
from trawl.model.keys import KeyPolicy, fields_of, fill, path_told, scalar
from trawl.model.more import continued
from trawl.model.records import QUARANTINE, Answer, Failure, Op, Prior, Refusal, Result, Settled
from trawl.model.validators import validators_of
from trawl.sources import Asking, Item, SourceCrawler
from trawl.transport import Client, Clock, Response

from .doubts import Doubts, policy_of
from .faults import fault_of
from .listing import version_of
from .losses import loss_of
from .tasks import in_thread, task_group


@dataclass(frozen=True, slots=True)
class Fetcher:
    """Fetches shards of one run.

    Attributes:
        conditional: whether validators are sent.
        doubts: asked of documents that do not tell whose they are.
        told: the paths of children that their parents' documents tell, by key; asked for by (child, keys, unknown): of
            all `keys` what this run has received, of the `unknown` ones also what the lake holds.
        on_result: told of every record that is done; may raise to end the run.
        alone: whether the client asks for one shard at a time, in a process that does not commit: its outcomes say what
            was asked.
    """

    run: str
    crawler: SourceCrawler
    source: SourceConfig
    lake: SourceLake
    client: Client
    clock: Clock
    token: str | None
    conditional: bool
    believe_older: bool
    doubts: Doubts
    told: Callable[[str, list[str], list[str]], dict[str, str]]
    on_result: Callable[[Settled], None]
    alone: bool = False

    async def fetch(self, shard: int, connections: int) -> Outcome:
        """Fetch one shard, so many requests at a time, and store its outcome; the rows stay uncommitted."""
        before = traffic_of(self.client)
        priors = await asyncio.to_thread(self.lake.runs.read_shard, self.run, shard)
        work = _Work(self, self.lake.log.writer(self.run, f"{shard:06d}"), self._rules(priors))
        work.paths = await asyncio.to_thread(self._paths, priors)
        todo = iter(priors)
        async with task_group() as group:
            for _ in range(min(connections, len(priors))):
                group.create_task(work.through(todo))
        files = await in_thread(work.writer.close)
        results = {endpoint: dict(counts) for endpoint, counts in work.results.items()}
        traffic = traffic_since(self.client, before) if self.alone else {}
        outcome = Outcome(shard, files, results, work.left, dict(work.told), work.losses, traffic)
        await in_thread(self.lake.runs.save_outcome, self.run, outcome)
        return outcome

    def _rules(self, priors: list[Prior]) -> dict[str, Rules]:
        return {
            name: Rules(
                run=self.run,
                unordered=self.source.endpoints[name].unordered_paths,
                tombstone_after=self.source.endpoints[name].guards.tombstone_after,
                token=self.token,
                believe_older=self.believe_older,
            )
            for name in {prior.endpoint for prior in priors}
        }

    def _paths(self, priors: list[Prior]) -> dict[tuple[str, str], str]:
        """The paths that only the parents' documents tell, of the children in this shard."""
        found: dict[tuple[str, str], str] = {}
        for endpoint in {name for children in self.source.told.values() for name in children}:
            children = [prior for prior in priors if prior.endpoint == endpoint]
            if children:
                # A path that worked is only asked for again of parents that changed in this run.
                unknown = [prior.key for prior in children if prior.locator is None or prior.failures]
                paths = self.told(endpoint, [prior.key for prior in children], unknown)
                found |= {(endpoint, key): path for key, path in paths.items()}
        return found


class _Work:
    """A shard in progress."""

    def __init__(self, fetcher: Fetcher, writer: LogWriter, rules: dict[str, Rules]) -> None:
        self.fetcher, self.writer, self.rules = fetcher, writer, rules
        self.asking = Asking(fetcher.crawler, fetcher.client)
        self.policies = {endpoint: policy_of(fetcher.crawler, endpoint) for endpoint in rules}
        self.paths: dict[tuple[str, str], str] = {}
        self.results: dict[str, Counter[str]] = defaultdict(Counter)
        self.told: dict[str, dict[str, str]] = defaultdict(dict)
        self.losses: dict[str, dict[str, list[str]]] = {}
        self.left = 0
        self._writing = asyncio.Lock()

    async def through(self, todo: Iterator[Prior]) -> None:
        """Work off records until none is left; several of these share one iterator."""
        for prior in todo:
            # No name here for what comes: a parsed document takes ten times its bytes, and would wait for the next one.
            if self._settle(prior, await self._ask(prior)):
                async with self._writing:
                    await in_thread(self.writer.flush, self.writer.take())

    def _settle(self, prior: Prior, answer: Answer | Refusal | Failure | None) -> bool:
        """Decide a record and take its row. True once so much waits that it should be written."""
        if answer is None:
            self.left += 1
            row = unfetched(prior, self.fetcher.clock())
            return row is not None and self.writer.add(row)
        told = self._told(prior, answer)
        settled = settle(prior, answer, self.rules[prior.endpoint])
        if settled.row.op == Op.PUT:
            for child, path in told:
                self.told[child][prior.key] = path
        self.results[prior.endpoint][settled.result] += 1
        if (guard := loss_of(settled)) is not None:
            self.losses.setdefault(guard, {}).setdefault(prior.endpoint, []).append(prior.key)
        self.fetcher.on_result(settled)
        return self.writer.add(settled.row)

    def _told(self, prior: Prior, answer: Answer | Refusal | Failure) -> list[tuple[str, str]]:
        """The paths of its children that a document tells (read before `settle` sorts the document's lists)."""
        children = self.fetcher.source.told.get(prior.endpoint)
        if children is None or not isinstance(answer, Answer) or answer.body is None:
            return []
        paths = ((child, path_told(answer.value, template, prior.key)) for child, template in children.items())
        return [(child, path) for child, path in paths if path is not None]

    async def _ask(self, prior: Prior) -> Answer | Refusal | Failure | None:
        fetcher = self.fetcher
        config = fetcher.source.endpoints[prior.endpoint]
        if prior.body is not None:
            return await self._item(prior, prior.body)
        assert config.detail is not None
        if any(field.startswith(("parent.", "item.")) for field in fields_of(config.detail.path)):
            path = self.paths.get((prior.endpoint, prior.key)) or prior.locator
            if path is None:
                if fetcher.client.spent:
                    return None
                return await self._set_aside(prior, "no path: its parent's record does not name one")
        else:
            path = fill(config.detail.path, endpoint=prior.endpoint, key=prior.key, label=prior.label)
        # A validator is good for the address that gave it, and for no other.
        conditional = fetcher.conditional and prior.version > 0 and path == prior.locator
        etag, last_modified = (prior.etag, prior.last_modified) if conditional else (None, None)
        item = Item(prior.endpoint, prior.key, prior.label, path, etag, last_modified)
        try:
            response = await self.asking.fetch(item)
        except BudgetSpent:
            return None
        except Retriable as error:
            return Failure(fetcher.clock(), error.message)
        except Skippable as error:
            return await self._set_aside(prior, error.message, error)
        except TrawlError:
            raise
        except Exception as error:  # noqa: BLE001  a source's own code may raise anything
            return Failure(fetcher.clock(), fault_of(fetcher.crawler, error))
        return await self._read(prior, path, response)

    async def _read(self, prior: Prior, path: str, response: Response) -> Answer | Refusal | Failure:
        source, status = self.fetcher.source, response.status
        match response.action:
            case Action.OK:
                try:
                    return await self._believed(prior, path, response)
                except BrokenBody as error:
                    place = led_to(self.fetcher.client, path, response)
                    return await self._set_aside(prior, error.message, response, place=place)
            case Action.NOT_MODIFIED if prior.version > 0:
                version, order = version_of(source.version_token, response.headers)
                return Answer(
                    response.at,
                    None,
                    etag=response.headers.get("etag"),
                    locator=path,
                    source_version=version,
                    source_order=order,
                    stale_until=_stale_until(response),
                )
            case Action.GONE if not is_listed(prior):
                return Refusal(response.at, status, _stale_until(response))
            case Action.QUARANTINE:
                return await self._set_aside(prior, f"no document: status {status}", response)
            case _ if status == HTTPStatus.FORBIDDEN or speaks_of_the_record(status):
                result = Result.FORBIDDEN if status == HTTPStatus.FORBIDDEN else Result.QUARANTINED
                return await self._set_aside(prior, refused(status), response, _stale_until(response), result)
            case _:
                return Failure(response.at, refused(status), _stale_until(response))

    async def _believed(self, prior: Prior, path: str, response: Response) -> Answer:
        """The document, if it is this record's. Raises BrokenBody."""
        fetcher, policy = self.fetcher, self.policies[prior.endpoint]
        try:
            answer = read_document(fetcher.source, prior.endpoint, prior.key, path, response, policy)
        except BrokenBody as error:
            place = led_to(fetcher.client, path, response)
            raise BrokenBody(f"{error.message} (redirected to {place})" if place else error.message) from None
        if answer.anonymous:
            place = led_to(fetcher.client, path, response)
            if place or fetcher.doubts.may_be_lost(prior, policy):
                await in_thread(fetcher.doubts.check, prior, answer, policy, place)
        return answer

    async def _item(self, prior: Prior, body: bytes) -> Answer | Failure:
        """A list-only endpoint's record: the list has brought it already."""
        config = self.fetcher.source.endpoints[prior.endpoint]
        at = self.fetcher.clock()
        try:
            value = parse(body)
            config.contract.check(value, prior.key)
        except BrokenBody as error:
            return await self._set_aside(prior, error.message, Response(200, Action.OK, {}, body, at))
        return Answer(at, body, value, label=prior.label)

    async def _set_aside(
        self,
        prior: Prior,
        reason: str,
        answer: Response | Skippable | None = None,
        retry_at: datetime | None = None,
        result: Result = Result.QUARANTINED,
        place: str = "",
    ) -> Failure:
        """Keep what is known of an answer that is of no use; none may have come."""
        at = answer.at if isinstance(answer, Response) else self.fetcher.clock()
        known = answer or Skippable(reason)
        keep = partial(
            self.fetcher.lake.runs.quarantine,
            self.fetcher.run,
            prior.endpoint,
            prior.key,
            reason=reason,
            status=known.status,
            headers=known.headers,
            body=known.body,
            at=at,
            whole=isinstance(answer, Response),
            led_to=place,
        )
        await in_thread(keep)
        return Failure(at, f"{QUARANTINE}{reason}", retry_at, result)


def led_to(client: Client, path: str, response: Response) -> str:
    """Where redirects have led, below the base address; empty where there was none."""
    try:
        straight = response.url in {"", client.locate(path)}
    except Skippable:  # the source's own code has asked for another address
        return ""
    return "" if straight else response.url.removeprefix(f"{client.base_url}/")


def read_document(
    source: SourceConfig, endpoint: str, key: str, path: str | None, response: Response, policy: KeyPolicy | None
) -> Answer:
    """The document in an answer. Raises BrokenBody where it is none, or against the endpoint's contract.

    `policy` is what makes the keys, where a document may repeat them.
    """
    config = source.endpoints[endpoint]
    found = read_json(response.body, response.headers.get("content-type", ""))
    value = found.value
    if config.detail is None:
        config.contract.check(value, key)
    told = config.detail is None or config.contract.check_document(value, key, policy)
    if config.parent is not None and (sign := continued(value, response.headers.get("link", ""))) is not None:
        raise BrokenBody(f"the document has more pages, which is not supported for a child yet: {sign.says}")
    version, order = version_of(source.version_token, response.headers)
    validators = validators_of(response.headers, response.at)
    return Answer(
        response.at,
        found.text,
        value,
        label=scalar(value, config.label) if config.label else None,
        locator=path,
        etag=validators.etag,
        last_modified=validators.last_modified,
        source_version=version,
        source_order=order,
        stale_until=_stale_until(response),
        anonymous=not told,
    )


def _stale_until(response: Response) -> datetime | None:
    """Until when caches may go on giving this answer."""
    age = remaining_age(response.headers)
    return None if age is None else response.at + age


def traffic_of(client: Client) -> dict[str, int]:
    """The client's traffic as plain numbers."""
    return asdict(client.traffic)


def traffic_since(client: Client, before: dict[str, int]) -> dict[str, int]:
    """What the client has asked for since then."""
    return {name: number - before[name] for name, number in traffic_of(client).items()}
