"""The sources that are known by name, and the reading of source files."""

import os
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from trawl.model.config import SourceConfig
from trawl.model.errors import ConfigurationError


def source_names() -> list[str]:
    """The sources that ship with Trawl."""
    return sorted(item.name.removesuffix(".yaml") for item in files(__package__).iterdir() if item.name.endswith(".yaml"))


def load_source(name: str | os.PathLike[str]) -> SourceConfig:
    """A source by its registered name, or from a YAML file.

    Raises ConfigurationError, which names the file, the path in it, the value, and what would be right.
    """
    text = os.fspath(name)
    if text in source_names():
        return parse_source(files(__package__).joinpath(f"{text}.yaml").read_text(encoding="utf-8"), f"{text}.yaml")
    path = Path(text)
    if path.suffix not in {".yaml", ".yml"} and not path.is_file():
        near = get_close_matches(text, source_names(), n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise ConfigurationError(
            f"unknown source {text!r}", remedy=f"{hint}known are: {', '.join(source_names())}; or name a YAML file"
        )
    try:
        content = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"cannot read the source file {text}: {error}", remedy="check its path") from None
    return parse_source(content, text)


def parse_source(content: str, origin: str) -> SourceConfig:
    """A source from YAML text; `origin` is how errors call it."""
    try:
        data = yaml.load(content, Loader=_Loader)  # noqa: S506  (a SafeLoader)
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{origin}: not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(data, dict):
        raise ConfigurationError(f"{origin}: a source is a mapping with name, base_url and endpoints")
    try:
        return SourceConfig.model_validate(data)
    except ValidationError as error:
        raise ConfigurationError(_explain(error, origin), remedy="docs/sources.md describes every key") from None


class _Loader(yaml.SafeLoader):
    """Refuses a key that stands twice: YAML would quietly take the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]  # type: ignore[no-untyped-call]
        for key in keys:
            if keys.count(key) > 1 and key != "<<":
                raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} stands twice", node.start_mark)
        return super().construct_mapping(node, deep)


def _explain(error: ValidationError, origin: str) -> str:
    lines: dict[str, None] = {}
    for fault in error.errors():
        path = ".".join(str(part) for part in fault["loc"] if part not in _UNION_TAGS)
        message = fault["msg"].removeprefix("Value error, ")
        if fault["type"] == "extra_forbidden":
            message = f"unknown key{_near(fault['loc'])}"
        elif fault["type"] == "missing":
            message = "is missing"
        value = "" if fault["type"] in {"missing", "extra_forbidden"} or isinstance(fault["input"], dict) else f" (it is {fault['input']!r})"
        lines[f"{origin}: {path or 'the source'}: {message}{value}"] = None
    return "\n".join(lines)


_UNION_TAGS = {"none", "offset", "page", "cursor", "link"}


def _near(loc: tuple[int | str, ...]) -> str:
    """The known keys beside a misspelled one."""
    model: Any = SourceConfig
    for part in loc[:-1]:
        fields = getattr(model, "model_fields", None)
        if fields is None:
            return ""
        if part in fields:
            model = _model_in(fields[part].annotation)
    known = list(getattr(model, "model_fields", {}))
    near = get_close_matches(str(loc[-1]), known, n=1)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; known here: {', '.join(known)}" if known else ""


def _model_in(annotation: Any) -> Any:
    """The pydantic model inside an annotation such as `dict[str, Model]` or `Model | None`."""
    if hasattr(annotation, "model_fields"):
        return annotation
    arguments = getattr(annotation, "__args__", ())
    return next((found for part in arguments if (found := _model_in(part)) is not None), None)
