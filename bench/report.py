"""Figures, and the page that keeps them."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

PAGE = Path(__file__).parent / "README.md"

_HEAD = """# What Trawl costs

Written by `make bench` (`python -m bench NAME...` renews one section, `--help` says more). Every figure is
the median of its rounds, with the lowest and the highest beside it; programs that are compared ran in turn,
in the same minutes, on the same machine. Time is that of whole processes, start-up included; CPU is the
client's own, not the server's.
"""


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured thing: a value per round, its unit, what was run for it, and the bound it must keep."""

    name: str
    values: list[float]
    unit: str
    command: str
    bound: str = ""

    @property
    def value(self) -> float:
        return median(self.values)

    def row(self) -> str:
        spread = _spread(self.values)
        return f"| {self.name} | {_number(self.value)} {self.unit} | {spread} | {self.bound} | {self.command} |"


@dataclass(slots=True)
class Grid:
    """Programs side by side: what was measured of all of them."""

    title: str
    columns: list[str]
    rows: list[str] = field(default_factory=list)

    def add(self, name: str, command: str, cells: list[list[float]]) -> None:
        """Add a program: in each cell the values of the rounds."""
        self.rows.append(f"| {' | '.join([name, *map(_cell, cells), f'`{command}`'])} |")

    def markdown(self) -> str:
        head = f"| {' | '.join([self.title, *self.columns, 'what was run'])} |"
        return "\n".join([head, f"|---|{'---:|' * len(self.columns)}---|", *self.rows, ""])


@dataclass(slots=True)
class Section:
    """A bench's result: how to have it again, on which machine, and its figures."""

    name: str
    title: str
    command: str
    machine: str
    rounds: int
    grids: list[Grid] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(
        self,
        name: str,
        values: float | list[float],
        unit: str,
        command: str,
        bound: str = "",
        *,
        code: bool = True,
    ) -> None:
        """Add a figure; `code` sets its command in code letters."""
        found = values if isinstance(values, list) else [values]
        shown = f"`{command}`" if code and command else command
        self.figures.append(Figure(name, found, unit, shown, bound))

    def markdown(self) -> str:
        rounds = "one round" if self.rounds == 1 else f"{self.rounds} rounds"
        return "\n".join(
            [
                f"## {self.title}",
                "",
                f"`{self.command}` ({rounds}) on {self.machine}.",
                "",
                *(grid.markdown() for grid in self.grids),
                "| figure | median | low to high | bound | what was run |",
                "|---|---:|---:|---:|---|",
                *(figure.row() for figure in self.figures),
                *(f"\n{note}" for note in self.notes),
            ]
        )


def save(section: Section, names: list[str], page: Path = PAGE) -> None:
    """Put a section in its place on the page; those of other benches stay. `names` is the order of all."""
    found = _sections(page.read_text(encoding="utf-8")) if page.exists() else {}
    found[section.name] = section.markdown()
    parts = [f"<!-- {name} -->\n{found[name]}\n<!-- /{name} -->" for name in names if name in found]
    page.write_text("\n\n".join([_HEAD.rstrip(), *parts]) + "\n", encoding="utf-8")


def _sections(text: str) -> dict[str, str]:
    return dict(re.findall(r"<!-- (\w+) -->\n(.*?)\n<!-- /\1 -->", text, re.DOTALL))


def _cell(values: list[float]) -> str:
    spread = _spread(values)
    return _number(median(values)) + (spread and f" ({spread})")


def _spread(values: list[float]) -> str:
    return "" if len(values) < 2 else f"{_number(min(values))} to {_number(max(values))}"


def _number(value: float) -> str:
    size = abs(value)
    if size >= 1000:
        return f"{value:,.0f}"
    return (
        f"{value:.0f}"
        if size >= 100
        else f"{value:.1f}"
        if size >= 10
        else f"{value:.2f}"
        if size >= 0.1
        else f"{value:.3f}"
    )
