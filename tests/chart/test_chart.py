"""The chart as `helm template` renders it: offline, in seconds."""

import json
import os
import re
import shutil
import subprocess
from zoneinfo import available_timezones

import pytest
import yaml
from pydantic import ValidationError
from rendering import (
    CHART,
    HELM_VERSIONS,
    KIND_VALUES,
    RefusedError,
    as_text,
    job_template,
    leaves,
    one,
    pods,
    setup_config,
)

from trawl.orchestration.setup import Settings
from trawl.orchestration.setup.deployments import Schedule, deployments_of
from trawl.sources import PokeApiCrawler, registry

SCENARIOS = {file.name.removesuffix("-values.yaml"): (str(file),) for file in sorted((CHART / "ci").glob("*.yaml"))}
SCENARIOS["kind"] = (str(KIND_VALUES),)
EXTERNAL = SCENARIOS["external"]


@pytest.mark.parametrize("values", SCENARIOS.values(), ids=SCENARIOS)
class TestEveryPod:
    def test_is_restricted(self, chart, values):
        for name, template in pods(chart(*values)):
            pod = template["spec"]
            assert pod["securityContext"]["runAsNonRoot"] is True, name
            assert pod["securityContext"]["runAsUser"] > 0, name
            assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
            assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys(), name
            volumes = {kind for volume in pod.get("volumes", []) for kind in volume if kind != "name"}
            assert volumes <= {"emptyDir", "configMap", "secret", "persistentVolumeClaim"}, name
            for container in pod["containers"] + pod.get("initContainers", []):
                security = container["securityContext"]
                assert security["allowPrivilegeEscalation"] is False, name
                assert security["capabilities"] == {"drop": ["ALL"]}, name
                assert security["readOnlyRootFilesystem"] is True, name

    def test_asks_for_what_it_needs(self, chart, values):
        for name, template in pods(chart(*values)):
            for container in template["spec"]["containers"] + template["spec"].get("initContainers", []):
                assert {"cpu", "memory"} <= container["resources"]["requests"].keys(), name
                assert "memory" in container["resources"]["limits"], name

    def test_has_a_token_only_where_it_talks_to_kubernetes(self, chart, values):
        with_token = {
            name for name, template in pods(chart(*values)) if template["spec"]["automountServiceAccountToken"]
        }
        assert with_token <= {"Deployment/trawl-worker", "Job/trawl-secrets"}

    def test_may_reach_only_what_it_is_given_a_way_to(self, chart, values):
        """A policy for each of them, or (without one) nobody would notice that it may reach everything."""
        rendered = chart(*values)
        covered = [
            policy["spec"]["podSelector"]["matchLabels"] for policy in rendered if policy["kind"] == "NetworkPolicy"
        ]
        for name, template in pods(rendered):
            labels = template["metadata"]["labels"]
            assert [chosen for chosen in covered if chosen.items() <= labels.items()], name

    def test_names_no_environment_variable_twice(self, chart, values):
        for name, template in pods(chart(*values)):
            for container in template["spec"]["containers"]:
                names = [entry["name"] for entry in container.get("env", [])]
                assert len(names) == len(set(names)), name


def test_no_secret_is_rendered(manifests):
    assert not [m for m in manifests if m["kind"] == "Secret"]
    for manifest in manifests:
        text = as_text(manifest)
        for word in re.findall(r'"name": "(\w*(?:PASSWORD|SECRET_ACCESS_KEY|AUTH_STRING))", "value": ', text):
            pytest.fail(f"{manifest['kind']}/{manifest['metadata']['name']}: {word} has a plain value")


def test_secrets_may_be_created_and_not_read(manifests):
    assert one(manifests, "Role", "trawl-secrets")["rules"] == [
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["create"]},
        {
            "apiGroups": [""],
            "resources": ["persistentvolumeclaims"],
            "verbs": ["get"],
            "resourceNames": ["data-trawl-postgres-0"],
        },
    ]


def test_existing_secrets_need_no_job(chart):
    external = chart(*EXTERNAL)
    assert not [m for m in external if m["metadata"]["name"] == "trawl-secrets" and m["kind"] != "NetworkPolicy"]
    assert {m["metadata"]["name"] for m in external if m["kind"] == "StatefulSet"} == set()
    text = as_text(external)
    for name in ("my-api", "my-postgres", "my-s3", "my-valkey"):
        assert name in text


def test_nothing_is_for_the_whole_cluster(manifests):
    assert not [m["kind"] for m in manifests if m["kind"].startswith("Cluster")]


def test_set_up_is_named_by_what_it_is_told(chart, manifests):
    name = one(manifests, "Job", "trawl-bootstrap")["metadata"]["name"]
    assert one(chart(), "Job", "trawl-bootstrap")["metadata"]["name"] == name
    for change in (
        'image={"tag":"other"}',
        'sources={"pokeapi":{"publicCalls":3}}',
        'flows={"finishedJobTtl":900}',
    ):
        assert one(chart(change), "Job", "trawl-bootstrap")["metadata"]["name"] != name, change
    assert "helm.sh/hook" not in as_text(one(manifests, "Job", "trawl-bootstrap"))


def numbers(values, path=()):
    for name, found in values.items():
        if isinstance(found, dict):
            yield from numbers(found, (*path, name))
        elif type(found) is int:
            yield (*path, name)


NUMBERS = list(numbers(yaml.safe_load((CHART / "values.yaml").read_text())))
MORE_NUMBERS = [  # what the schema allows, and is none by default
    ("sources", "pokeapi", "rate"),
    *((part, "env", "LIMIT") for part in ("server", "worker", "flows", "bootstrap")),
    *(
        (part, "resources", kind, "cpu")
        for part in ("server", "worker", "flows", "minio", "bootstrap")
        for kind in ("requests", "limits")
    ),
    ("postgres", "resources", "limits", "hugepages-2Mi"),
]
LARGE = 12_096_000


def value(path, number):
    """A value in the form of --set-json."""
    return f"{'.'.join(path)}={json.dumps(number)}"


BESIDE = {  # what a number counts in
    "server.replicas": ("highAvailability=true",),
    "valkey": ("highAvailability=true",),
    "postgres.external": EXTERNAL,
    "valkey.external": EXTERNAL,
    "metrics.rules": ("metrics.enabled=true", "metrics.rules.enabled=true"),
}
SMALLER = {"port": 65_432, "replicas": 87, "pods": 876, "runs": 12_345, "overdueHours": 12_345, "events": 12_345}


@pytest.mark.parametrize("path", [*NUMBERS, *MORE_NUMBERS], ids=".".join)
def test_a_whole_number_is_rendered_as_one(chart, path):
    number = SMALLER.get(path[-1], LARGE)
    beside = BESIDE.get(".".join(path[:2]), BESIDE.get(path[0], ()))
    rendered = chart(*beside, value(path, number))
    found = [found for found in leaves(rendered) if re.search(rf"(\b|P){number}(\b|D)", str(found))]
    assert found
    assert all(isinstance(each, int | str) for each in found)
    assert not re.search(r"\de\+\d", as_text(rendered))


def test_a_text_that_looks_like_something_else_stays_text(chart):
    rendered = chart(
        'workPools={"007":{"type":"kubernetes","queues":["1"]},"trawl":null}',
        'defaultWorkPool="007"',
        'worker={"env":{"ON":"yes"}}',
        's3={"region":"1e3","lakeBucket":"123","resultsBucket":"0x1f"}',
        'sources={"on":{"discover":{"cron":""}}}',
        'flows={"env":{"NO":"012","DEEP":true}}',
        release="1e3-trawl",
        namespace="123",
    )
    told = setup_config(rendered)
    assert told["pool"]["name"] == "007"
    assert told["queues"] == ["1"]
    assert told["buckets"] == ["123", "0x1f"]
    assert set(told["sources"]) == {"pokeapi", "on"}
    variables = job_template(rendered)["variables"]["properties"]
    assert variables["namespace"]["default"] == "123"
    assert {"NO": "012", "DEEP": "true", "AWS_REGION": "1e3"}.items() <= variables["env"]["default"].items()
    for name, template in pods(rendered):
        for container in template["spec"]["containers"]:
            for entry in container.get("env", []):
                assert all(isinstance(each, str) for each in (entry["name"], entry.get("value", ""))), name


def test_rendering_is_repeatable(chart):
    assert chart.__wrapped__() == chart.__wrapped__()


def test_set_up_understands_what_it_is_told(chart, monkeypatch):
    monkeypatch.setitem(registry._registered, "mine", PokeApiCrawler)
    told = Settings.model_validate(setup_config(chart('sources={"mine":{"baseUrl":"http://mine.example"}}')))
    assert told.buckets == ("trawl-lake", "minio-crawler-results")
    assert set(told.sources) == {"pokeapi", "mine"}
    assert told.results is not None
    assert told.results.bucket == "minio-crawler-results"
    names = ("discover", "refresh", "maintain", "decide")
    assert [d.name for d in deployments_of(told.sources.items())] == [
        *(f"{name}-{source}" for source in ("mine", "pokeapi") for name in names),
        "self-check",
        "crawl-shard",
    ]


def test_the_defaults_of_chart_and_code_agree(manifests):
    assert Settings.model_validate(setup_config(manifests)).sources == Settings().sources


def test_a_source_has_its_address_in_the_runs(chart):
    template = job_template(chart(str(KIND_VALUES)))
    env = template["variables"]["properties"]["env"]["default"]
    assert env["TRAWL_SOURCE_POKEAPI_BASE_URL"].startswith("http://pokeapi.trawl-replica/")
    assert env["TRAWL_LAKE"] == "s3://trawl-lake"


def test_every_placeholder_of_the_job_template_has_a_variable(manifests):
    template = job_template(manifests)
    placeholders = set(re.findall(r"\{\{ (\w+) \}\}", as_text(template["job_configuration"])))
    assert placeholders == set(template["variables"]["properties"])


def test_a_mirror_serves_every_image(chart):
    for name, template in pods(chart(*SCENARIOS["hardened"])):
        for container in template["spec"]["containers"] + template["spec"].get("initContainers", []):
            if container["name"] != "prefect-job":
                assert container["image"].startswith("registry.example.com/mirror/"), name


def test_an_image_of_ones_own(chart):
    digest = "sha256:" + "0" * 64
    version = yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"]
    rendered = chart(f'image={{"repository":"r.example/t","digest":"{digest}"}}')
    wanted = f"r.example/t:{version}@{digest}"
    for name, template in pods(rendered):
        for container in template["spec"]["containers"]:
            if container["name"] not in {"postgres", "minio", "valkey", "dump", "database", "prefect-job"}:
                assert container["image"] == wanted, name
    assert job_template(rendered)["variables"]["properties"]["image"]["default"] == wanted


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ('server={"repliicas":2}', "/server"),
        ('flows={"finishedJobTtl":10}', "/flows/finishedJobTtl"),
        ('postgres={"external":{"host":"db.example"}}', "existingSecrets.postgres"),
        ('s3={"external":{"endpoint":"https://s3.example"}}', "existingSecrets.s3"),
        ('server={"replicas":-1}', "/server/replicas"),
        ('server={"replicas":3}', "highAvailability: true"),
        ('valkey={"external":{"host":"valkey.example"}}', "highAvailability: true"),
        ('existingSecrets={"api":"one","postgres":"one"}', 'the Secret "one" is that of api already'),
        ('existingSecrets={"api":"trawl-postgres"}', "the chart makes for postgres"),
        ('server={"external":{"url":"https://prefect.example/api"}},highAvailability=true', "server.external.url"),
        ('server={"external":{"url":"https://prefect.example"}}', "/server/external/url"),
        ('workPools={"trawl":{"type":"docker"}}', "/workPools/trawl/type"),
        ('defaultWorkPool="trawl2"', 'there is no pool "trawl2" in workPools'),
        ('sources={"pokeapi":{"workPool":"big"}}', "sources.pokeapi.workPool"),
        ('backup={"external":{"endpoint":"https://s3.example"}}', "backup.existingSecret"),
        ('backup={"existingSecret":"mine"}', "backup.external.endpoint"),
        ('backup={"bucket":"trawl-lake"}', "a bucket of their own"),
        ('backup={"schedule":"61 * * * *"}', "/backup/schedule"),
        ('backup={"keep":0}', "/backup/keep"),
        ('ingress={"enabled":true}', "ingress.host"),
        ('httpRoute={"enabled":true}', "httpRoute.parentRefs"),
        ('bootstrap={"config":{"sourcs":{}}}', "invalid propertyName 'sourcs'"),
        ('networkPolicy={"allowedCidrs":["10.0.0.1"]}', "/networkPolicy/allowedCidrs"),
        ('sources={"Poke":{}}', "Poke"),
        ('sources={"pokeapi":{"discover":{"cron":"hourly"}}}', "/sources/pokeapi/discover/cron"),
        ('sources={"pokeapi":{"discover":{"cron":"61 * * * *"}}}', "/sources/pokeapi/discover/cron"),
        (
            'sources={"pokeapi":{"discover":{"cron":"","timezone":"Europe Berlin"}}}',
            "/sources/pokeapi/discover/timezone",
        ),
        ('sources={"pokeapi":{"baseUrl":"https://me:secret@h"}}', "/sources/pokeapi/baseUrl"),
        ('image={"digest":"abc"}', "/image/digest"),
        ('postgres={"storage":{"size":"big"}}', "/postgres/storage/size"),
        ('podSecurityContext={"runAsUser":0}', "/podSecurityContext/runAsUser"),
        ('logLevel="LOUD"', "/logLevel"),
    ],
)
def test_a_wrong_value_is_refused_by_its_name(chart, wrong, message):
    with pytest.raises(RefusedError, match=re.escape(message)):
        chart(wrong)


SCHEDULE = json.loads((CHART / "values.schema.json").read_text())["$defs"]["schedule"]["properties"]
GOOD_CRONS = [
    "* * * * *",
    "7 * * * *",
    "*/15 0-6,22 1,L jan-Mar,12 MON-FRI",
    "5/20 22-2 ? * mon#2,l5",
    "0 0  29 2 7",
    "",
]
BAD_CRONS = ["60 * * * *", "* 24 * * *", "* * 0 * *", "* * 32 * *", "* * * 0 *", "* * * 13 *", "* * * * 8", "*/0 * * * *", "-1 * * * *",
             "1- * * * *", "1.5 * * * *", "? * * * *", "H * * * *", "R * * * *", "* * 1W * *", "* * * * *#1 *", "* * * *", "x", " "]  # fmt: skip


def allowed(cron):
    return all(re.search(part["pattern"], cron) for part in SCHEDULE["cron"]["allOf"])


@pytest.mark.parametrize("cron", [*GOOD_CRONS, *BAD_CRONS])
def test_the_schema_and_set_up_refuse_the_same_crons(cron):
    assert allowed(cron) == (cron in GOOD_CRONS)
    try:
        Schedule(cron=cron)
    except ValidationError:
        assert cron in BAD_CRONS
    else:
        assert cron in GOOD_CRONS


def test_the_schema_allows_every_time_zone():
    pattern = re.compile(SCHEDULE["timezone"]["pattern"])
    assert not [name for name in available_timezones() if not pattern.search(name)]
    assert not [name for name in ("", "Europe Berlin", "+01:00", "Europe/", "a/b/c/d") if pattern.search(name)]


def test_a_wrong_configuration_is_not_tried_again(manifests):
    """2 is how `trawl` ends then; for all else there is a second try."""
    spec = one(manifests, "Job", "trawl-bootstrap")["spec"]
    (rule,) = spec["podFailurePolicy"]["rules"]
    assert rule == {"action": "FailJob", "onExitCodes": {"containerName": "bootstrap", "operator": "In", "values": [2]}}
    assert [container["name"] for container in spec["template"]["spec"]["containers"]] == ["bootstrap"]
    assert spec["template"]["spec"]["restartPolicy"] == "Never"  # without it Kubernetes refuses the rule
    assert spec["backoffLimit"] > 0


@pytest.mark.parametrize("values", SCENARIOS.values(), ids=SCENARIOS)
@pytest.mark.parametrize("helm", HELM_VERSIONS)
def test_every_helm_renders_the_same(chart, helm, values):
    assert chart(*values, helm=helm) == chart(*values)


@pytest.mark.parametrize("helm", HELM_VERSIONS)
def test_helm_lint_is_silent(helm):
    done = subprocess.run([helm, "lint", "--strict", str(CHART)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_value_is_described():
    schema = json.loads((CHART / "values.schema.json").read_text())

    def undescribed(node, path):
        if "$ref" in node:
            return
        if path and "description" not in node:
            yield path
        for name, child in node.get("properties", {}).items():
            yield from undescribed(child, f"{path}.{name}")

    assert not list(undescribed({"properties": schema["properties"]}, ""))


SCHEMAS = os.environ.get("KUBECONFORM_SCHEMAS")


@pytest.mark.skipif(
    not (SCHEMAS and shutil.which("kubeconform")),
    reason="needs kubeconform and KUBECONFORM_SCHEMAS, a folder of schemas (or `default`: from the internet)",
)
def test_kubernetes_knows_every_field(chart, tmp_path):
    rendered = tmp_path / "rendered.yaml"
    rendered.write_text(yaml.safe_dump_all(chart()))
    done = subprocess.run(
        [
            "kubeconform",
            "-strict",
            "-summary",
            "-kubernetes-version",
            "1.29.0",
            "-schema-location",
            SCHEMAS,
            str(rendered),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_the_template_for_reading_is_the_one_that_is_used(manifests):
    assert yaml.safe_load((KIND_VALUES.parent / "base-job-template.yaml").read_text()) == job_template(manifests)
