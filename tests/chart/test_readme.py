"""The chart's README is what its schema and values say."""

import importlib.util

import yaml
from rendering import CHART

_spec = importlib.util.spec_from_file_location("chart_readme", CHART.parents[1] / "scripts" / "chart_readme.py")
assert _spec
assert _spec.loader
chart_readme = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(chart_readme)

README = chart_readme.README.read_text()


def keys(values, path=()):
    for name, value in values.items():
        if isinstance(value, dict) and value and name not in chart_readme.SHARED and name != "labels":
            yield from keys(value, (*path, name))
        else:
            yield ".".join((*path, name))


def test_the_readme_is_up_to_date():
    assert chart_readme.readme() == README, "run: make chart-readme"


def test_every_value_is_in_it():
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    for name in ("sources", "workPools"):
        (values[name],) = ({"<name>": one} for one in values[name].values())
    missing = [key for key in keys(values) if f"`{key}`" not in README]
    assert not [key for key in missing if not key.endswith((".worker", ".flows"))], (
        "a pool's own are told by their keys"
    )


def test_every_scenario_says_what_it_is_for():
    for file in sorted((CHART / "ci").iterdir()):
        (row,) = (line for line in README.splitlines() if f"(ci/{file.name})" in line)
        assert len(row.split("|")[2].strip()) > 20
