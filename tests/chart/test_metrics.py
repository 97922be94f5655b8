"""What the chart gives to Prometheus and Grafana."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from rendering import CHART, RefusedError, one

from trawl.orchestration import metrics

ALL = (
    'metrics={"enabled":true,"serviceMonitor":{"enabled":true,"labels":{"release":"prom"}},'
    '"rules":{"enabled":true},"dashboard":{"enabled":true}}'
)
PROMETHEUS = (
    'networkPolicy={"metricsFrom":[{"namespaceSelector":{"matchLabels":{"kubernetes.io/metadata.name":"monitoring"}}}]}'
)
OPERATOR = {"ServiceMonitor", "PrometheusRule"}
DASHBOARD = json.loads((CHART / "dashboards" / "trawl.json").read_text())
TROUBLES = CHART.parents[1] / "docs" / "troubleshooting.md"

# What the exporter gives is read from it. The others: as Prefect 3.8.8 and the chart's MinIO served them, and as
# kube-state-metrics and the kubelet document them.
OURS = set(re.findall(r'"(trawl_\w+)"', Path(metrics.__file__).read_text()))
THEIRS = {
    "process_resident_memory_bytes",
    "process_cpu_seconds_total",
    "minio_cluster_capacity_usable_free_bytes",
    "minio_cluster_capacity_usable_total_bytes",
    "kube_deployment_spec_replicas",
    "kube_deployment_status_replicas_available",
    "kube_statefulset_replicas",
    "kube_statefulset_status_replicas_ready",
    "kube_pod_container_status_waiting_reason",
    "kube_pod_container_status_terminated_reason",
    "kube_job_status_failed",
    "kubelet_volume_stats_available_bytes",
    "kubelet_volume_stats_capacity_bytes",
    "container_memory_working_set_bytes",
    "container_cpu_usage_seconds_total",
}


def rules(manifests):
    return [rule for group in one(manifests, "PrometheusRule", "")["spec"]["groups"] for rule in group["rules"]]


def expressions():
    for panel in DASHBOARD["panels"]:
        yield from (target["expr"] for target in panel.get("targets", []))


def series(expression):
    bare = re.sub(r"\{[^}]*\}|\[[^]]*\]|\"[^\"]*\"", " ", expression)
    bare = re.sub(r"\b(on|by)\s*\([^)]*\)", " ", bare)
    return set(re.findall(r"\b[a-z]+(?:_[a-z]+)+\b", bare))


def test_nothing_is_there_unless_it_is_asked_for(manifests):
    assert not [m for m in manifests if m["kind"] in OPERATOR]
    assert not [m for m in manifests if m["metadata"]["name"].endswith(("-metrics", "-dashboard"))]


@pytest.mark.parametrize("part", ["serviceMonitor", "rules", "dashboard"])
def test_metrics_that_are_off_are_not_read(chart, part):
    with pytest.raises(RefusedError, match=re.escape(f"metrics.{part}: ") + r".*set metrics\.enabled: true"):
        chart(f'metrics={{"{part}":{{"enabled":true}}}}')


def test_alerts_and_panels_use_only_series_that_exist(chart):
    used = {name for rule in rules(chart(ALL)) for name in series(rule["expr"])}
    used |= {name for expression in expressions() for name in series(expression)}
    assert used <= OURS | THEIRS, used - OURS - THEIRS
    assert used >= OURS | THEIRS, "no longer used"


def test_alerts_are_about_their_own_release_only(chart):
    for rule in rules(chart(ALL, release="nightly", namespace="crawls")):
        assert 'namespace="crawls"' in rule["expr"], rule["alert"]
        own = 'job="nightly"' in rule["expr"] or "nightly-trawl-" in rule["expr"] or "container=" in rule["expr"]
        assert own, rule["alert"]
        assert "@" not in rule["expr"], rule["alert"]


def test_every_alert_leads_to_a_page_that_is_there(chart):
    headings = re.findall(r"^#+ (.*)$", TROUBLES.read_text(), re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}
    for rule in rules(chart(ALL)):
        assert rule["labels"]["severity"] in {"info", "warning", "critical"}, rule["alert"]
        page, _, anchor = rule["annotations"]["runbook_url"].partition("#")
        assert page.endswith("/docs/troubleshooting.md"), rule["alert"]
        assert anchor in anchors, rule["alert"]


def test_a_monitor_finds_a_service_with_its_port(chart):
    rendered = chart(ALL)
    services = [m for m in rendered if m["kind"] == "Service"]
    monitors = [m for m in rendered if m["kind"] == "ServiceMonitor"]
    assert {m["metadata"]["name"] for m in monitors} == {"trawl-metrics", "trawl-minio", "trawl-server"}
    for monitor in monitors:
        wanted = monitor["spec"]["selector"]["matchLabels"]
        (service,) = (s for s in services if wanted.items() <= s["metadata"]["labels"].items())
        assert service["metadata"]["labels"][monitor["spec"]["jobLabel"]] == "trawl"
        (endpoint,) = monitor["spec"]["endpoints"]
        assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
        assert monitor["metadata"]["labels"]["release"] == "prom"


def test_prometheus_signs_in_with_keys_that_the_secret_has(chart):
    rendered = chart(ALL)
    sign_in = one(rendered, "ServiceMonitor", "trawl-server")["spec"]["endpoints"][0]["basicAuth"]
    made = one(rendered, "Job", "trawl-secrets")["spec"]["template"]["spec"]["containers"][0]["args"]
    for field in ("username", "password"):
        assert sign_in[field]["name"] in made
        assert any(word.startswith(f"{sign_in[field]['key']}=") for word in made[made.index(sign_in[field]["name"]) :])


def test_only_what_the_chart_runs_is_read(chart):
    outside = chart(ALL, 'server={"external":{"url":"https://p.example/api"}}', 's3={"external":{"endpoint":"aws"}}')
    assert {m["metadata"]["name"] for m in outside if m["kind"] == "ServiceMonitor"} == {"trawl-metrics"}
    (container,) = one(outside, "Deployment", "trawl-metrics")["spec"]["template"]["spec"]["containers"]
    assert {"name": "PREFECT_API_URL", "value": "https://p.example/api"} in container["env"]


@pytest.mark.parametrize("component", ["server", "minio", "metrics"])
def test_prometheus_reaches_what_it_reads_and_nobody_else_does(chart, component):
    (peer,) = json.loads(PROMETHEUS.partition("=")[2])["metricsFrom"]
    name = f"trawl-{component}"
    (rule,) = one(chart(ALL, PROMETHEUS), "NetworkPolicy", name)["spec"]["ingress"]
    assert peer in rule["from"]
    closed = one(chart(ALL), "NetworkPolicy", name)["spec"].get("ingress", [])
    assert all("namespaceSelector" not in other for each in closed for other in each["from"])
    if component != "metrics":
        (without,) = one(chart(PROMETHEUS), "NetworkPolicy", name)["spec"]["ingress"]
        assert peer not in without["from"]


def test_the_exporter_watches_every_pool(chart):
    rendered = chart(ALL, 'workPools={"quick":{"type":"process","queues":["default"]}}')
    (container,) = one(rendered, "Deployment", "trawl-metrics")["spec"]["template"]["spec"]["containers"]
    assert container["args"] == ["quick", "trawl"]


def test_the_dashboard_is_the_file_and_has_the_sidecars_label(chart):
    made = one(chart(ALL), "ConfigMap", "trawl-dashboard")
    assert json.loads(made["data"]["trawl.json"]) == DASHBOARD
    assert made["metadata"]["labels"]["grafana_dashboard"] == "1"


def test_no_panel_covers_another():
    taken = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells
    assert max(x for x, _ in taken) < 24


SERIES = 'namespace="trawl", job="trawl"'
FIRES = [  # an alert, the series that it is about, and minutes after which it fires
    ("TrawlSourceOverdue", {f'trawl_last_completed_timestamp_seconds{{{SERIES}, deployment="refresh-a"}}': "0x2000", f'trawl_deployment_scheduled{{{SERIES}, deployment="refresh-a"}}': "1x2000"}, 1600),
    ("TrawlRunsFail", {f'trawl_runs_ended_last_hour{{{SERIES}, deployment="refresh-a", state="failed"}}': "2x60"}, 1),
    ("TrawlRunsLate", {f'trawl_runs_oldest_timestamp_seconds{{{SERIES}, state="late"}}': "0x60"}, 20),
    ("TrawlRunsPending", {f'trawl_runs_oldest_timestamp_seconds{{{SERIES}, state="pending"}}': "0x60"}, 20),
    ("TrawlPoolHasNoWorker", {f'trawl_pool_ready{{{SERIES}, pool="trawl"}}': "0x60", f'trawl_pool_paused{{{SERIES}, pool="trawl"}}': "0x60"}, 15),
    ("TrawlPoolPaused", {f'trawl_pool_paused{{{SERIES}, pool="trawl"}}': "1x90"}, 61),
    ("TrawlPrefectDown", {f"trawl_prefect_up{{{SERIES}}}": "0x60"}, 6),
    ("TrawlMetricsMissing", {'up{job="other"}': "1x60"}, 11),
    ("TrawlPartUnavailable", {'kube_statefulset_status_replicas_ready{namespace="trawl", statefulset="trawl-minio"}': "0x60", 'kube_statefulset_replicas{namespace="trawl", statefulset="trawl-minio"}': "1x60"}, 6),
    ("TrawlPartUnavailable", {'kube_deployment_status_replicas_available{namespace="trawl", deployment="trawl-server"}': "0x60", 'kube_deployment_spec_replicas{namespace="trawl", deployment="trawl-server"}': "1x60"}, 6),
    ("TrawlPodCannotStart", {'kube_pod_container_status_waiting_reason{namespace="trawl", container="server", reason="ImagePullBackOff"}': "1x60"}, 6),
    ("TrawlRunOutOfMemory", {'kube_pod_container_status_terminated_reason{namespace="trawl", container="prefect-job", reason="OOMKilled"}': "1x60"}, 1),
    ("TrawlJobFailed", {'kube_job_status_failed{namespace="trawl", job_name="trawl-bootstrap-1"}': "1x60"}, 2),
    ("TrawlVolumeFills", {'kubelet_volume_stats_available_bytes{namespace="trawl", persistentvolumeclaim="data-trawl-minio-0"}': "10x60", 'kubelet_volume_stats_capacity_bytes{namespace="trawl", persistentvolumeclaim="data-trawl-minio-0"}': "100x60"}, 16),
    ("TrawlStoreFills", {f"minio_cluster_capacity_usable_free_bytes{{{SERIES}}}": "10x60", f"minio_cluster_capacity_usable_total_bytes{{{SERIES}}}": "100x60"}, 16),
]  # fmt: skip


@pytest.mark.skipif(not shutil.which("promtool"), reason="needs promtool")
@pytest.mark.parametrize(("alert", "values", "minutes"), FIRES, ids=[f"{n}-{f[0]}" for n, f in enumerate(FIRES)])
def test_an_alert_fires_when_it_should_and_not_before(chart, tmp_path, alert, values, minutes):
    """By Prometheus' own evaluation."""
    found = one(chart(ALL), "PrometheusRule", "")["spec"]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(found))
    fired = f'count(ALERTS{{alertname="{alert}", alertstate="firing"}}) or vector(0)'
    (rule,) = (rule for group in found["groups"] for rule in group["rules"] if rule["alert"] == alert)
    held = {"1h": 60}.get(rule.get("for", "0m")) or int(rule.get("for", "0m").removesuffix("m"))
    test = {
        "interval": "1m",
        "input_series": [{"series": name, "values": value} for name, value in values.items()],
        "promql_expr_test": [
            {"expr": fired, "eval_time": f"{minutes}m", "exp_samples": [{"labels": "{}", "value": 1}]},
            *(
                [{"expr": fired, "eval_time": f"{held - 1}m", "exp_samples": [{"labels": "{}", "value": 0}]}]
                if held
                else []
            ),
        ],
    }
    (tmp_path / "test.yaml").write_text(
        yaml.safe_dump({"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": [test]})
    )
    done = subprocess.run(
        ["promtool", "test", "rules", "test.yaml"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_tried(chart):
    assert {rule["alert"] for rule in rules(chart(ALL))} == {alert for alert, *_ in FIRES}
