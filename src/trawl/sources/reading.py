"""The reading of a source's description: every error names file, path, value, and what would be right."""

import re
from collections.abc import Iterator
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError

from trawl.model.config import SourceConfig
from trawl.model.errors import ConfigurationError

from .document import inside, options, read_yaml

_DESCRIBED = "docs/sources.md describes every key"
_VARIABLE = re.compile(r"\$\{([A-Za-z_]\w*)")

Model = TypeVar("Model", bound=BaseModel)


def read_source(path: Path) -> SourceConfig:
    """A source from a YAML file. Raises ConfigurationError where it cannot be read, or as `parse_source` does."""
    return parse_source(read_text(path, "the source file"), str(path))


@lru_cache(maxsize=16)  # it takes 15 ms of CPU, and a process that serves many runs is given the same text each time
def parse_source(content: str, origin: str) -> SourceConfig:
    """A source from YAML text; `origin` is how errors call it.

    Raises ConfigurationError, which names the origin, the path in it, the value, and what would be right.
    """
    data = parse(content, origin, SourceConfig, _DESCRIBED)
    if not isinstance(data, dict):
        raise ConfigurationError(
            f"{origin}: a source is a mapping with name, base_url and endpoints", remedy=_DESCRIBED
        )
    _refuse_variables(data, origin)
    return checked(data, origin, SourceConfig, _DESCRIBED)


def read_text(path: Path, what: str) -> str:
    """A file's text. Raises ConfigurationError where there is none."""
    try:
        if path.is_file() or not path.exists():
            return path.read_text(encoding="utf-8")
        reason: object = "it is not a file"  # but a device or a pipe, say, which might never end
    except (OSError, ValueError) as error:  # no text, or no path at all
        reason = getattr(error, "strerror", None) or error
    raise ConfigurationError(f"cannot read {what} {path}: {reason}", remedy="check its path")


def parse(content: str, origin: str, model: type[BaseModel], remedy: str) -> Any:
    """What YAML text holds, read as the model wants it. Raises ConfigurationError where it is no YAML."""
    try:
        return read_yaml(content, model)
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # PyYAML's own slips are ValueErrors
        reason = "nested too deep" if isinstance(error, RecursionError) else " ".join(str(error).split())
        raise ConfigurationError(f"{origin}: not YAML: {reason}", remedy=remedy) from None


def checked(data: Any, origin: str, model: type[Model], remedy: str) -> Model:
    """The model of these data. Raises ConfigurationError with a line for every fault."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise ConfigurationError(_explain(error, origin, model), remedy=remedy) from None
    except RecursionError:
        raise ConfigurationError(f"{origin}: nested too deep", remedy=remedy) from None


def _refuse_variables(data: dict[str, Any], origin: str) -> None:
    """A shell's `${VAR}` is nothing here: it would go out as it stands, in place of the secret that was meant."""
    found = {".".join(path): name for path, name in _variables(data, set())}
    if found:
        source, variable = str(data.get("name") or "NAME").upper(), next(iter(found.values()))
        raise ConfigurationError(
            "\n".join(f"{origin}: {path}: ${{{name}}} would be sent literally" for path, name in found.items()),
            remedy="a source file has no variables. A secret is read from one by "
            f"`credentials: {{env: {variable}}}`; another address comes from TRAWL_SOURCE_{source}_BASE_URL or --base-url",
        )


def _variables(value: Any, seen: set[int], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Where a variable stands, and its name. What is anchored and repeated is looked at once."""
    if isinstance(value, str):
        if variable := _VARIABLE.search(value):
            yield path, variable[1]
    elif isinstance(value, dict | list) and id(value) not in seen:
        seen.add(id(value))
        for part, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _variables(inner, seen, (*path, str(part)))


def _explain(error: ValidationError, origin: str, model: type[BaseModel]) -> str:
    """One line per fault: file, path, what is wrong, and the value, unless it may be a secret."""
    faults = error.errors()
    inherited = {fault["loc"][1:] for fault in faults if fault["loc"][:1] == ("defaults",)}
    lines: dict[str, None] = {}
    for fault in faults:
        loc = fault["loc"]
        if loc[:1] == ("endpoints",) and loc[2:] in inherited and len(loc) > 2:
            continue  # said once, where it was written
        message = _message(fault, model)
        value = repr(fault["input"])
        told = fault["type"] in {"missing", "extra_forbidden"} or isinstance(fault["input"], dict | list)
        if not (told or value in message or _HIDDEN.intersection(loc) or "://" in value):
            message += f" (it is {value[:80]})"
        lines[": ".join(part for part in (origin, _path(loc), message) if part)] = None
    return "\n".join(lines)


# What stands there may be a secret that somebody wrote in the wrong place.
_HIDDEN = frozenset({"credentials", "headers", "params"})

_MESSAGES = {
    "missing": "is missing",
    "model_type": "should be a mapping",
    "dict_type": "should be a mapping",
    "model_attributes_type": "should be a mapping with a `kind`: none, offset, page, cursor or link",
    "too_short": "has none; write at least one, for example `endpoints: {users: {}}`",
    "string_pattern_mismatch": "is a name of lower-case letters, digits and '_', beginning with a letter",
    "union_tag_invalid": "has an unknown `kind`; there are none, offset, page, cursor and link",
    "union_tag_not_found": "needs a `kind`: none, offset, page, cursor or link",
}


def _message(fault: Any, model: type[BaseModel]) -> str:
    if fault["type"] == "extra_forbidden":
        return f"unknown key{_near(fault['loc'], model)}"
    text = _MESSAGES.get(fault["type"]) or fault["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return text.replace("a valid tuple", "a list").replace("a valid ", "a ").replace("a integer", "an integer")


def _path(loc: tuple[int | str, ...]) -> str:
    """The path as its writer knows it: pydantic puts the kind of a pagination into it, and `[key]`."""
    return ".".join(
        str(part)
        for index, part in enumerate(loc)
        if loc[max(0, index - 2) : index] != ("list", "pagination") and part != "[key]"
    )


def _near(loc: tuple[int | str, ...], model: type[BaseModel]) -> str:
    """The known keys beside a misspelled one."""
    annotation: Any = model
    for part in loc[:-1]:
        annotation = _of_kind(annotation, part) or inside(annotation, part)
    known = [name for option in options(annotation) for name in getattr(option, "model_fields", ())]
    near = get_close_matches(str(loc[-1]), known, n=1)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; known here: {', '.join(known)}" if known else ""


def _of_kind(annotation: Any, part: int | str) -> Any:
    """The member of a union that pydantic's path names by its kind."""
    found = options(annotation)
    for option in found if len(found) > 1 else ():
        kind = getattr(option, "model_fields", {}).get("kind")
        if kind is not None and part in get_args(kind.annotation):
            return option
    return None
