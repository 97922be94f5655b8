"""`trawl check --live`: whether this machine, the lake and the API are fit for a crawl. A handful of requests."""

import asyncio
import os
import platform
import ssl
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from trawl.crawl.holds import pending_holds
from trawl.crawl.options import CrawlOptions, resolve
from trawl.crawl.planning import read_token
from trawl.lake import Lake, SourceLake
from trawl.lake.health import disk, examine_source, examine_store
from trawl.model.config import SourceConfig
from trawl.model.errors import Retriable, Skippable, TrawlError
from trawl.model.health import Health, Level
from trawl.sources import SourceCrawler, as_crawler
from trawl.transport import Client, Clock, CoolDown, Response, base_url_of, utc_now
from trawl.transport.auth import SecretLoader
from trawl.transport.session import proxy_for

from .asking import Asker
from .facts import Probe
from .lists import explain_list
from .records import explain_record

_PACKAGES = ("deltalake", "duckdb", "pyarrow", "obstore", "aiohttp", "pydantic", "orjson", "cyclopts")
_LITTLE_MEMORY = 512 * 2**20
_MOST_REQUESTS = 5  # before it is enough of lists that are not there
_SKEW = timedelta(seconds=60)


async def examine(
    sources: Sequence[SourceConfig | SourceCrawler],
    lake: Lake,
    base_url: str | None = None,
    *,
    clock: Clock = utc_now,
    load_block: SecretLoader | None = None,
) -> AsyncIterator[Health]:
    """All findings, as they come: the machine, the lake, then each source's API."""
    for finding in environment():
        yield finding
    for finding in await asyncio.to_thread(lambda: list(_lake(lake, clock()))):
        yield finding
    for source in sources:
        async for finding in _api(as_crawler(source), lake, base_url, clock, load_block):
            yield finding


def environment() -> Iterator[Health]:
    """The machine: versions, memory, the temporary folder, certificates."""
    area = "machine"
    yield Health(area, "Python", Level.OK, f"{platform.python_version()} ({platform.machine()}, {sys.platform})")
    versions, missing = [], []
    for name in _PACKAGES:
        try:
            versions.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    yield Health(area, "packages", Level.OK, f"trawl {version('trawl')}; {', '.join(versions)}")
    if missing:
        yield Health(area, "packages", Level.WRONG, f"missing: {', '.join(missing)}", "install Trawl again")
    free = _memory()
    if free is not None:
        little = free < _LITTLE_MEMORY
        remedy = "give it 512 MiB: a run takes up to 400 MB" if little else None
        level = Level.WARNING if little else Level.OK
        yield Health(area, "memory", level, f"{free / 2**30:,.1f} GiB available", remedy)
    yield _temporary()
    known = ssl.create_default_context().cert_store_stats()["x509_ca"]
    where = os.environ.get("SSL_CERT_FILE") or ssl.get_default_verify_paths().cafile or "the system's store"
    if known:
        yield Health(area, "certificates", Level.OK, f"{known} authorities from {where}")
    else:
        remedy = "install ca-certificates, or name a bundle in SSL_CERT_FILE"
        yield Health(area, "certificates", Level.WARNING, f"no authority in {where}: https will fail", remedy)


def _memory() -> int | None:
    """The memory that is left, or that the container allows; None where nothing tells."""
    found = []
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        found += [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
        limit = Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii").strip()
        used = Path("/sys/fs/cgroup/memory.current").read_text(encoding="ascii").strip()
        if limit != "max":
            found.append(int(limit) - int(used))
    except (OSError, ValueError):
        pass
    return min(found, default=None)


def _temporary() -> Health:
    try:
        with tempfile.TemporaryFile() as file:
            file.write(b"trawl")
            file.flush()
        return disk("machine", Path(tempfile.gettempdir()))
    except OSError as error:
        remedy = "set TMPDIR to a writable folder"
        return Health("machine", "temporary files", Level.WRONG, f"cannot be written: {error}", remedy)


def _lake(lake: Lake, now: datetime) -> Iterator[Health]:
    try:
        storage = list(examine_store(lake))
        yield from storage
        if not lake.store.exists or any(finding.level is Level.WRONG for finding in storage):
            return
        for name in lake.sources():
            part = lake.source(name)
            yield from examine_source(part, now)
            for endpoint, hold in pending_holds(part).items():
                remedy = f"check them, then: trawl run {name} --accept {endpoint} (or --reject {endpoint})"
                yield Health(f"lake {name}", "held", Level.WARNING, f"{endpoint}: {hold['reason']}", remedy)
    except TrawlError as error:
        yield Health("lake", "storage", Level.WRONG, error.message, error.remedy)


async def _api(
    crawler: SourceCrawler, lake: Lake, base_url: str | None, clock: Clock, load_block: SecretLoader | None
) -> AsyncIterator[Health]:
    source = crawler.config_block
    area = f"API {source.name}"
    address = base_url_of(source, base_url)
    try:
        proxy = proxy_for(address)
        yield Health(area, "proxy", Level.OK, "none" if proxy is None else f"through {proxy.host}")
        listed = await asyncio.to_thread(_listed, lake.source(source.name), set(source.endpoints))
        target = resolve(source, CrawlOptions(base_url=base_url))
        once = source.requests.model_copy(update={"attempts": 1})
        async with Client(
            source=source.model_copy(update={"requests": once}),
            base_url=target.base_url,
            clock=clock,
            cool_down=CoolDown(clock),
            requests_per_second=target.requests_per_second,
            connections=1,
            api_key=partial(crawler.get_api_key, load_block),
        ) as client:
            async for finding in _ask(crawler, client, area, listed):
                yield finding
    except TrawlError as error:
        yield Health(area, "reachable", Level.WRONG, error.message, error.remedy)


def _listed(part: SourceLake, endpoints: set[str]) -> list[str]:
    """The endpoints that the API had when it was last listed; none where the lake does not tell."""
    try:
        listings = part.listings(part.log.snapshot())
    except TrawlError:
        return []  # the lake's own findings say so
    return [name for name, listing in listings.items() if listing.state == "present" and name in endpoints]


async def _ask(crawler: SourceCrawler, client: Client, area: str, listed: list[str]) -> AsyncIterator[Health]:
    """The version token, one list, one record, and the same record once more on a condition."""
    source = crawler.config_block
    if source.version_token is not None:
        try:
            seen = await read_token(client, source.version_token)
        except (Retriable, Skippable) as error:
            remedy = "correct `version_token`; without one every run requests every list"
            yield Health(area, "version token", Level.WARNING, error.message, remedy)
        else:
            yield Health(area, "version token", Level.OK, seen.value)
    found = None
    parents = [config.parent for config in source.endpoints.values() if config.parent is not None]
    for endpoint in dict.fromkeys([*listed, *parents, *source.endpoints]):
        if source.endpoints[endpoint].list is None:
            continue
        found = Probe(source.name, endpoint, None)
        await explain_list(Asker(found, crawler, client))
        absent = bool(found.requests) and found.requests[-1].status in {404, 410}
        if not absent or client.traffic.requests >= _MOST_REQUESTS:
            break
        yield Health(area, f"list {endpoint}", Level.WARNING, "the API does not have it: a crawl reports it as absent")
    assert found is not None
    told = "" if found.listing is None else f"{found.listing.items:,} items; {found.listing.note}"
    yield _found(found, area, f"list {found.endpoint}", told)
    if found.listing is None or not found.listing.keys or not found.ok:
        return
    endpoint = found.endpoint
    key = found.listing.keys[0][0]
    record = Probe(source.name, endpoint, key)
    await explain_record(Asker(record, crawler, client), key)
    label = f"{endpoint} {key}"
    yield _found(record, area, f"record {label}", "keeps its contract")
    if record.record is not None and record.record.suggestion:
        remedy = f"this document suggests `{record.record.suggestion}`"
        yield Health(area, f"contract of {endpoint}", Level.WARNING, "none is written", remedy)
    headers = record.requests[-1].headers if record.requests else {}
    if not record.ok or source.endpoints[endpoint].detail is None:
        return
    etag, modified = headers.get("etag"), headers.get("last-modified")
    try:
        response = await client.get(record.requests[-1].url, etag=etag, last_modified=modified)
    except (Retriable, Skippable) as error:
        yield Health(area, "conditional requests", Level.WARNING, error.message)
        return
    yield _conditional(response, area, etag or modified)
    yield _skew(response, area)


def _found(found: Probe, area: str, subject: str, well: str) -> Health:
    if found.ok:
        return Health(area, subject, Level.OK, well)
    problem = found.problems[0]
    return Health(area, subject, Level.WRONG, problem.message, problem.remedy)


def _conditional(response: Response, area: str, validator: str | None) -> Health:
    subject = "conditional requests"
    if response.status == 304:
        return Health(area, subject, Level.OK, "answered 304: what did not change is not sent again")
    what = "the API sends no ETag and no Last-Modified" if validator is None else "the API sends everything again"
    return Health(area, subject, Level.WARNING, f"{what}: a refresh costs as much as a first crawl")


def _skew(response: Response, area: str) -> Health:
    """How far this clock and the API's lie apart; a cache's Age is added to the Date."""
    try:
        date = parsedate_to_datetime(response.headers["date"])
        age = int(response.headers.get("age", "0"))
    except (KeyError, ValueError, TypeError):
        return Health(area, "clock", Level.OK, "the API sends no Date to compare with")
    skew = response.at - (date if date.tzinfo else date.replace(tzinfo=UTC)) - timedelta(seconds=age)
    seconds = round(skew.total_seconds())
    if abs(skew) <= _SKEW:
        return Health(area, "clock", Level.OK, f"{abs(seconds)} s apart from the API's")
    remedy = "set this machine's clock (NTP): leases, cool-downs and history depend on it"
    return Health(
        area, "clock", Level.WARNING, f"{abs(seconds):,} s {'ahead of' if seconds > 0 else 'behind'} the API's", remedy
    )
