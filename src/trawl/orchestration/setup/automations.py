"""The automations that set-up makes: rules as code, for `trawl setup` and for nobody else.

A trigger concerns the runs of this installation alone: each of them carries the tag of what set-up made. Somebody else's run on
the same server, with another heartbeat, would be marked as crashed otherwise.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from trawl.model.names import slug_of

from .deployments import HEARTBEAT, MANAGED
from .settings import Rule, Settings

__all__ = ["automations_of"]

_MINE = {"prefect.resource.role": "tag", "prefect.resource.id": f"prefect.tag.{MANAGED}"}
_RUNS = {"prefect.resource.id": "prefect.flow-run.*"}
_BEAT = "prefect.flow-run.heartbeat"

# How a run's process comes to an end, in Prefect's words and in the flows' own: from then on no heartbeat is due.
_ENDS = (
    "Completed",
    "Failed",
    "TimedOut",
    "Crashed",
    "Cancelling",
    "Cancelled",
    "Paused",
    "Suspended",
    "AwaitingRetry",
    "AwaitingConcurrencySlot",
    "Held",
    "Skipped",
    "Cached",
    "RolledBack",
)


def automations_of(settings: Settings, notify: str | None) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and body of each automation; deployments and blocks stand in them by name.

    `notify` is the block through which people are told, if there is one.
    """
    watch = settings.watch
    if watch.discovery:
        for source in settings.sources:
            yield _of_rule(
                f"trawl: refresh {source} when a discovery finds something due",
                Rule(
                    event="trawl.discovery.due",
                    resource=f"trawl.source.{source}",
                    run=f"refresh-{slug_of(source)}",
                    description="The event saves waiting for the next scheduled refresh; losing it loses nothing.",
                ),
                settings,
            )
    if watch.zombies:
        yield "trawl: mark runs without a heartbeat as crashed", _zombies(settings)
    if watch.stuck is not None:
        yield "trawl: runs that do not start", _stuck(settings, watch.stuck.total_seconds(), notify)
    if watch.failures and notify is not None:
        yield "trawl: tell of failed runs", _failures(settings, notify)
    for name, rule in settings.automations.items():
        yield _of_rule(name, rule, settings)


def _of_rule(name: str, rule: Rule, settings: Settings) -> tuple[str, dict[str, Any]]:
    action: dict[str, Any] = {"type": "run-deployment", "source": "selected", "deployment": rule.run}
    if rule.parameters:
        action["parameters"] = {part: _template(value) for part, value in rule.parameters.items()}
    trigger = {
        "type": "event",
        "match": {"prefect.resource.id": rule.resource},
        "expect": [rule.event],
        "posture": "Reactive",
        "threshold": 1,
        "within": 0,
    }
    return name, _automation(settings, rule.description, trigger, [action])


def _template(value: Any) -> Any:
    """`"{{ event.payload.name }}"`, in the form that Prefect fills in when the event comes."""
    if isinstance(value, str) and ("{{" in value or "{%" in value):
        return {"__prefect_kind": "jinja", "template": value}
    if isinstance(value, Mapping) and "__prefect_kind" not in value:
        return {name: _template(inner) for name, inner in value.items()}
    return [_template(inner) for inner in value] if isinstance(value, list) else value


def _zombies(settings: Settings) -> dict[str, Any]:
    """Three heartbeats missed. Frequency and window belong together: see `HEARTBEAT`."""
    trigger = _runs(
        "Proactive", after=[_BEAT], expect=[_BEAT, *(f"prefect.flow-run.{end}" for end in _ENDS)], within=3 * HEARTBEAT
    )
    action = {
        "type": "change-flow-run-state",
        "state": "CRASHED",
        "message": f"No heartbeat for {3 * HEARTBEAT} s: its process or pod is gone.",
    }
    said = (
        f"Runs say every {HEARTBEAT} s that they are alive (PREFECT_FLOWS_HEARTBEAT_FREQUENCY); change both together."
    )
    return _automation(settings, said, trigger, [action])


def _stuck(settings: Settings, within: float, notify: str | None) -> dict[str, Any]:
    """Pending for too long: no image, no room, no worker that went on."""
    pending = ["prefect.flow-run.Pending", "prefect.flow-run.InfrastructurePending"]
    expect = ["prefect.flow-run.Running", *(f"prefect.flow-run.{end}" for end in _ENDS)]
    trigger = _runs("Proactive", after=pending, expect=expect, within=within)
    minutes = f"{within / 60:g} min"
    if notify is None:
        action = {
            "type": "change-flow-run-state",
            "state": "CRASHED",
            "message": f"Pending for {minutes}: its process or pod did not start. Look at the pod's events and the worker's log.",
        }
        return _automation(
            settings, f"A run that does not start within {minutes} is marked as crashed.", trigger, [action]
        )
    said = f"{{{{ flow.name }}}}/{{{{ flow_run.name }}}} has been Pending for {minutes}: {{{{ flow_run|ui_url }}}}"
    return _automation(
        settings,
        f"Notifies of a run that does not start within {minutes}.",
        trigger,
        [_note(notify, said, "does not start")],
    )


def _failures(settings: Settings, notify: str) -> dict[str, Any]:
    ends = [f"prefect.flow-run.{end}" for end in ("Failed", "Crashed", "TimedOut")]
    trigger = _runs("Reactive", after=[], expect=ends, within=0)
    said = (
        "{{ flow.name }}/{{ flow_run.name }} ended as {{ flow_run.state.name }}: {{ flow_run.state.message }} "
        "{{ flow_run|ui_url }}"
    )
    return _automation(settings, "Notifies of runs that failed or crashed.", trigger, [_note(notify, said, "failed")])


def _note(block: str, body: str, what: str) -> dict[str, Any]:
    return {
        "type": "send-notification",
        "block": block,
        "subject": f"Trawl: {{{{ flow_run.name }}}} {what}",
        "body": body,
    }


def _runs(posture: str, *, after: list[str], expect: list[str], within: float) -> dict[str, Any]:
    return {
        "type": "event",
        "match": _RUNS,
        "match_related": _MINE,
        "for_each": ["prefect.resource.id"],
        "after": after,
        "expect": expect,
        "posture": posture,
        "threshold": 1,
        "within": within,
    }


def _automation(
    settings: Settings, description: str, trigger: dict[str, Any], actions: list[dict[str, Any]]
) -> dict[str, Any]:
    return {
        "description": description,
        "tags": [MANAGED, f"pool:{settings.pool.name}"],
        "trigger": trigger,
        "actions": actions,
    }
