"""Deciding on what a guard held: its files are committed as they are, or dropped for good."""

from collections import Counter
from typing import Any

from trawl.lake import LogFile, SourceLake
from trawl.lake.runs.lease import Lease
from trawl.model.errors import ConfigurationError

from .planning import Context
from .report import EndpointReport, Report


def pending_holds(source: SourceLake) -> dict[str, dict[str, Any]]:
    """By endpoint, the newest news that wait for a decision: `reason`, `files`, `run_id`, `counts`."""
    committed = source.committed_runs(source.log.snapshot())
    manifests = [
        manifest for manifest in source.runs.manifests() if not manifest["committed"] or manifest["run_id"] in committed
    ]
    # By their ends: a run that went on with an older plan has the older run's id.
    manifests.sort(key=lambda manifest: str(manifest.get("finished_at", "")), reverse=True)
    found: dict[str, dict[str, Any]] = {}
    decided: set[str] = set()
    for manifest in manifests:
        through = manifest["committed"] or manifest["status"] in {"done", "held"}
        if not through or manifest.get("mode") == "replay":
            continue
        for name, counts in manifest["endpoints"].items():
            if name in decided:
                continue
            decided.add(name)
            if name in manifest["holds"]:
                found[name] = manifest["holds"][name] | {"run_id": manifest["run_id"], "counts": counts}
    return found


def decide(context: Context, lease: Lease) -> Report | None:
    """Carry out `--accept` and `--reject` where news wait; None where the run is to go on and crawl.

    Accepting an endpoint with nothing held only takes its guards away for this run; rejecting one is a mistake.
    """
    options = context.options
    if not options.accept and not options.reject:
        return None
    waiting = pending_holds(context.lake)
    for name in options.reject:
        if name not in waiting:
            raise ConfigurationError(
                f"--reject {name}: nothing is held for it", remedy=f"held: {', '.join(waiting) or 'nothing'}"
            )
    accepted = [name for name in options.accept if name in waiting]
    if not accepted and not options.reject:
        return None
    endpoints: dict[str, EndpointReport] = {}
    files: list[LogFile] = []
    for name in accepted:
        hold = waiting[name]
        own = [LogFile(**file) for file in hold["files"]]
        _check_base(context, name, own, hold)
        files += own
        counts = Counter(context.lake.held_ops(own))
        endpoints[name] = EndpointReport(
            listed=hold["counts"].get("listed", 0) - counts["missing"] + counts["listed"],
            missing=counts["missing"],
            changed=hold["counts"].get("changed", 0),
            notes=[f"accepted what run {hold['run_id']} held: {hold['reason']}"],
        )
    for name in options.reject:
        endpoints[name] = EndpointReport(
            listed=waiting[name]["counts"].get("listed", 0),
            notes=[f"rejected what run {waiting[name]['run_id']} held: {waiting[name]['reason']}"],
        )
    report = Report(
        context.run, context.source.name, options.mode, "done", context.started_at, context.clock(), endpoints
    )
    manifest = report.to_dict() | {"committed": bool(files), "holds": {}}
    context.lake.runs.save_manifest(manifest)
    if files:
        writer = context.lake.log.writer(context.run, "run")
        context.lake.write_run(writer, context.base, context.run, context.clock(), context.facts)
        lease.check()
        context.lake.log.commit(context.base, context.run, [*files, *writer.close()])
    return report


def _check_base(context: Context, name: str, files: list[LogFile], hold: dict[str, Any]) -> None:
    """What was held was decided against the rows of then: with newer rows it would be a regression."""
    if context.lake.overtaken(context.base, files):
        raise ConfigurationError(
            f"--accept {name}: the endpoint has been crawled since run {hold['run_id']} held its changes",
            remedy=f"--reject {name} drops them; a new run then decides on what the API says now",
        )
