"""Deployments, `flow/deployment`. Each of their schedules is a field of its own: `schedule refresh`."""

from collections.abc import Collection, Mapping
from typing import Any

from trawl.orchestration.setup.deployments import MANAGED
from trawl.orchestration.setup.merging import ABSENT, Change, Found, Wanted
from trawl.orchestration.setup.schedules import as_timing

from .kind import Server

SCHEDULE = "schedule "

_PLAIN = (
    "version",
    "description",
    "parameters",
    "tags",
    "work_pool_name",
    "work_queue_name",
    "entrypoint",
    "path",
    "job_variables",
    "parameter_openapi_schema",
    "enforce_parameter_schema",
    "pull_steps",
)


class Deployments:
    """Whether a deployment or one of its schedules is paused is the operator's, and so is a schedule added by hand."""

    name = "deployment"

    async def read(self, server: Server, names: Collection[str]) -> dict[str, Found]:
        plain = [name.partition("/")[2] for name in names]
        filters = {"operator": "or_", "name": {"any_": plain}, "tags": {"all_": [MANAGED]}}
        there = await server.list("/deployments/filter", {"deployments": filters})
        flows = {flow["id"]: flow["name"] for flow in await _flows(server, {one["flow_id"] for one in there})}
        found: dict[str, Found] = {}
        for one in there:
            name = f"{flows[one['flow_id']]}/{one['name']}"
            ours = MANAGED in one["tags"] and one["work_pool_name"] in server.pools
            if ours or name in names:
                found[name] = Found(one["id"], _read(one), ours=ours)
        return found

    async def make(self, server: Server, wanted: Wanted) -> None:
        flow, _, name = wanted.name.partition("/")
        made = await server.call("POST", "/flows/", {"name": flow})
        schedules = [
            {"slug": part.removeprefix(SCHEDULE), "active": wanted.once.get(part, True), **value}
            for part, value in wanted.fields.items()
            if part.startswith(SCHEDULE)
        ]
        body = _plain_body(wanted.fields) | {"flow_id": made["id"], "name": name, "schedules": schedules}
        deployment = await server.call("POST", "/deployments/", body)
        server.kept["deployment", name] = deployment["id"]

    async def change(self, server: Server, wanted: Wanted, found: Found, changes: Mapping[str, Change]) -> None:
        plain = {part: change.new for part, change in changes.items() if not part.startswith(SCHEDULE)}
        if plain:
            await server.call("PATCH", f"/deployments/{found.id}", _plain_body(plain))
        for part, change in changes.items():
            if part.startswith(SCHEDULE):
                await self._reschedule(server, wanted, found, part, change)

    async def _reschedule(self, server: Server, wanted: Wanted, found: Found, part: str, change: Change) -> None:
        slug, path = part.removeprefix(SCHEDULE), f"/deployments/{found.id}/schedules"
        if change.old is ABSENT:
            schedule = {"slug": slug, "active": wanted.once.get(part, True), **change.new}
            await server.call("POST", path, [schedule])
            return
        there = [one for one in await server.call("GET", path) if one["slug"] == slug]
        for one in there:
            if change.new is ABSENT:
                await server.call("DELETE", f"{path}/{one['id']}")
            else:
                await server.call("PATCH", f"{path}/{one['id']}", change.new)

    async def remove(self, server: Server, found: Found) -> None:
        await server.call("DELETE", f"/deployments/{found.id}")


async def _flows(server: Server, ids: Collection[str]) -> list[dict[str, Any]]:
    if not ids:
        return []
    return await server.list("/flows/filter", {"flows": {"id": {"any_": sorted(ids)}}})


def _plain_body(fields: Mapping[str, Any]) -> dict[str, Any]:
    """What the API takes: a limit is a number and what happens beyond it."""
    body = {part: value for part, value in fields.items() if not part.startswith(SCHEDULE) and part != "concurrency"}
    if "concurrency" in fields:
        wish = fields["concurrency"]
        body["concurrency_limit"] = None if not wish else wish["limit"]
        body["concurrency_options"] = None if not wish else {"collision_strategy": wish["collision_strategy"]}
    return body


def _read(deployment: Mapping[str, Any]) -> dict[str, Any]:
    fields = {part: deployment[part] for part in _PLAIN}
    fields["tags"] = sorted(fields["tags"])
    limit, options = deployment["global_concurrency_limit"], deployment["concurrency_options"]
    fields["concurrency"] = (
        {"limit": limit["limit"], "collision_strategy": (options or {}).get("collision_strategy", "ENQUEUE")}
        if limit
        else None
    )
    for schedule in deployment["schedules"]:
        if schedule["slug"] is not None:
            fields[SCHEDULE + schedule["slug"]] = {
                "schedule": as_timing(schedule["schedule"]),
                "parameters": schedule["parameters"],
            }
    return fields
