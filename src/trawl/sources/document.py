"""YAML as its writer meant it: by the rules of YAML 1.2, and where a model wants text, what is written.

`zip: 012` is the text 012 where text is wanted, 12 where a number is, and never YAML 1.1's octal 10; `yes`, `12:30` and
`2026-01-01` are text everywhere.
"""

import re
from collections.abc import Callable
from types import UnionType
from typing import Annotated, Any, ClassVar, Union, get_args, get_origin

import yaml
from pydantic import BaseModel


def read_yaml(content: str, model: type[BaseModel]) -> Any:
    """The one document in a YAML text, not yet validated. Raises yaml.YAMLError or ValueError, and RecursionError where it is
    too deep.
    """
    loader = _Loader(content)
    try:
        node = loader.get_single_node()
        return None if node is None else loader.value_of(node, model)
    finally:
        loader.dispose()


def inside(annotation: Any, part: int | str) -> Any:
    """The annotation one step further down: a model's field, a mapping's value or a list's item."""
    for option in options(annotation):
        if part in getattr(option, "model_fields", {}):
            return option.model_fields[part].annotation
        origin: Any = get_origin(option)
        if origin is dict:
            return get_args(option)[1]
        if origin in {list, tuple} and isinstance(part, int):
            return get_args(option)[0]
    return None


def options(annotation: Any) -> list[Any]:
    """The members of a union without None, else the annotation itself."""
    origin: Any = get_origin(annotation)
    if origin is Annotated:
        return options(get_args(annotation)[0])
    if origin in {Union, UnionType}:
        return [found for part in get_args(annotation) if part is not type(None) for found in options(part)]
    return [annotation]


_TAG = "tag:yaml.org,2002:"
_MAPPING, _SEQUENCE, _TEXT, _MERGE = (_TAG + name for name in ("map", "seq", "str", "merge"))

# YAML 1.2's core schema, with the characters that such a scalar begins with; `<<` is 1.1's, and still in use.
_CORE = {
    "merge": ("<<", "<"),
    "null": ("~|null|Null|NULL|", ("~", "n", "N", "")),
    "bool": ("true|True|TRUE|false|False|FALSE", "tTfF"),
    "int": ("[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    "float": (
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        "-+.0123456789",
    ),
}
_MOST = 1_000_000
_BITS = 64
_WORDLESS = {_TAG + name for name in ("merge", "bool", "int", "float")}  # what is text where text is wanted


class _Loader(yaml.SafeLoader):
    """The core schema, and no other tags. Every key is text, and stands once: YAML would quietly take the last."""

    yaml_constructors: ClassVar[dict[str | None, Any]] = {}

    def __init__(self, content: str) -> None:
        super().__init__(content)
        self._values: dict[yaml.Node, int] = {}

    def compose_sequence_node(self, anchor: Any) -> yaml.SequenceNode:
        node = super().compose_sequence_node(anchor)
        self._count(node, node.value)
        return node

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        self._count(node, [value for _, value in node.value])
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.composer.ComposerError(None, None, "a key is a text", key.start_mark)
            if key.tag != _MERGE:
                key.tag = _TEXT
            if (key.tag, key.value) in seen:
                raise yaml.composer.ComposerError(None, None, f"the key {key.value!r} appears twice", key.start_mark)
            seen.add((key.tag, key.value))
        return node

    def _count(self, node: yaml.Node, parts: list[yaml.Node]) -> None:
        """How many values a node stands for: a few lines of aliases to aliases are more than any memory holds."""
        self._values[node] = sum(self._values.get(part, 1) for part in parts)
        if self._values[node] > _MOST:
            problem = f"its aliases stand for more than {_MOST:,} values"
            raise yaml.composer.ComposerError(None, None, problem, node.start_mark)

    def value_of(self, node: yaml.Node, wanted: Any) -> Any:
        if isinstance(node, yaml.ScalarNode) and node.tag in _WORDLESS and str in options(wanted):
            return node.value
        if isinstance(node, yaml.MappingNode) and node.tag == _MAPPING and wanted is not None:
            self.flatten_mapping(node)
            return {key.value: self.value_of(value, inside(wanted, key.value)) for key, value in node.value}
        if isinstance(node, yaml.SequenceNode) and node.tag == _SEQUENCE and wanted is not None:
            return [self.value_of(value, inside(wanted, place)) for place, value in enumerate(node.value)]
        return self.construct_object(node, deep=True)


def _integer(text: str) -> int:
    number = int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))
    if number.bit_length() > _BITS:
        raise ValueError
    return number


def _number(text: str) -> float:
    return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))


def _truth(text: str) -> bool:
    return {"true": True, "false": False}[text.lower()]


def _scalar(name: str, make: Callable[[str], Any]) -> Callable[[_Loader, yaml.Node], Any]:
    def construct(loader: _Loader, node: yaml.Node) -> Any:
        text = loader.construct_scalar(node)  # type: ignore[arg-type]
        try:
            return make(text)
        except (LookupError, ValueError):
            problem = f"{text[:80]!r} cannot be read as {name}"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark) from None

    return construct


_Loader.yaml_implicit_resolvers = {}
for _name, (_pattern, _first) in _CORE.items():
    _Loader.add_implicit_resolver(_TAG + _name, re.compile(rf"(?:{_pattern})\Z"), list(_first))
_Loader.yaml_constructors.update(
    {
        _TAG + "null": _scalar("null", lambda _: None),
        _TAG + "bool": _scalar("bool", _truth),
        _TAG + "int": _scalar("int", _integer),
        _TAG + "float": _scalar("float", _number),
        _TEXT: _scalar("str", str),
        _MAPPING: yaml.SafeLoader.construct_yaml_map,
        _SEQUENCE: yaml.SafeLoader.construct_yaml_seq,
        None: yaml.SafeLoader.construct_undefined,
    }
)
