"""The events that Trawl emits, for automations and for programs outside: counts and the run's id, never keys."""

from typing import Any

from prefect.events import emit_event

from trawl.crawl import Report

DISCOVERY_DUE = "trawl.discovery.due"
ENDPOINT_EVENTS = {"new": "created", "changed": "changed", "gone": "gone", "revived": "revived"}
"""By count of the report, what happened: `trawl.endpoint.created` and so on."""


def source_resource(source: str) -> dict[str, str]:
    """The resource of a source's events."""
    return {"prefect.resource.id": f"trawl.source.{source}", "prefect.resource.name": source}


def emit_due(report: Report) -> int:
    """Tell that a discovery found records that are due; how many. What nobody hears, the next refresh finds by itself."""
    counts = {name: endpoint.due for name, endpoint in report.endpoints.items() if endpoint.due}
    if counts:
        payload: dict[str, Any] = {"source": report.source, "counts": counts, "run_id": report.run_id}
        emit_event(DISCOVERY_DUE, resource=source_resource(report.source), payload=payload)
    return sum(counts.values())


def emit_changes(report: Report) -> None:
    """Tell what became of each endpoint's records: one event per endpoint and kind."""
    for name, counts in report.endpoints.items():
        for field, happened in ENDPOINT_EVENTS.items():
            if number := getattr(counts, field):
                emit_event(
                    f"trawl.endpoint.{happened}",
                    resource={
                        "prefect.resource.id": f"trawl.source.{report.source}.endpoint.{name}",
                        "prefect.resource.name": f"{report.source} {name}",
                    },
                    related=[source_resource(report.source) | {"prefect.resource.role": "source"}],
                    payload={"source": report.source, "endpoint": name, "count": number, "run_id": report.run_id},
                )
