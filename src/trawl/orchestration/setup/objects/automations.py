"""Automations. Deployments and blocks stand in them by name, `deployment` and `block`: an id is the server's own."""

from collections.abc import Collection, Mapping
from typing import Any

from prefect.events import AutomationCore

from trawl.orchestration.setup.deployments import MANAGED
from trawl.orchestration.setup.merging import Change, Found, Wanted

from .kind import Server


class Automations:
    """Trigger, actions and description are looked after; whether one is enabled is the operator's."""

    name = "automation"

    async def read(self, server: Server, names: Collection[str]) -> dict[str, Found]:
        found: dict[str, Found] = {}
        for one in await _all(server):
            ours = {MANAGED, f"pool:{server.pool}"} <= set(one.get("tags") or [])
            if ours or one["name"] in names:
                # Names are not unique on a server: what two set-ups made at once is there twice, and once too often.
                name = one["name"] if one["name"] not in found else f"{one['name']} ({one['id']})"
                found[name] = Found(one["id"], await _read(server, one), ours=ours)
        return found

    async def make(self, server: Server, wanted: Wanted) -> None:
        body = await _written(server, {"name": wanted.name, **wanted.fields, **wanted.once})
        made = await server.call("POST", "/automations/", body)
        twins = [one["id"] for one in await _all(server) if one["name"] == wanted.name]
        if made["id"] in twins[1:]:  # another set-up was first; it sees the same order
            await server.call("DELETE", f"/automations/{made['id']}")

    async def change(self, server: Server, wanted: Wanted, found: Found, changes: Mapping[str, Change]) -> None:
        there = await server.call("GET", f"/automations/{found.id}")
        whole = {**found.fields, **{part: change.new for part, change in changes.items()}}
        body = await _written(server, {"name": wanted.name, "enabled": there["enabled"], **whole})
        await server.call("PUT", f"/automations/{found.id}", body)

    async def remove(self, server: Server, found: Found) -> None:
        await server.call("DELETE", f"/automations/{found.id}")


async def _all(server: Server) -> list[dict[str, Any]]:
    """The oldest first."""
    return sorted(await server.list("/automations/filter"), key=lambda one: (one["created"], one["id"]))


def normal(automation: Mapping[str, Any]) -> dict[str, Any]:
    """Trigger, actions and description in one spelling: the server gives sets in any order and leaves defaults in."""
    dumped = AutomationCore.model_validate(automation).model_dump(mode="json")
    return {
        "description": dumped["description"],
        "tags": sorted(dumped["tags"]),
        "trigger": _sorted(dumped["trigger"]),
        "actions": [_plain(action) for action in dumped["actions"]],
    }


def _sorted(trigger: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: sorted(value)
        if name in {"after", "expect", "for_each"}
        else [_sorted(one) for one in value]
        if name == "triggers"
        else value
        for name, value in trigger.items()
        if name != "id"
    }


def _plain(action: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in action.items() if value is not None}


_NAMED = {"deployment": "deployment_id", "block": "block_document_id"}
_NOBODY = "00000000-0000-0000-0000-000000000000"


async def _read(server: Server, automation: Mapping[str, Any]) -> dict[str, Any]:
    """With names in the place of ids; what has no name any more keeps its id."""
    fields = normal(automation)
    for action in fields["actions"]:
        for part, key in _NAMED.items():
            if (found := action.get(key)) is not None and (name := await _name(server, part, found)) is not None:
                del action[key]
                action[part] = name
    return fields


async def _name(server: Server, part: str, found: str) -> str | None:
    if part == "deployment":
        deployment = await server.maybe(f"/deployments/{found}")
        return None if deployment is None else str(deployment["name"])
    block = await server.maybe(f"/block_documents/{found}")
    return None if block is None else f"{block['block_type']['slug']}/{block['name']}"


async def _written(server: Server, automation: Mapping[str, Any]) -> dict[str, Any]:
    actions: list[dict[str, Any]] = []
    for action in automation["actions"]:
        made = dict(action)
        if (deployment := made.pop("deployment", None)) is not None:
            made["deployment_id"] = await server.deployment_id(deployment)
        if (block := made.pop("block", None)) is not None:
            made["block_document_id"] = await server.block_id(block)
        actions.append(made)
    return {**automation, "actions": actions}


def named(automation: Mapping[str, Any]) -> dict[str, Any]:
    """`normal`, for an automation with names: the ids that Prefect's model asks for come later."""
    actions = []
    for action in automation["actions"]:
        stand_in = {key: _NOBODY for part, key in _NAMED.items() if part in action}
        actions.append({name: value for name, value in action.items() if name not in _NAMED} | stand_in)
    fields = normal({**automation, "actions": actions})
    for action, written in zip(fields["actions"], automation["actions"], strict=True):
        for part, key in _NAMED.items():
            if part in written:
                del action[key]
                action[part] = written[part]
    return fields
