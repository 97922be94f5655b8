"""Block documents, `type/name`. A block that another one names stands in it as `{"block": "type/name"}`."""

from collections.abc import Collection, Mapping
from typing import Any

from trawl.orchestration.blocks import block_class
from trawl.orchestration.setup.merging import ABSENT, Change, Found, Wanted

from .kind import Server


class BlockDocuments:
    """Each field of a block is looked after on its own, so that one edited in the UI stays and the others go on."""

    name = "block"

    async def read(self, server: Server, names: Collection[str]) -> dict[str, Found]:
        found: dict[str, Found] = {}
        for block in names:
            slug, _, name = block.partition("/")
            there = await server.maybe(f"/block_types/slug/{slug}/block_documents/name/{name}", include_secrets="true")
            if there is not None:
                server.kept["block", block] = there["id"]
                found[block] = Found(there["id"], _read_data(there))
        return found

    async def make(self, server: Server, wanted: Wanted) -> None:
        slug, _, name = wanted.name.partition("/")
        made = block_class(slug)
        kind = await server.call("GET", f"/block_types/slug/{slug}")
        schema = await server.call(
            "GET",
            f"/block_schemas/checksum/{made._calculate_schema_checksum()}",  # noqa: SLF001
            version=made.get_block_schema_version(),
        )
        body = {
            "name": name,
            "block_type_id": kind["id"],
            "block_schema_id": schema["id"],
            "data": await _written(server, wanted.fields),
        }
        document = await server.call("POST", "/block_documents/", body)
        server.kept["block", wanted.name] = document["id"]

    async def change(self, server: Server, wanted: Wanted, found: Found, changes: Mapping[str, Change]) -> None:
        news = {part: None if change.new is ABSENT else change.new for part, change in changes.items()}
        body = {"data": await _written(server, news), "merge_existing_data": True}
        await server.call("PATCH", f"/block_documents/{found.id}", body)

    async def remove(self, server: Server, found: Found) -> None:
        await server.call("DELETE", f"/block_documents/{found.id}")


def _read_data(document: Mapping[str, Any]) -> dict[str, Any]:
    data = dict(document["data"])
    for part, reference in document.get("block_document_references", {}).items():
        inner = reference["block_document"]
        data[part] = {"block": f"{inner['block_type']['slug']}/{inner['name']}"}
    return data


async def _written(server: Server, fields: Mapping[str, Any]) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for part, value in fields.items():
        if isinstance(value, Mapping) and set(value) == {"block"}:
            data[part] = {"$ref": {"block_document_id": await server.block_id(value["block"])}}
        else:
            data[part] = value
    return data
