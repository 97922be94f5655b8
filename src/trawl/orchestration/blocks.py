"""The block types of Trawl. `prefect block register -m trawl.orchestration.blocks` makes their forms known to a server.

A source's block is called after it, `pokeapi-source-config`. Each of its fields takes the place of what the source's own
description says; an empty one leaves that as it is.

    >>> from trawl.orchestration.blocks import SourceConfigBlock
    >>> SourceConfigBlock(refresh_interval_hours=48).save("pokeapi-source-config", overwrite=True)  # doctest: +SKIP
"""

import re
from importlib import import_module
from typing import Annotated, Any

from prefect.blocks.core import Block
from prefect.utilities.dispatch import lookup_type
from pydantic import AfterValidator, BeforeValidator, Field

from trawl.model.config import check_base_url
from trawl.model.names import BLOCK_NAME
from trawl.model.values import of_form

__all__ = ["SetupState", "SourceConfigBlock", "block_class"]

_PATH_FIELDS = {"endpoint", "key", "label"}
_CENTURY = 876_600  # hours


def _empty(value: Any) -> Any:
    """The form gives an empty text for a field that is left out."""
    return None if isinstance(value, str) and not value.strip() else value


def _check_limit(name: str) -> str:
    if not name.isprintable() or set("/%&<>") & set(name):
        raise ValueError(f"{name!r} is not a valid limit name: it holds one of / % & < >")
    return name


def _check_list(path: str) -> str:
    _refuse_unknown(path, {"endpoint"})
    return path


def _check_detail(path: str) -> str:
    path = path.replace("{item_id}", "{key}").replace("{id}", "{key}")
    _refuse_unknown(path, _PATH_FIELDS, prefixes=("item.",))
    if not {"{key}", "{label}"} & set(re.findall(r"\{[^{}]*\}", path)) and "{item." not in path:
        raise ValueError(f"{path!r} is the same for every record; write for example {{endpoint}}/{{key}}/")
    return path


def _refuse_unknown(path: str, known: set[str], prefixes: tuple[str, ...] = ()) -> None:
    for name in re.findall(r"\{([^{}]*)\}", path):
        if name not in known and not name.startswith(prefixes or ("\0",)):
            raise ValueError(f"{{{name}}} in {path!r} is unknown; known are {', '.join(sorted(known))}")
    if "://" in path or path.startswith("//"):
        raise ValueError(f"{path!r} must be relative to the API's address")


_MODULES = {
    "aws-credentials": "prefect_aws.credentials",
    "minio-credentials": "prefect_aws.credentials",
    "s3-bucket": "prefect_aws.s3",
    "secret": "prefect.blocks.system",
    "slack-webhook": "prefect.blocks.notifications",
}

Empty = BeforeValidator(_empty)
Text = Annotated[str | None, Empty]
SecretName = Annotated[
    str, of_form(BLOCK_NAME, "is not a valid name of a Secret block; write lower-case letters, digits and '-', or none")
]


class SourceConfigBlock(Block):
    """How a source is asked: what the form in the UI shows, and a flow reads as it begins."""

    _block_type_name = "Source Config"
    _block_type_slug = "source-config"
    _documentation_url = "https://github.com/trawl-crawler/trawl/blob/main/docs/prefect-blocks.md"  # type: ignore[assignment]
    _description = (
        "How a source of Trawl is crawled. Each field overrides the source's own description; an empty field changes "
        "nothing. Changes take effect at the next run."
    )
    _code_example = (
        "```python\n"
        "from trawl.orchestration.blocks import SourceConfigBlock\n\n"
        'block = SourceConfigBlock.load("pokeapi-source-config")\n'
        "block.refresh_interval_hours = 48\n"
        'block.save("pokeapi-source-config", overwrite=True)\n'
        "```"
    )

    api_base_url: Annotated[Annotated[str, AfterValidator(check_base_url)] | None, Empty] = Field(
        default=None,
        title="API address",
        description="Address of the API. A run's --base-url and TRAWL_SOURCE_<NAME>_BASE_URL override it.",
        examples=["https://pokeapi.co/api/v2"],
    )
    api_key_block_name: Annotated[SecretName | None, Empty] = Field(
        default=None,
        title="API key",
        description="Name of the Secret block that holds the key; `none` for an API that needs none. Never the key itself.",
        examples=["pokeapi-api-key", "none"],
    )
    gcl_name: Annotated[Annotated[str, AfterValidator(_check_limit)] | None, Empty] = Field(
        default=None,
        title="Limit",
        description="Name of the global concurrency limit; each slot is one concurrent request.",
        examples=["pokeapi-public-calls"],
    )
    list_endpoint: Annotated[Annotated[str, AfterValidator(_check_list)] | None, Empty] = Field(
        default=None,
        title="Path of a list",
        description="Relative to the API's address; {endpoint} stands for the endpoint's name.",
        examples=["{endpoint}/"],
    )
    page_size_param: Text = Field(
        default=None,
        title="Parameter: page size",
        description="The query parameter for the page size.",
        examples=["limit"],
    )
    page_number_param: Text = Field(
        default=None,
        title="Parameter: page",
        description="The query parameter for the page: its number, or the offset of its first item.",
        examples=["offset", "page"],
    )
    default_page_size: int | None = Field(
        default=None, ge=1, title="Page size", description="How many items to request per page.", examples=[100000]
    )
    item_list_path_in_response: Text = Field(
        default=None,
        title="Items in the answer",
        description="Where the list is in the response body: a field, or a dotted path.",
        examples=["results"],
    )
    item_id_field_in_summary: Text = Field(
        default=None,
        title="Key of an item",
        description="The field of a list's item that identifies the record for ever. A lake with other keys refuses a change.",
        examples=["url", "id"],
    )
    pagination_total_pages_path_in_response: Text = Field(
        default=None,
        title="Total in the answer",
        description="Where the response gives the total number of items (items, not pages). Trawl checks the list "
        "against it.",
        examples=["count"],
    )
    detail_endpoint_template: Annotated[Annotated[str, AfterValidator(_check_detail)] | None, Empty] = Field(
        default=None,
        title="Path of a record",
        description="Relative to the API's address; {endpoint}, {key} and {label} stand for the record's.",
        examples=["{endpoint}/{key}/"],
    )
    refresh_interval_hours: float | None = Field(
        default=24, ge=0, le=_CENTURY, title="Refresh after hours", description="How long a record counts as fresh."
    )
    item_list_cache_ttl_seconds: int | None = Field(
        default=3600,
        ge=0,
        title="Keep lists for seconds",
        description="How long the showcase's tasks reuse a list. Trawl's own runs always ask, conditionally.",
    )


class SetupState(Block):
    """What set-up remembers. Do not edit: without it every difference counts as a person's edit."""

    _block_type_name = "Trawl Set-up State"
    _block_type_slug = "trawl-setup-state"
    _description = (
        "What `trawl setup` wrote last, as hashes: so it can distinguish its own values from a person's edits."
    )

    memory: dict[str, Any] = Field(default_factory=dict, title="Memory", description="Hashes by object and field.")


def block_class(slug: str) -> type[Block]:
    """The class of a block type's documents."""
    if slug in _MODULES:  # loaded when asked for: prefect-aws takes a second
        import_module(_MODULES[slug])
    made: type[Block] = lookup_type(Block, slug)
    return made
