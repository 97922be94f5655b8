"""One request at a time, written down with what a crawl would make of the answer."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

from trawl.crawl.faults import fault_of
from trawl.model.classify import Action
from trawl.model.config import EndpointConfig, SourceConfig, VersionToken
from trawl.model.documents import html_page, read_json
from trawl.model.errors import BrokenBody, Retriable, Skippable, TrawlError
from trawl.sources import Asking, SourceCrawler, is_own
from trawl.transport import Client, Response

from .facts import Asked, Probe, Problem

_MEANINGS = {
    Action.OK: "a document: a crawl reads it",
    Action.NOT_MODIFIED: "the stored content is still valid",
    Action.RETRY: "a temporary failure: a crawl waits and retries, then leaves it to the next run",
    Action.LATER: "refused: a crawl skips it and tries again in a later run",
    Action.GONE: "not there: a listed record is set aside; one that is missing from the list comes closer to its tombstone",
    Action.QUARANTINE: "a success without a document: a crawl keeps it in quarantine",
}
_HEADERS = (
    "content-type",
    "content-encoding",
    "etag",
    "last-modified",
    "cache-control",
    "age",
    "retry-after",
    "link",
    "location",
)


@dataclass(slots=True)
class Asker:
    """Asks, and writes into `found` what it learns. `origin`: who named the base address, for the reader."""

    found: Probe
    crawler: SourceCrawler
    client: Client
    origin: str = ""
    source: SourceConfig = field(init=False)
    config: EndpointConfig = field(init=False)

    def __post_init__(self) -> None:
        self.source = self.crawler.config_block
        self.config = self.source.endpoints[self.found.endpoint]

    async def ask(self, url: str, params: Mapping[str, str | int], why: str) -> Response | None:
        """One request, written down; None where no answer came that could be read."""
        query = "&".join(f"{name}={value}" for name, value in params.items())
        shown = self.client.locate(url) + (f"?{query}" if query else "")
        why = f"{self.origin}{why}"
        began = time.perf_counter()
        try:
            response = await self.client.get(url, params=params or None)
        except (Retriable, Skippable) as error:
            self._broken(shown, error, time.perf_counter() - began, why)
            return None
        self._answered(shown, response, time.perf_counter() - began, why)
        return response

    def _broken(self, shown: str, error: TrawlError, seconds: float, why: str) -> None:
        wait = getattr(error, "wait", None)
        meaning = _MEANINGS[Action.RETRY] if isinstance(error, Retriable) else "a crawl sets the record aside"
        asked = f"; it asks for a pause of {wait.total_seconds():.0f} s" if isinstance(wait, timedelta) else ""
        self.found.requests.append(Asked(shown, why, None, Action.RETRY, f"{error.message}: {meaning}{asked}", seconds))
        self.problem(
            error.message, "try again later; `requests` of the source says how often and how long a crawl asks"
        )

    def _answered(self, shown: str, response: Response, seconds: float, why: str) -> None:
        names = _names(self.source.version_token)
        headers = {name: response.headers[name] for name in names if name in response.headers}
        meaning = _MEANINGS.get(response.action, "a crawl ends")
        size = len(response.body)
        self.found.requests.append(Asked(shown, why, response.status, response.action, meaning, seconds, size, headers))

    def usable(self, response: Response, setting: str) -> bool:
        if response.action is Action.GONE:
            self.problem(f"the API answers {response.status}", f"correct the key, `base_url` or `{setting}`")
        elif response.action is not Action.OK:
            remedy = f"open that address; it comes from `base_url` and `{setting}`"
            self.problem(f"the API answers {response.status}", remedy)
        elif (page := _no_json(response)) is not None:
            self.problem(
                f"not JSON: the answer is {page}",
                f"correct `base_url` or `{setting}`: many APIs lie below a path of their own, such as /api/v2",
            )
        else:
            return True
        return False

    def own(self, member: str) -> bool:
        """Whether the source does this in Python of its own."""
        return is_own(self.crawler, member)

    def through(self, why: str) -> Asking:
        """The source's own code, asked as in a crawl: what it asks is written down."""
        from .watching import watched  # noqa: PLC0415  httpx takes 0.1 s to load

        why = f"{self.origin}{why}"
        return Asking(
            self.crawler,
            self.client,
            watched(self.client, partial(self._answered, why=why), partial(self._broken, why=why)),
        )

    def fault(self, error: Exception) -> None:
        """What the source's own code raised: fatal errors end the try, the others are its answer."""
        if isinstance(error, TrawlError) and not isinstance(error, Retriable | Skippable):
            raise error
        message = error.message if isinstance(error, TrawlError) else fault_of(self.crawler, error)
        if all(problem.message != message for problem in self.found.problems):
            self.problem(
                message, f"look at {type(self.crawler).__name__}; trawl.testing has the contract that it must meet"
            )

    def problem(self, message: str, remedy: str) -> None:
        self.found.problems.append(Problem(message, remedy))


def _no_json(response: Response) -> str | None:
    """The HTML page that came in the place of a document."""
    kind = response.headers.get("content-type", "")
    page = html_page(response.body, kind)
    if page is None:
        return None
    try:
        read_json(response.body, kind)
    except BrokenBody:
        return page
    return None


def _names(token: VersionToken | None) -> list[str]:
    own = [token.header, token.order_header] if token else []
    return [*_HEADERS, *(name.lower() for name in own if name)]
