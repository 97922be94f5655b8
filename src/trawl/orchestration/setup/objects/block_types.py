"""Block types: what gives a block its form in the UI."""

from collections.abc import Collection, Mapping
from typing import Any

from prefect.blocks.core import Block

from trawl.orchestration.blocks import block_class
from trawl.orchestration.setup.merging import Change, Found, Wanted

from .kind import Server


class BlockTypes:
    """Types are registered and brought up to date, never removed: other blocks may be of them."""

    name = "block type"

    async def read(self, server: Server, names: Collection[str]) -> dict[str, Found]:
        found: dict[str, Found] = {}
        for name in names:
            kind = await server.maybe(f"/block_types/slug/{name}")
            if kind is not None:
                made = block_class(name)
                schema = await server.maybe(
                    f"/block_schemas/checksum/{_checksum(made)}", version=made.get_block_schema_version()
                )
                fields = {"schema": None if schema is None else schema["checksum"]}
                if _is_ours(made):
                    fields["description"] = kind["description"]
                found[name] = Found(kind["id"], fields, ours=True)
        return found

    async def make(self, server: Server, wanted: Wanted) -> None:
        await block_class(wanted.name).aregister_type_and_schema(client=server.client)

    async def change(self, server: Server, wanted: Wanted, found: Found, changes: Mapping[str, Change]) -> None:
        await self.make(server, wanted)

    async def remove(self, server: Server, found: Found) -> None:
        """Blocks of this type may be somebody's."""


def wanted_type(slug: str) -> Wanted:
    """The block type of this slug, as this version of its package has it."""
    made = block_class(slug)
    fields: dict[str, Any] = {"schema": _checksum(made)}
    if _is_ours(made):
        fields["description"] = made.get_description()
    return Wanted(BlockTypes.name, slug, fields)


def _is_ours(made: type[Block]) -> bool:
    """The server itself registers Prefect's own types at each start, and describes them in its own words."""
    return made.__module__.startswith("trawl.")


def _checksum(made: type[Block]) -> str:
    checksum: str = made._calculate_schema_checksum()  # noqa: SLF001  what registering compares, too
    return checksum
