"""Where set-up's memory lies: in a block of its own on the server, one per pool. A variable would be too small for it."""

import re
import secrets
from typing import Any

from .merging import Memory
from .objects.kind import Server

__all__ = ["Elsewhere", "Shelf"]

_TYPE = "trawl-setup-state"


class Shelf:
    """The memory of one installation, read and written whole."""

    def __init__(self, server: Server) -> None:
        self._server = server
        slug = re.sub(r"[^a-z0-9]+", "-", server.pool.lower()).strip("-") or "pool"
        self._name = f"trawl-setup-{slug}"

    async def read(self) -> Memory:
        document = await self._document()
        return Memory.of({} if document is None else document["data"].get("memory") or {}, secrets.token_hex(16))

    async def write(self, memory: Memory, since: Memory) -> Memory:
        """Store it, with what another set-up stored after `since` was read. The result is what is stored now."""
        from trawl.orchestration.blocks import SetupState  # noqa: PLC0415  it brings blocks, which a mere reader does not need

        document = await self._document()
        if document is None:
            await SetupState.aregister_type_and_schema(client=self._server.client)
            kind = await self._server.call("GET", f"/block_types/slug/{_TYPE}")
            checksum = SetupState._calculate_schema_checksum()  # noqa: SLF001  what registering uses, too
            version = SetupState.get_block_schema_version()
            schema = await self._server.call("GET", f"/block_schemas/checksum/{checksum}", version=version)
            body = {"name": self._name, "block_type_id": kind["id"], "block_schema_id": schema["id"]}
            await self._server.call("POST", "/block_documents/", {**body, "data": {"memory": memory.to_dict()}})
            return memory
        other = Memory.of(document["data"].get("memory") or {}, memory.salt)
        if other.salt != memory.salt:  # another set-up was first: its salt holds, so decide again with that
            raise Elsewhere
        joined = memory.joined(other, since)
        if joined != other:
            body = {"data": {"memory": joined.to_dict()}, "merge_existing_data": False}
            await self._server.call("PATCH", f"/block_documents/{document['id']}", body)
        return joined

    async def _document(self) -> Any:
        return await self._server.maybe(
            f"/block_types/slug/{_TYPE}/block_documents/name/{self._name}", include_secrets="true"
        )


class Elsewhere(Exception):
    """Another set-up began to remember at the same moment."""
