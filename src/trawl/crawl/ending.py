"""How a run ends: in one commit with its manifest, or with a manifest alone."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from trawl.lake import ListingState, Outcome, Plan
from trawl.lake.runs.lease import Lease
from trawl.model.errors import GuardTripped, LakeError, StaleCommit, TrawlError
from trawl.model.records import Result
from trawl.transport import Client
from trawl.transport.client import KEYLESS

from .fetch import traffic_of
from .planning import Context
from .report import EndpointReport, Report


def commit(context: Context, client: Client, plan: Plan, outcomes: list[Outcome], lease: Lease) -> Report:
    """Line 7: the manifest, then everything at once."""
    results: dict[str, Counter[str]] = defaultdict(Counter)
    for outcome in outcomes:
        for endpoint, counts in outcome.results.items():
            results[endpoint].update(counts)
    held = dict(plan.held)
    endpoints: dict[str, EndpointReport] = {}
    for name, counts in plan.endpoints.items():
        endpoints[name] = _endpoint_report(context, name, counts, results[name], held)
    for names in context.source.levels:  # a child's news are no better than its parent's
        for name in names:
            parent = context.source.endpoints[name].parent
            if name in endpoints and parent in held and parent not in plan.held and name not in held:
                held[name] = {"reason": f"its parent {parent} is held"}
                endpoints[name].held = True
    files = [file for outcome in outcomes for file in outcome.files]
    for name, hold in held.items():
        hold.setdefault("files", [asdict(file) for file in files if file.endpoint == name])
    changed_held = {name for name in held if name not in plan.held}
    files = [*plan.files, *(file for file in files if file.endpoint not in changed_held)]
    report = _report(context, client, "held" if held else "done", endpoints, plan)
    for outcome in outcomes:  # what other processes have asked for
        for name, number in outcome.traffic.items():
            setattr(report, name, getattr(report, name) + number)
    if report.unread:
        report.status = "failed" if any(counts.never_read for counts in endpoints.values()) else "degraded"
    left = (
        sum(outcome.unfetched for outcome in outcomes)
        + sum(max(0, counts.get("due", 0)) for counts in plan.endpoints.values() if plan.mode == "refresh")
        - sum(shard.records for shard in plan.shards)
    )
    if plan.mode == "refresh" and left > 0:
        report.note = _both(f"the request budget is spent: {left} records stay due", report.note)
    writer = context.lake.log.writer(plan.run, "run")
    context.lake.write_run(writer, context.base, plan.run, context.clock(), plan.facts)
    for name in changed_held:  # the new keys of its list are held, too: it must come whole again
        if context.source.endpoints[name].list is not None:
            forgotten = ListingState("present", None, None, None, None, context.clock())
            context.lake.write_listing(writer, name, forgotten, size=0, digest=b"")
    files += writer.close()
    lease.check()
    context.lake.runs.save_manifest(report.to_dict() | {"committed": True, "holds": held})
    try:
        context.lake.log.commit(context.base, plan.run, files)
    except StaleCommit as error:
        record_failure(context, client, error)
        raise
    with suppress(LakeError):  # the run is committed: the next one finds that, and drops the plan
        context.lake.runs.drop_losses()
        context.lake.runs.drop_plan(plan.run)
    return report


def _endpoint_report(
    context: Context,
    name: str,
    counts: Mapping[str, Any],
    results: Counter[str],
    held: dict[str, dict[str, Any]],
) -> EndpointReport:
    report = EndpointReport(
        listed=counts.get("listed", 0),
        new=counts.get("found", 0) if context.options.mode == "discover" else results[Result.NEW],
        changed=results[Result.CHANGED],
        reordered=results[Result.REORDERED],
        unchanged=results[Result.UNCHANGED],
        missing=counts.get("missing", 0),
        gone=counts.get("gone", 0) + results[Result.GONE],
        revived=counts.get("revived", 0),
        quarantined=results[Result.QUARANTINED] + results[Result.FORBIDDEN] + counts.get("keyless", 0),
        failed=results[Result.FAILED] + results[Result.REGRESSED],
        held=name in held,
        due=counts.get("due", 0),
        absent=bool(counts.get("absent")),
        unread=counts.get("unread", 0),
        never_read=bool(counts.get("never_read")),
        notes=list(counts.get("notes", [])),
    )
    guards = context.source.endpoints[name].guards
    if guards.changed.exceeded(report.changed, max(report.listed, report.changed)):
        reason = _alarm(context, name, report, "change", f"{report.changed} of {report.listed} records changed")
        if guards.changed.action == "hold" and name not in context.options.accept:
            held[name] = {"reason": reason}
            report.held = True
    if guards.quarantined.exceeded(report.quarantined, max(report.listed, report.quarantined)):
        _alarm(context, name, report, "quarantine", f"{report.quarantined} of {report.listed} records were set aside")
    return report


def _alarm(context: Context, name: str, report: EndpointReport, what: str, reason: str) -> str:
    report.notes.append(f"mass {what}: {reason}")
    context.progress.warn(f"{name}: mass {what}: {reason}")
    return reason


def _report(
    context: Context,
    client: Client,
    status: str,
    endpoints: dict[str, EndpointReport],
    plan: Plan | None = None,
) -> Report:
    traffic = traffic_of(client)
    return Report(
        run_id=context.run,
        source=context.source.name,
        mode=context.options.mode,
        status=status,
        started_at=context.started_at,
        finished_at=context.clock(),
        endpoints=endpoints,
        source_version=(plan.facts if plan else context.facts).get("token", {}).get("value"),
        note=KEYLESS if client.keyless else None,
        **traffic,
    )


def _both(note: str | None, other: str | None) -> str | None:
    return "; ".join(text for text in (note, other) if text) or None


def ended(
    context: Context,
    client: Client,
    status: str,
    note: str | None = None,
    said: Mapping[str, Mapping[str, Any]] | None = None,
) -> Report:
    """A run that ends without a commit leaves only its manifest."""
    found = {name: (said or {}).get(name, {}) for name in context.target.endpoints}
    endpoints = {
        name: EndpointReport(absent=bool(facts.get("absent")), notes=list(facts.get("notes", [])))
        for name, facts in found.items()
    }
    report = _report(context, client, status, endpoints)
    report.note = _both(note, report.note)
    context.lake.runs.save_manifest(report.to_dict() | {"committed": False, "holds": {}})
    return report


def record_failure(context: Context, client: Client, error: BaseException) -> None:
    """Leave a trace of a run that failed, if the lake can still take one."""
    status, note = "failed", str(error) or type(error).__name__
    if isinstance(error, GuardTripped):
        status = "aborted"
    elif not isinstance(error, Exception):
        status, note = "interrupted", "the next run with the same options continues with what is finished"
    try:
        ended(context, client, status, note)
    except TrawlError:
        context.progress.warn("not even the note that this run failed can be written to the lake")
