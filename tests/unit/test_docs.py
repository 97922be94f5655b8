"""What README and docs say holds: links lead somewhere, commands and configuration are such that they could be typed as they stand."""

import ast
import importlib
import json
import re
import shlex
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import cyclopts
import jsonschema
import pytest
import yaml
from pydantic import TypeAdapter
from scripts import reference

from trawl.cli.app import _commands, app, load_commands
from trawl.model.errors import ConfigurationError
from trawl.orchestration.setup.schedules import Schedules
from trawl.orchestration.setup.settings import Settings
from trawl.sources import parse_source
from trawl.sources.reading import checked

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "bench/README.md")]
    + list((ROOT / "docs").rglob("*.md"))
)
MAKEFILES = "\n".join((ROOT / name).read_text() for name in ("Makefile", "cluster.mk", "deploy.mk"))

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))

FENCE = re.compile(
    r"(?:^<!-- not run(?P<mark>[^\n]*) -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE
)


class Fence(NamedTuple):
    page: Path
    line: int
    language: str
    text: str
    mark: str | None

    def __repr__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def fences(page: Path) -> Iterator[Fence]:
    text = page.read_text(encoding="utf-8")
    for found in FENCE.finditer(text):
        line = text.count("\n", 0, found.start("language")) + 1
        yield Fence(page, line, found["language"], found["text"], found["mark"])


FENCES = [fence for page in PAGES for fence in fences(page)]


def in_language(*languages: str) -> Any:
    return pytest.mark.parametrize("fence", [fence for fence in FENCES if fence.language in languages], ids=repr)


# -- links ---------------------------------------------------------------------


def prose(page: Path) -> str:
    """The page without its fences and comments, in which nothing is a link or a heading."""
    return re.sub(r"<!--.*?-->", "", FENCE.sub("", page.read_text(encoding="utf-8")), flags=re.DOTALL)


def anchors(page: Path) -> set[str]:
    """As GitHub makes them of headings, and `make docs` too."""
    found: set[str] = set()
    for heading in re.findall(r"^#{1,6} +(.+?) *$", prose(page), re.MULTILINE):
        shown = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading)
        base = re.sub(r"[^\w\- ]", "", shown.lower()).replace(" ", "-")
        found.add(next(name for n in range(99) if (name := f"{base}-{n}" if n else base) not in found))
    return found


@each_page
def test_every_link_within_the_repository_leads_to_a_file_and_a_heading(page: Path) -> None:
    lost = []
    for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`\n]*`", "", prose(page))):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (anchor and file.suffix == ".md" and anchor not in anchors(file)):
            lost.append(target)
    assert lost == []


def test_what_the_code_says_of_the_documentation_is_there() -> None:
    named = set()
    for file in (ROOT / "src").rglob("*.py"):
        named |= set(re.findall(r"docs/[\w/-]+\.md(?:#[\w-]+)?", file.read_text(encoding="utf-8")))
    assert named
    for name in named:
        path, _, anchor = name.partition("#")
        assert (ROOT / path).is_file(), name
        assert not anchor or anchor in anchors(ROOT / path), name


def test_every_page_has_its_place_in_the_navigation() -> None:
    text = re.sub(r"!!python/\S+", "", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    places = re.findall(r"[\w/-]+\.md", json.dumps(yaml.safe_load(text)["nav"]))
    assert sorted(places) == sorted(str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").rglob("*.md"))


# -- commands ------------------------------------------------------------------


def commands(fence: Fence) -> Iterator[str]:
    """What is typed: after a `$`, or every line of a fence that has no language and begins with a program."""
    lines = fence.text.splitlines()
    bare = fence.language == "" and re.match(r"(make|kubectl|helm|trawl|prefect|docker) ", fence.text)
    while lines:
        line = lines.pop(0)
        if line.startswith("$ ") or (bare and line.strip()):
            typed = line.removeprefix("$ ")
            while lines and (typed.endswith("\\") or _unfinished(typed)):
                typed = f"{typed.removesuffix(chr(92))}\n{lines.pop(0)}"
            yield typed


def _unfinished(line: str) -> bool:
    try:
        shlex.split(line, comments=True)
    except ValueError:
        return True
    return False


def calls(line: str) -> Iterator[list[str]]:
    """The calls of a line: variables before a program and redirections of its output are not part of them."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words: list[str] = []
    for word in [*lexer, ";"]:
        if word and set(word) <= set("();|&"):
            while words and re.match(r"[A-Z_]+=", words[0]):
                words.pop(0)
            if ">" in words:
                del words[words.index(">") :]
            if words:
                yield words
            words = []
        else:
            words.append(word)


def check_trawl(words: list[str]) -> None:
    load_commands()
    if "--help" not in words and "--version" not in words:
        app.parse_args(words, print_error=False, exit_on_error=False)


def check_prefect(words: list[str]) -> None:
    from prefect.cli._app import _app

    words = [str(UUID(int=0)) if word == "RUN" else word for word in words]
    if words != ["version"]:
        _app.parse_args(words, print_error=False, exit_on_error=False)


def check_make(words: list[str]) -> None:
    for word in words:
        name, given, _ = word.partition("=")
        assert re.search(rf"\$\(.*\b{name}\b|^{name} *[:?]?=" if given else rf"^{name}:", MAKEFILES, re.MULTILINE), word


def check_python(words: list[str]) -> None:
    """An example: the file is there, and it or what it shares with others knows each option."""
    text = (ROOT / words[0]).read_text(encoding="utf-8") + (ROOT / "examples" / "common.py").read_text(encoding="utf-8")
    for option in (word for word in words[1:] if word.startswith("-")):
        assert f'"{option}"' in text, option


def check_pip(words: list[str]) -> None:
    """An extra of ours; other packages are those that a page is about."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert words[0] == "install"
    for extra in re.findall(r"trawl\[([^]]+)\]", " ".join(words)):
        assert extra in extras


def check_pytest(words: list[str]) -> None:
    markers = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]["markers"]
    assert words[0] != "-m" or words[1] in {marker.partition(":")[0] for marker in markers}


def check_export(words: list[str]) -> None:
    assert all(re.match(r"[A-Z_]+=", word) for word in words)
    known = (ROOT / "docs" / "reference" / "environment.md").read_text(encoding="utf-8")
    for name in (word.partition("=")[0] for word in words if word.startswith("TRAWL_")):
        assert name in known


CHECKS: dict[str, Callable[[list[str]], None]] = {
    "trawl": check_trawl,
    "prefect": check_prefect,
    "make": check_make,
    "python": check_python,
    "pip": check_pip,
    "pytest": check_pytest,
    "export": check_export,
    "cd": lambda _: None,
    "echo": lambda _: None,
}


@in_language("console", "")
def test_every_command_could_be_typed_as_it_stands_or_says_why_it_is_not_checked(fence: Fence) -> None:
    wrong = []
    for line in commands(fence):
        for program, *words in calls(line):
            check = CHECKS.get(program.removeprefix(".venv/bin/"))
            if check is None and not fence.mark:
                wrong.append(f"{program}: nothing checks it: `<!-- not run: why -->` before the fence")
            elif check is not None:
                try:
                    check(words)
                except (AssertionError, OSError, cyclopts.CycloptsError) as error:
                    wrong.append(f"{line}: {error}")
    assert wrong == []


def test_a_mark_has_a_reason_and_stands_where_something_is_not_run() -> None:
    marked = [fence for fence in FENCES if fence.mark is not None]
    assert marked
    for fence in marked:
        assert len(fence.mark or "") > 15, fence
    told = sum(len(re.findall("^<!-- not run", page.read_text(encoding="utf-8"), re.MULTILINE)) for page in PAGES)
    assert told == len(marked), "a mark stands directly before its fence"


@each_page
def test_every_command_in_a_sentence_has_options_that_it_knows(page: Path) -> None:
    load_commands()
    wrong = []
    for code in re.findall(r"`trawl ([a-z]+[^`\n]*)`", prose(page)):
        name, *words = code.replace("\\|", "|").split()
        if name not in _commands:
            wrong.append(code)
            continue
        inner = app[name]
        while words and re.fullmatch(r"[a-z]+", words[0]) and words[0] in list(inner):
            inner = inner[words.pop(0)]
        several = [inner[word] for word in inner if not word.startswith("-")] or [inner]
        arguments = [argument for one in several for argument in one.assemble_argument_collection()]
        known = {option for argument in arguments for option in argument.names}
        options = {word.partition("=")[0].strip("[]") for word in words if word.lstrip("[").startswith("--")}
        wrong += sorted(options - known - {"--help"})
    assert wrong == []


# -- configuration and programs ------------------------------------------------


def _source(text: str, _: Any) -> None:
    parse_source(text, "the page")


def _endpoint(_: str, data: Any) -> None:
    text = yaml.safe_dump({"name": "some", "base_url": "https://api.example.com", "endpoints": {"one": data}})
    parse_source(text, "the page")


def _settings(_: str, data: Any) -> None:
    checked(data, "the page", Settings, "")


def _schedules(_: str, data: Any) -> None:
    TypeAdapter(Schedules).validate_python(data)


def _values(_: str, data: Any) -> None:
    jsonschema.validate(data, json.loads((ROOT / "helm" / "trawl" / "values.schema.json").read_text()))


@in_language("yaml")
def test_every_yaml_is_a_source_an_endpoint_a_set_up_file_schedules_or_values_of_the_chart(fence: Fence) -> None:
    data = yaml.safe_load(fence.text)
    refused = []
    for read in (_source, _endpoint, _settings, _schedules, _values):
        try:
            read(fence.text, data)
        except (ConfigurationError, ValueError, jsonschema.ValidationError) as error:
            refused.append(f"{read.__name__}: {str(error)[:200]}")
        else:
            return
    assert fence.mark, "\n".join(refused)


@in_language("python")
def test_every_program_is_python_and_names_only_what_can_be_imported(fence: Fence) -> None:
    tree = compile(fence.text, repr(fence), "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    if fence.mark:
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            module = importlib.import_module(node.module)
            assert all(hasattr(module, name.name) for name in node.names), ast.unparse(node)
        elif isinstance(node, ast.Import):
            for name in node.names:
                importlib.import_module(name.name)


@in_language("json")
def test_every_json_is_json(fence: Fence) -> None:
    json.loads(fence.text)


@in_language("toml")
def test_every_toml_is_toml(fence: Fence) -> None:
    tomllib.loads(fence.text)


def test_no_fence_is_in_a_language_that_nothing_checks() -> None:
    languages = {fence.language for fence in FENCES}
    assert languages <= {"", "console", "yaml", "python", "json", "toml", "sql"}  # sql: test_docs_reading.py


# -- the reference, and messages -----------------------------------------------


def test_the_reference_says_what_the_code_says() -> None:
    stale = [
        name
        for name, text in reference.pages().items()
        if (reference.FOLDER / name).read_text(encoding="utf-8") != text
    ]
    assert stale == [], "make reference writes them anew"
    assert {file.name for file in reference.FOLDER.iterdir()} == set(reference.pages())


def test_every_message_in_troubleshooting_is_one_that_the_code_has() -> None:
    code = "\n".join(file.read_text(encoding="utf-8") for file in (ROOT / "src").rglob("*.py"))
    page = (ROOT / "docs" / "troubleshooting-crawls.md").read_text(encoding="utf-8")
    messages = re.findall(r"^\| `([^`]+)` \|", page, re.MULTILINE)
    assert len(messages) > 20
    assert [message for message in messages if message not in code] == []


def test_every_column_of_the_lake_is_explained() -> None:
    explained = (ROOT / "docs" / "lake.md").read_text(encoding="utf-8")
    columns = set(
        re.findall(r"^\| `(\w+)` \|", (reference.FOLDER / "lake.md").read_text(encoding="utf-8"), re.MULTILINE)
    )
    assert len(columns) > 40
    assert {column for column in columns if f"`{column}`" not in explained} == set()
