"""The Application for Argo CD: it leads to this chart, with values that the chart takes."""

import json

import yaml
from rendering import CHART

ROOT = CHART.parents[1]
SPEC = yaml.safe_load((ROOT / "k8s" / "argocd-application.yaml").read_text())["spec"]
HELM = SPEC["source"]["helm"]


def test_it_leads_to_this_chart():
    assert ROOT / SPEC["source"]["path"] == CHART
    assert SPEC["source"]["repoURL"] == yaml.safe_load((CHART / "Chart.yaml").read_text())["home"]


def test_the_chart_takes_its_values(chart):
    values = [f"{key}={json.dumps(value)}" for key, value in HELM["valuesObject"].items()]
    rendered = chart(*values, release=HELM["releaseName"], namespace=SPEC["destination"]["namespace"])
    assert {m["metadata"].get("namespace", "trawl") for m in rendered} == {"trawl"}
