"""A list, explained: its first page, and whether that is all of it."""

from collections.abc import Iterable
from functools import partial
from typing import Any

from trawl.crawl.listing import Columns, closing, verify_counts
from trawl.model.describe import fields_text
from trawl.model.documents import read_json
from trawl.model.errors import BrokenBody, ConfigurationError, TornListing
from trawl.model.pagination import Walk, first_page, read_page
from trawl.sources import answer_in

from .asking import Asker
from .facts import ListFacts
from .remedies import NO_JSON, torn_remedy

_SHOWN = 5  # first keys of a list


async def explain_list(work: Asker) -> list[tuple[str, str | None, Any]] | None:
    """Ask for the list; its keys, labels and items where they could be read."""
    name, config = work.found.endpoint, work.config.list
    if config is None:
        raise ConfigurationError(
            f"{name} has no list: it follows the records of {work.config.parent}",
            remedy=f"give a key: trawl try {work.source.name} {name} KEY",
        )
    if work.own("discover_item_ids") or work.own("get_item_unique_id_from_summary_data"):
        return await _list_in_python(work)
    request = first_page(name, config)
    why = f"path: `list.path` {config.path!r}; pagination: {config.pagination.kind}"
    response = await work.ask(request.url, dict(request.params), why)
    if response is None or not work.usable(response, "list.path"):
        return None
    try:
        value = read_json(response.body, response.headers.get("content-type", "")).value
    except BrokenBody as error:
        work.problem(error.message, f"`list.path` {NO_JSON}")
        return None
    try:
        page = read_page(value, config, response.headers.get("link", ""))
    except TornListing as error:
        work.problem(error.message, error.remedy or f"the document's fields: {fields_text(value)}")
        return None
    columns, walk = Columns(work.source, name), Walk(request, config)
    try:
        items = _with_keys(work, columns, page.items)
        walk.take(page)
    except TornListing as error:
        work.problem(error.message, torn_remedy(error, page.items))
        return None
    facts = ListFacts(len(page.items), page.count, walk.request is None, verified=False)
    facts.keys = list(zip(columns.keys[:_SHOWN], columns.labels[:_SHOWN], strict=True))
    work.found.listing = facts
    _judge_list(work, facts, columns, page.items, walk.request is None)
    return list(zip(columns.keys, columns.labels, items, strict=True))


async def _list_in_python(work: Asker) -> list[tuple[str, str | None, Any]] | None:
    """The first batch of a list that the source finds in its own way."""
    name = work.found.endpoint
    columns = Columns(work.source, name, partial(work.crawler.get_item_unique_id_from_summary_data, name))
    asking = work.through(f"asked by {type(work.crawler).__name__}.discover_item_ids")
    try:
        async with closing(asking.batches(name)) as batches:
            batch = await anext(batches, None)
        if batch is None:
            work.problem("no page came at all", "an empty list is one page without items: yield `Batch([])`")
            return None
        answer = await answer_in(batch, work.client.clock())
        if answer is not None and not work.usable(answer, "discover_item_ids"):
            return None
        items = _with_keys(work, columns, batch.items)
    except Exception as error:  # noqa: BLE001  a source's own code may raise anything
        work.fault(error)
        return None
    facts = ListFacts(len(batch.items), batch.count, complete=False, verified=False)
    facts.keys = list(zip(columns.keys[:_SHOWN], columns.labels[:_SHOWN], strict=True))
    facts.note = "the first batch: a crawl reads all of them, and verifies the whole list"
    work.found.listing = facts
    return list(zip(columns.keys, columns.labels, items, strict=True))


def _with_keys(work: Asker, columns: Columns, items: Iterable[Any]) -> list[Any]:
    """The items that tell a key, noting how many do not. Raises TornListing where these are too many."""
    found = [item for item in items if columns.add([item]) is None]
    columns.verify_keys(work.config.guards.keyless)
    if columns.keyless:
        work.found.notes.append(f"{columns.keyless} of {columns.items} items have no key: {columns.reason}")
    return found


def _judge_list(work: Asker, facts: ListFacts, columns: Columns, items: Any, complete: bool) -> None:
    config = work.config.list
    assert config is not None
    if not complete and facts.count == facts.items:
        facts.note = (
            "as many items as the API counts. A crawl asks for one page more, since such a count may be that of the page "
            "alone: `pagination.last_page: count` says that it is the list's"
        )
    elif not complete:
        rest = "on" if facts.count is None else f"for all {facts.count:,}"
        facts.note = (
            f"the first page of more: a crawl asks {rest}, page by page. Pages of one list are no snapshot: "
            "a larger `pagination.limit` (or `size`) makes it one where the API allows that"
        )
    else:
        try:
            verify_counts([] if facts.count is None else [(facts.count, facts.items)], facts.items)
            facts.verified = True
            facts.note = (
                "complete: every key once, as many as the API counts"
                if facts.count is not None
                else "complete as far as can be checked: the list has no count (`list.count` names the field)"
            )
        except TornListing as error:
            kind = config.pagination.kind
            work.problem(error.message, f"correct `pagination` (now of kind {kind}), or `list.count`")
    if work.config.label and items and not any(columns.labels):
        work.found.notes.append(
            f"`label` {work.config.label!r} is not a text or integer in the items: labels then come from the records, if they "
            f"have it. An item's fields: {fields_text(items[0])}"
        )
