"""What an operator sees of a run in Prefect's UI. Pure: texts, rows and a picture, from reports and manifests."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from html import escape
from typing import Any

from trawl.crawl import Report
from trawl.model.config import SourceConfig
from trawl.model.keys import fields_of, fill

COLUMNS = ("listed", "due", "new", "changed", "unchanged", "missing", "gone", "revived", "quarantined", "failed")
RUNS_SHOWN = 30
_COLOURS = {"done": "#2a9d57", "no change": "#9fb8a8", "held": "#c98a1b", "degraded": "#c98a1b"}
_FAILED = "#c0392b"
_BAR, _HEIGHT, _FLOOR = 18, 120, 3


def summary(report: Report, decide: str | None = None) -> str:
    """A run in Markdown: what it came to, what waits for a decision (`decide`: where to make it), what it says."""
    lines = [
        f"**{report.source}: {report.status}**",
        "",
        (
            f"{report.total('new'):,} new, {report.total('changed'):,} changed, {report.total('gone'):,} gone, "
            f"{report.total('quarantined'):,} set aside, {report.total('failed'):,} failed; "
            f"{report.requests:,} requests ({report.not_modified:,} not modified, {report.retries:,} retries), "
            f"{report.bytes / 1e6:,.1f} MB in {report.duration_s:,.1f} s"
        ),
        "",
        f"Run `{report.run_id}`" + (f" of version `{report.source_version}`" if report.source_version else ""),
    ]
    if report.note:
        lines += ["", f"> {_cell(report.note)}"]
    if report.held:
        door = f"[Accept or reject them]({decide})" if decide else "Accept or reject them with the flow `decide`"
        lines += ["", f"**Held: {', '.join(report.held)}.** {door}; until then the previous records stay."]
    notes = [f"- {name}: {_cell(note)}" for name, counts in report.endpoints.items() for note in counts.notes]
    if notes:
        lines += ["", *notes]
    return "\n".join(lines)


def endpoint_rows(report: Report) -> list[dict[str, Any]]:
    """A row for each endpoint: its counts, and what it says."""
    return [
        {"endpoint": name}
        | {column: getattr(counts, column) for column in COLUMNS}
        | {"state": "held" if counts.held else "absent" if counts.absent else "not read" if counts.unread else "ok"}
        for name, counts in sorted(report.endpoints.items())
    ]


def change_table(rows: Iterable[Mapping[str, Any]], source: SourceConfig) -> str:
    """The changes of a run in Markdown, each record with a link to where the API has it."""
    lines = ["| what | endpoint | record | version |", "|---|---|---|---:|"]
    for row in rows:
        name, url = _cell(row["label"] or row["key"]), address_of(source, row["endpoint"], row["key"], row["label"])
        record = f"[{name}](<{url}>)" if url else name
        lines.append(f"| {row['change']} | {_cell(row['endpoint'])} | {record} | {row['version'] or ''} |")
    return "\n".join(lines)


def address_of(source: SourceConfig, endpoint: str, key: str, label: str | None) -> str | None:
    """Where the API has a record, as far as its key and label tell; None otherwise."""
    config = source.endpoints.get(endpoint)
    if config is None or config.detail is None:
        return None
    if any(field.startswith(("parent.", "item.")) for field in fields_of(config.detail.path)):
        return None
    path = fill(config.detail.path, endpoint=endpoint, key=key, label=label)
    return path if "://" in path else f"{source.base_url.rstrip('/')}/{path.lstrip('/')}"


def picture(manifests: Sequence[Mapping[str, Any]]) -> str:
    """The last runs as a bar chart, oldest first: how long each took, coloured by its status. A `data:` URL of an SVG."""
    runs = list(reversed(manifests))[-RUNS_SHOWN:]
    longest = max([float(run.get("duration_s") or 0) for run in runs], default=0) or 1
    bars = []
    for place, run in enumerate(runs):
        seconds, status = float(run.get("duration_s") or 0), str(run.get("status"))
        height = max(_FLOOR, round(_HEIGHT * seconds / longest))
        title = f"{run.get('run_id')}: {run.get('mode')}, {status}, {seconds:,.1f} s, {_news(run):,} new or changed"
        bars.append(
            f'<rect x="{4 + place * _BAR}" y="{24 + _HEIGHT - height}" width="{_BAR - 4}" height="{height}" '
            f'fill="{_COLOURS.get(status, _FAILED)}"><title>{escape(title)}</title></rect>'
        )
    width = 8 + _BAR * max(len(runs), 12)
    label = f"{len(runs)} runs, the longest {longest:,.1f} s" if runs else "no runs yet"
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{_HEIGHT + 32}" '
        f'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="#ffffff"/>'
        f'<text x="4" y="15" fill="#333333">{escape(label)}</text>{"".join(bars)}</svg>'
    )
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()


def described(mode: str, source: str, at: datetime) -> str:
    """The line above an artifact."""
    return f"The {mode} of {source} that ended at {at:%Y-%m-%d %H:%M:%S} UTC"


def _news(run: Mapping[str, Any]) -> int:
    return sum(counts.get("new", 0) + counts.get("changed", 0) for counts in run.get("endpoints", {}).values())


def _cell(text: object) -> str:
    """A text from data, in one line and without what Markdown would take for more than text."""
    plain = "".join(char if char.isprintable() else " " for char in str(text))
    for char in "\\`*_[]<>|":
        plain = plain.replace(char, f"\\{char}")
    return plain
