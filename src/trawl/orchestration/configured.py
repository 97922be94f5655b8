"""A source's crawler for a flow: its description, with what its block says in the place of it."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from logging import Logger, LoggerAdapter
from typing import Any

from pydantic import ValidationError

from trawl.model.config import EndpointConfig, SourceConfig
from trawl.model.errors import ConfigurationError
from trawl.model.names import config_block_name, public_calls_name
from trawl.sources import SourceCrawler, YamlCrawler, get_crawler

from .blocks import SourceConfigBlock

__all__ = ["block_of", "configured_crawler", "fields_of_source", "overlaid"]

Log = Logger | LoggerAdapter[Any]


async def configured_crawler(name: str, log: Log | None = None) -> SourceCrawler:
    """The crawler of a source by name, as its block `<name>-source-config` says.

    Of an address the first holds: a run's own, `TRAWL_SOURCE_<NAME>_BASE_URL`, the block, the source's description. Without a
    block the description alone holds, which `log` is told.

    Raises ConfigurationError for an unknown source, and for a block that says what cannot be, with its name and field.
    """
    crawler = await asyncio.to_thread(get_crawler, name)
    block_name = config_block_name(crawler.source_name)
    block = await block_of(crawler.source_name)
    if block is None:
        if log is not None:
            log.info("%s: no block %s, so the source's own description holds", name, block_name)
        return crawler
    if not isinstance(crawler, YamlCrawler):
        if log is not None:
            log.warning("%s: the block %s is not used: the source is written in Python", name, block_name)
        return crawler
    config = overlaid(crawler.config_block, block, block_name)

    async def load(_: str) -> SourceConfig:
        return config

    return await crawler.configured(load)


async def block_of(source: str) -> SourceConfigBlock | None:
    """The source's block; None where there is none. Raises ConfigurationError for one that cannot be read."""
    name = config_block_name(source)
    try:
        block: SourceConfigBlock = await SourceConfigBlock.aload(name)
    except RuntimeError as error:
        if not isinstance(error.__cause__, ValidationError):
            raise
        raise _broken(name, error.__cause__.errors()) from None
    except ValueError as error:
        if "Unable to find block document" in str(error):
            return None
        raise ConfigurationError(f"the block {name} cannot be read: {error}", remedy=_remedy(name)) from None
    return block


def overlaid(config: SourceConfig, block: SourceConfigBlock, name: str) -> SourceConfig:
    """The configuration with each field of the block in its place. What the block repeats changes nothing.

    Raises ConfigurationError with the name of the block and of the field.
    """
    said = {field: value for field in _FIELDS if (value := getattr(block, field)) is not None}
    known = fields_of_source(config)
    for field, value in said.items():
        if known.get(field) == value:
            continue
        changed = config.model_dump(exclude_unset=True, mode="json")
        changed.pop("defaults", None)  # they are in the endpoints already, and would come back over what is set here
        try:
            _FIELDS[field](changed, config, value)
            config = SourceConfig.model_validate(changed)
        except ValidationError as error:
            reason = "; ".join(dict.fromkeys(fault["msg"].removeprefix("Value error, ") for fault in error.errors()))
            raise ConfigurationError(f"the block {name}: {field}: {reason}", remedy=_remedy(name)) from None
        except ValueError as error:
            raise ConfigurationError(f"the block {name}: {field}: {error}", remedy=_remedy(name)) from None
    return config


def fields_of_source(config: SourceConfig) -> dict[str, Any]:
    """A source's description in the fields of its block; None where its endpoints differ from one another."""
    lists = [one.list for one in config.endpoints.values() if one.list is not None]
    pages = [one.pagination for one in lists]
    details = [one.detail.path for one in config.endpoints.values() if one.detail is not None and one.parent is None]
    hours = [one.freshness.total_seconds() / 3600 for one in config.endpoints.values()]
    keys = [_key(one) for one in config.endpoints.values() if one.parent is None]
    return {
        "api_base_url": config.base_url,
        "api_key_block_name": None if config.credentials is None else config.credentials.block,
        "gcl_name": config.calls_limit or public_calls_name(config.name),
        "list_endpoint": _common(one.path for one in lists),
        "page_size_param": _common(getattr(one, _SIZE_PARAM.get(one.kind, ""), None) for one in pages),
        "page_number_param": _common(getattr(one, _PAGE_PARAM.get(one.kind, ""), None) for one in pages),
        "default_page_size": _common(getattr(one, _SIZE.get(one.kind, ""), None) for one in pages),
        "item_list_path_in_response": _common(one.items or None for one in lists),
        "item_id_field_in_summary": _common(keys),
        "pagination_total_pages_path_in_response": _common(one.count for one in lists),
        "detail_endpoint_template": _common(details),
        "refresh_interval_hours": _common(hours),
        "item_list_cache_ttl_seconds": 3600,
    }


_SIZE_PARAM = {"offset": "limit_param", "page": "size_param"}
_PAGE_PARAM = {"offset": "offset_param", "page": "page_param"}
_SIZE = {"offset": "limit", "page": "size"}


def _common(values: Iterable[Any]) -> Any:
    """The value that all have; None where they differ."""
    found = Counter(values)
    return next(iter(found)) if len(found) == 1 else None


def _key(endpoint: EndpointConfig) -> str | None:
    return endpoint.key.field if isinstance(endpoint.key.field, str) else None


def _set_address(data: dict[str, Any], _: SourceConfig, value: str) -> None:
    data["base_url"] = value


def _set_key_block(data: dict[str, Any], config: SourceConfig, value: str) -> None:
    kept = {} if config.credentials is None else config.credentials.model_dump(include={"kind", "name"})
    data["credentials"] = kept | {"block": value}


def _set_limit(data: dict[str, Any], _: SourceConfig, value: str) -> None:
    data["calls_limit"] = value


def _set_list(data: dict[str, Any], config: SourceConfig, value: str) -> None:
    listed = [name for name, one in config.endpoints.items() if one.list is not None]
    if "{endpoint}" not in value and len(listed) > 1:
        raise ValueError(
            f"{value!r} would be the same list for all {len(listed)} endpoints; write {{endpoint}} in place of the "
            "endpoint's name (for a run of one endpoint set its parameter `endpoints`)"
        )
    for one in _lists(data, config):
        one["path"] = value


def _set_items(data: dict[str, Any], config: SourceConfig, value: str) -> None:
    for one in _lists(data, config):
        one["items"] = value


def _set_count(data: dict[str, Any], config: SourceConfig, value: str) -> None:
    for one in _lists(data, config):
        one["count"] = value


def _of_pages(names: Mapping[str, str], what: str) -> Callable[[dict[str, Any], SourceConfig, Any], None]:
    def apply(data: dict[str, Any], config: SourceConfig, value: Any) -> None:
        for one in _lists(data, config):
            pages = one.setdefault("pagination", {"kind": "none"})
            if pages["kind"] not in names:
                raise ValueError(f"lists of the kind {pages['kind']!r} have no {what}; leave the field empty")
            pages[names[pages["kind"]]] = value

    return apply


def _set_key(data: dict[str, Any], config: SourceConfig, value: str) -> None:
    for name, one in config.endpoints.items():
        if one.parent is None and _key(one) != value:
            data["endpoints"][name]["key"] = {"field": value}


def _set_detail(data: dict[str, Any], config: SourceConfig, value: str) -> None:
    for name, one in config.endpoints.items():
        if one.parent is None and one.detail is not None:
            data["endpoints"][name].setdefault("detail", {})["path"] = value


def _set_freshness(data: dict[str, Any], _: SourceConfig, value: float) -> None:
    for one in data["endpoints"].values():
        one["freshness"] = f"{round(value * 3600)}s"


def _lists(data: dict[str, Any], config: SourceConfig) -> Iterable[dict[str, Any]]:
    for name, one in config.endpoints.items():
        if one.list is not None:
            yield data["endpoints"][name].setdefault("list", {})


_FIELDS: dict[str, Callable[[dict[str, Any], SourceConfig, Any], None]] = {
    "api_base_url": _set_address,
    "api_key_block_name": _set_key_block,
    "gcl_name": _set_limit,
    "list_endpoint": _set_list,
    "page_size_param": _of_pages(_SIZE_PARAM, "parameter for a page's size"),
    "page_number_param": _of_pages(_PAGE_PARAM, "parameter for a page's number"),
    "default_page_size": _of_pages(_SIZE, "page size"),
    "item_list_path_in_response": _set_items,
    "item_id_field_in_summary": _set_key,
    "pagination_total_pages_path_in_response": _set_count,
    "detail_endpoint_template": _set_detail,
    "refresh_interval_hours": _set_freshness,
}


def _broken(name: str, faults: Iterable[Any]) -> ConfigurationError:
    lines = [
        f"the block {name}: {'.'.join(map(str, fault['loc'])) or 'it'}: {fault['msg'].removeprefix('Value error, ')}"
        for fault in faults
    ]
    return ConfigurationError("\n".join(lines), remedy=_remedy(name))


def _remedy(name: str) -> str:
    return (
        f"correct that field of the block {name} in the UI (Blocks), or delete the block: without it the source's "
        "description holds"
    )
