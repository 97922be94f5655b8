"""The reading of a source's description: every error names file, path, value, and what would be right."""

from difflib import get_close_matches
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import yaml
from pydantic import ValidationError

from trawl.model.config import SourceConfig
from trawl.model.errors import ConfigurationError

_DESCRIBED = "docs/sources.md describes every key"


def read_source(path: Path) -> SourceConfig:
    """A source from a YAML file. Raises ConfigurationError where it cannot be read, or as `parse_source` does."""
    try:
        content = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:  # no text, or no path at all
        reason = getattr(error, "strerror", None) or error
        raise ConfigurationError(f"cannot read the source file {path}: {reason}", remedy="check its path") from None
    return parse_source(content, str(path))


def parse_source(content: str, origin: str) -> SourceConfig:
    """A source from YAML text; `origin` is how errors call it.

    Raises ConfigurationError, which names the origin, the path in it, the value, and what would be right.
    """
    try:
        data = yaml.load(content, Loader=_Loader)  # noqa: S506  (a SafeLoader)
    except (yaml.YAMLError, RecursionError) as error:
        reason = "nested too deep" if isinstance(error, RecursionError) else " ".join(str(error).split())
        raise ConfigurationError(f"{origin}: not YAML: {reason}", remedy=_DESCRIBED) from None
    if not isinstance(data, dict):
        raise ConfigurationError(
            f"{origin}: a source is a mapping with name, base_url and endpoints", remedy=_DESCRIBED
        )
    try:
        return SourceConfig.model_validate(data)
    except ValidationError as error:
        raise ConfigurationError(_explain(error, origin), remedy=_DESCRIBED) from None


class _Loader(yaml.SafeLoader):
    """Refuses a key that stands twice: YAML would quietly take the last."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if (key.tag, key.value) in seen:
                raise yaml.composer.ComposerError(None, None, f"the key {key.value!r} stands twice", key.start_mark)
            seen.add((key.tag, key.value))
        return node


def _explain(error: ValidationError, origin: str) -> str:
    """One line per fault: file, path, what is wrong, and the value, unless it may be a secret."""
    faults = error.errors()
    inherited = {fault["loc"][1:] for fault in faults if fault["loc"][:1] == ("defaults",)}
    lines: dict[str, None] = {}
    for fault in faults:
        loc = fault["loc"]
        if loc[:1] == ("endpoints",) and loc[2:] in inherited and len(loc) > 2:
            continue  # said once, where it was written
        message = _message(fault)
        value = repr(fault["input"])
        told = fault["type"] in {"missing", "extra_forbidden"} or isinstance(fault["input"], dict | list)
        if told or value in message or _HIDDEN.intersection(loc) or "://" in value:
            lines[f"{origin}: {_path(loc) or 'the source'}: {message}"] = None
        else:
            lines[f"{origin}: {_path(loc)}: {message} (it is {value[:80]})"] = None
    return "\n".join(lines)


# What stands there may be a secret that somebody wrote in the wrong place.
_HIDDEN = frozenset({"credentials", "headers", "params"})

_MESSAGES = {
    "missing": "is missing",
    "model_type": "should be a mapping",
    "dict_type": "should be a mapping",
    "too_short": "names none; write at least one, for example `endpoints: {users: {}}`",
    "string_pattern_mismatch": "is a name of lower-case letters, digits and '_', beginning with a letter",
    "union_tag_invalid": "has an unknown `kind`; there are none, offset, page, cursor and link",
    "union_tag_not_found": "needs a `kind`: none, offset, page, cursor or link",
}


def _message(fault: Any) -> str:
    if fault["type"] == "extra_forbidden":
        return f"unknown key{_near(fault['loc'])}"
    text = _MESSAGES.get(fault["type"]) or fault["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return text.replace("a valid tuple", "a list").replace("a valid ", "a ").replace("a integer", "an integer")


def _path(loc: tuple[int | str, ...]) -> str:
    """The path as its writer knows it: pydantic puts the kind of a pagination into it, and `[key]`."""
    return ".".join(
        str(part)
        for index, part in enumerate(loc)
        if loc[max(0, index - 2) : index] != ("list", "pagination") and part != "[key]"
    )


def _near(loc: tuple[int | str, ...]) -> str:
    """The known keys beside a misspelled one."""
    annotation: Any = SourceConfig
    for part in loc[:-1]:
        annotation = _inside(annotation, part)
    known = [name for option in _options(annotation) for name in getattr(option, "model_fields", ())]
    near = get_close_matches(str(loc[-1]), known, n=1)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; known here: {', '.join(known)}" if known else ""


def _inside(annotation: Any, part: int | str) -> Any:
    """The annotation one step further down: a model's field, a mapping's value, or the kind of a union."""
    options = _options(annotation)
    for option in options:
        kind = getattr(option, "model_fields", {}).get("kind")
        if len(options) > 1 and kind is not None and part in get_args(kind.annotation):
            return option
    for option in options:
        if part in getattr(option, "model_fields", {}):
            return option.model_fields[part].annotation
        if get_origin(option) is dict:
            return get_args(option)[1]
    return None


def _options(annotation: Any) -> list[Any]:
    """The members of a union without None, else the annotation itself."""
    if get_origin(annotation) is Annotated:
        return _options(get_args(annotation)[0])
    if get_origin(annotation) in {Union, UnionType}:
        return [found for part in get_args(annotation) if part is not type(None) for found in _options(part)]
    return [annotation]
