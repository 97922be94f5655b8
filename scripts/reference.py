"""Write docs/reference: what the code itself knows about its commands, files, views, events and variables.

`make reference` writes the pages; a test holds that they are up to date.
"""

import ast
import asyncio
import inspect
import json
import os
import re
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import yaml
from deltalake import DeltaTable
from pydantic import BaseModel, TypeAdapter

import trawl
from trawl.cli.app import app, load_commands
from trawl.crawl import CrawlOptions, EndpointReport, Report, crawl
from trawl.model.config import SourceConfig
from trawl.orchestration import events
from trawl.orchestration.setup.settings import Settings
from trawl.replica import GeneratedCatalogue, ReplicaApp, running
from trawl.sources import get_crawler

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "reference"
MARK = "<!-- Written by scripts/reference.py (`make reference`) from the code: edit that, not this page. -->\n"
VIEWS = ("records", "versions", "changes", "runs", "quarantine")

EXIT_CODES = """
## Exit codes

| code | when |
|---|---|
| 0 | done. Endpoints whose changes are held, or whose list could not be read this time, are named |
| 1 | failed: a list never read, or not in three runs in a row; too many errors; the lake cannot be written; another run writes |
| 2 | wrong usage or configuration, or the host cannot be reached |
| 130, 143 | interrupted (Ctrl-C, SIGTERM) |
"""

VARIABLES = {
    "TRAWL_LAKE": "The lake, where no `--lake` is given: a folder or `s3://bucket/prefix`. Else `./lake`.",
    "TRAWL_SOURCE_<NAME>_BASE_URL": "The address of a source (`TRAWL_SOURCE_POKEAPI_BASE_URL`); `--base-url` comes before it.",
    "TRAWL_SETUP": "The set-up file of `trawl setup` and `trawl serve`, where no `--config` is given.",
    "TRAWL_BACKUP": "Where `trawl backup` and `trawl restore` find the backups, where no `--to` or `--from` is given.",
    "TRAWL_BACKUP_AWS_ACCESS_KEY_ID": "The backups' own store, where it is not the lake's: its key.",
    "TRAWL_BACKUP_AWS_SECRET_ACCESS_KEY": "Its secret key.",
    "TRAWL_BACKUP_AWS_ENDPOINT_URL": "Its address, where it is not Amazon's own.",
    "TRAWL_BACKUP_AWS_REGION": "Its region.",
    "TRAWL_DEBUG": "With `1` an internal error of Trawl shows its traceback.",
    "TRAWL_REVISION": "In the image: the commit that it was built from. Deployments carry it as their version.",
    "TRAWL_SECRET_LABELS": "In the chart's hook: the labels of the Secrets that it makes.",
}
FOREIGN = {
    "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION": "Access to a lake on S3.",
    "AWS_ENDPOINT_URL, AWS_ALLOW_HTTP": "A server other than Amazon's; `AWS_ALLOW_HTTP=true` where it has no TLS.",
    "http_proxy, https_proxy, all_proxy, no_proxy": "The way to the API. Capitals mean the same.",
    "NO_COLOR": "No colour in the output.",
    "PREFECT_API_URL": "The Prefect server of `trawl setup` and `trawl serve`; every other variable of Prefect's holds as well.",
    "PREFECT_HOME": "Where `trawl serve` keeps Prefect's database; else `~/.trawl/prefect`.",
}


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")


def pages() -> dict[str, str]:
    """Every page of the reference, by its file's name."""
    made = {
        "cli.md": cli(),
        "source-file.md": source_file(),
        "setup-file.md": setup_file(),
        "chart-values.md": chart_values(),
        "lake.md": lake(),
        "events.md": emitted(),
        "environment.md": environment(),
    }
    return {name: f"{MARK}\n{text.strip()}\n" for name, text in made.items()}


# -- commands ------------------------------------------------------------------


def cli() -> str:
    load_commands()
    with mock.patch.object(sys, "argv", ["trawl"]):  # of a group's commands, Cyclopts writes how Python was started
        text: str = app.generate_docs(output_format="markdown", recursive=True)
    contents = re.compile(r"## Table of Contents\n.*?(?=\*\*Crawl\*\*)", re.DOTALL)
    text = contents.sub(f"{EXIT_CODES.strip()}\n\n## Commands\n\n", text)
    text = text.replace(
        "# trawl\n", "# Commands\n\n[The command line](../cli.md) shows each command with its output.\n", 1
    )
    return re.sub(r"\n{3,}", "\n\n", text)


# -- files, from their pydantic models -----------------------------------------


def source_file() -> str:
    return _page(
        SourceConfig,
        "# The source file\n\nEvery key that a source's YAML file may have. [Describing a source](../sources.md) says what each "
        "means, with examples. The same as a JSON schema: `trawl.model.config.SourceConfig.model_json_schema()`.",
    )


def setup_file() -> str:
    return _page(
        Settings,
        "# The set-up file\n\nEvery key of the file that `trawl setup --config` reads. [trawl setup](../setup.md) says what each "
        "does, with examples.",
    )


def _page(model: type[BaseModel], opening: str) -> str:
    schema = model.model_json_schema()
    parts, waiting, seen = [opening], [(model.__name__, schema)], {model.__name__}
    classes = {found.__name__: found for found in _classes(sys.modules[model.__module__], model)}
    while waiting:
        name, section = waiting.pop(0)
        said = classes.get(name)
        texts = _attribute_texts(said) if said else {}
        required = section.get("required", ())
        rows = []
        for key, value in section.get("properties", {}).items():
            default = "required" if key in required else _default(said, key)
            rows.append(
                f"| `{key}` | {_type(value)} | {default} | {_cell(value.get('description') or texts.get(key, ''))} |"
            )
            for found in _references(value):
                if found not in seen and "properties" in schema["$defs"][found]:
                    seen.add(found)
                    waiting.append((found, schema["$defs"][found]))
        about = inspect.cleandoc(section.get("description", "")).partition("\n\nAttributes:")[0]
        parts.append(f"## {name}\n\n{about}\n\n| key | type | default | |\n|---|---|---|---|\n" + "\n".join(rows))
    return "\n\n".join(parts)


def _classes(module: Any, model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for each in (module, sys.modules["trawl.orchestration.setup.schedules"], sys.modules["trawl.model.contract"]):
        yield from (found for found in vars(each).values() if inspect.isclass(found) and issubclass(found, BaseModel))
    yield model


def _attribute_texts(model: type[BaseModel]) -> dict[str, str]:
    """What stands below an attribute, as its docstring."""
    texts: dict[str, str] = {}
    for each in reversed(model.__mro__):
        if issubclass(each, BaseModel) and each is not BaseModel:
            texts |= dict(re.findall(r"^ +(\w+): (.+)$", each.__doc__ or "", re.MULTILINE))
            body = ast.parse(textwrap.dedent(inspect.getsource(each))).body[0]
            assert isinstance(body, ast.ClassDef)
            for field, text in zip(body.body, body.body[1:], strict=False):
                match field, text:
                    case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(said))):
                        texts[name] = inspect.cleandoc(said)
    return texts


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if "$ref" in value:
            yield value["$ref"].rpartition("/")[2]
        for key, inner in value.items():
            if key != "discriminator":
                yield from _references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _references(inner)


def _type(value: dict[str, Any]) -> str:
    """A type of JSON schema, in a few words."""
    if "$ref" in value:
        name = value["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    for several in ("anyOf", "oneOf"):
        if several in value:
            return " or ".join(dict.fromkeys(_type(inner) for inner in value[several]))
    if "const" in value:
        return _shown(value["const"])
    if "enum" in value:
        return ", ".join(_shown(each) for each in value["enum"])
    match value.get("type"):
        case "string":
            kind = "duration" if value.get("format") == "duration" else "text"
            return f"{kind}, as `{_cell(value['pattern'])}`" if len(value.get("pattern", "")) in range(1, 60) else kind
        case "integer" | "number" as kind:
            low, high = (f"{value[bound]:.9g}" if bound in value else "" for bound in ("minimum", "maximum"))
            return f"{kind}, {low} to {high}" if high else f"{kind}, at least {low}" if low else kind
        case "array":
            return f"list of {_type(value.get('items', {}))}"
        case "object":
            inner = value.get("additionalProperties")
            return f"mapping to {_type(inner)}" if isinstance(inner, dict) and inner else "mapping"
        case "boolean":
            return "`true`, `false`"
        case "null":
            return "`null`"
        case list() as kinds:
            return " or ".join(_type({"type": kind}) for kind in kinds)
    return "any"


def _default(model: type[BaseModel] | None, key: str) -> str:
    found = model.model_fields[key].get_default(call_default_factory=True) if model else None
    default = TypeAdapter(Any).dump_python(found, mode="json", exclude_defaults=True)
    if isinstance(found, BaseModel):
        return "its own"
    if isinstance(found, timedelta):
        return f"`{_duration(found)}`"
    return _shown(default)


def _shown(value: object) -> str:
    text = json.dumps(value)
    return {"null": "none", '""': "empty", "{}": "none", "[]": "none"}.get(text, "`" + _cell(text.strip('"')) + "`")


def _duration(value: timedelta) -> str:
    seconds = int(value.total_seconds())
    unit, size = next((u, s) for u, s in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)) if seconds % s == 0)
    return f"{seconds // size}{unit}"


def _cell(text: object) -> str:
    return " ".join(str(text).split()).replace("|", "\\|")


# -- the chart -----------------------------------------------------------------


def chart_values() -> str:
    chart = ROOT / "helm" / "trawl"
    schema = json.loads((chart / "values.schema.json").read_text(encoding="utf-8"))
    values = yaml.safe_load((chart / "values.yaml").read_text(encoding="utf-8"))
    rows = "\n".join(_values(schema, schema, values, ""))
    return (
        "# The chart's values\n\nFrom `values.schema.json`, with the defaults of `values.yaml`. Helm refuses a value that does not "
        "fit, and names it. [Trawl on Kubernetes](../cluster.md) says what to set for what.\n\n"
        f"| value | type | default | |\n|---|---|---|---|\n{rows}"
    )


def _values(schema: dict[str, Any], node: dict[str, Any], values: Any, path: str) -> Iterator[str]:
    for name, inner in node.get("properties", {}).items():
        if name == "global":
            continue
        found = schema["$defs"][inner["$ref"].rpartition("/")[2]] | inner if "$ref" in inner else inner
        value = values.get(name) if isinstance(values, dict) else None
        free = found.get("additionalProperties")
        if found.get("properties"):
            yield f"| `{path}{name}` | | | {_cell(found.get('description', ''))} |"
            yield from _values(schema, found, value, f"{path}{name}.")
        elif isinstance(free, dict) and free.get("properties"):
            yield f"| `{path}{name}` | mapping | | {_cell(found.get('description', ''))} |"
            some = next(iter(value.values())) if isinstance(value, dict) and value else None
            yield from _values(schema, free, some, f"{path}{name}.<name>.")
        else:
            kind = _type({key: held for key, held in found.items() if key not in {"$ref", "pattern"}})
            yield f"| `{path}{name}` | {kind} | {_shown(value)} | {_cell(found.get('description', ''))} |"


# -- the lake ------------------------------------------------------------------


def lake() -> str:
    """Its views and its table, as a lake that has just been made has them."""
    with tempfile.TemporaryDirectory() as folder, running(ReplicaApp(GeneratedCatalogue(60))) as url:
        options = CrawlOptions(base_url=url, rate="unlimited", endpoints=("pokemon",))
        made = trawl.open(folder)
        asyncio.run(crawl(get_crawler("pokeapi"), made, options))
        views = {view: made.query(f"DESCRIBE pokeapi.{view}").to_arrow().to_pylist() for view in VIEWS}
        log = DeltaTable(f"{folder}/pokeapi/log")
        metadata, fields, version = log.metadata(), log.schema().fields, log.protocol().min_reader_version
    opening = "Read from a lake that the engine has just made. [The lake](../lake.md) says what each column means."
    parts = [f"# The lake's views and tables\n\n{opening}"]
    for view, columns in views.items():
        rows = "\n".join(f"| `{column['column_name']}` | {column['column_type']} |" for column in columns)
        parts.append(f"## `<source>.{view}`\n\n| column | type |\n|---|---|\n{rows}")
    rows = "\n".join(
        f"| `{field.name}` | {field.type.type if hasattr(field.type, 'type') else field.type} |" for field in fields
    )
    partitions = ", ".join(f"`{column}`" for column in metadata.partition_columns)
    properties = ", ".join(f"`{name}` = `{value}`" for name, value in sorted(metadata.configuration.items()))
    parts.append(
        f"## The Delta table `<source>/log`\n\nPartitioned by {partitions}; Delta's reader version is {version}. "
        f"Properties: {properties}.\n\n| column | type |\n|---|---|\n{rows}"
    )
    return "\n\n".join(parts)


# -- events and variables ------------------------------------------------------


def emitted() -> str:
    """The events, as the code emits them for a run with one of everything."""
    counts = EndpointReport(listed=4, new=1, changed=1, gone=1, revived=1, due=4)
    now, run = datetime.now(UTC), "20261125T121258386-ae9c82"
    report = Report(run, "pokeapi", "refresh", "done", now, now, {"machine": counts})
    seen: list[dict[str, Any]] = []
    with mock.patch.object(events, "emit_event", lambda event, **fields: seen.append({"event": event, **fields})):
        events.emit_due(report)
        events.emit_changes(report)
    opening = (
        "# Events\n\nWhat the flows tell Prefect, for automations and for programs outside: counts and the run's id, never keys. "
        "[The flows](../flows.md) says when; below is each as it is emitted, for a run in which one record of everything was found."
    )
    told = (f"## `{event.pop('event')}`\n\n```json\n{json.dumps(event, indent=2)}\n```" for event in seen)
    return "\n\n".join([opening, *told])


def environment() -> str:
    used = {found for file in _code() for found in re.findall(r"TRAWL_[A-Z_]*[A-Z]", file.read_text(encoding="utf-8"))}
    described = {name.partition("_<")[0] for name in VARIABLES}
    if lost := {name for name in used if not name.startswith("TRAWL_SOURCE")} ^ (described - {"TRAWL_SOURCE"}):
        raise SystemExit(f"scripts/reference.py: VARIABLES and the code disagree about {', '.join(sorted(lost))}")
    rows = [f"| `{name}` | {text} |" for name, text in VARIABLES.items()]
    rest = [f"| {', '.join(f'`{each}`' for each in names.split(', '))} | {text} |" for names, text in FOREIGN.items()]
    return (
        "# Environment variables\n\n| Trawl's own | |\n|---|---|\n" + "\n".join(rows) + "\n\n"
        "The secrets of a source are in variables that its [`credentials`](../sources.md#credentials) name.\n\n"
        "| others that Trawl heeds | |\n|---|---|\n" + "\n".join(rest)
    )


def _code() -> Iterator[Path]:
    yield from (ROOT / "src").rglob("*.py")
    yield from (file for file in (ROOT / "helm" / "trawl" / "templates").rglob("*") if file.is_file())
    yield ROOT / "Dockerfile"


if __name__ == "__main__":
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "ERROR")
    main()
