"""The Helm chart and the units of systemd: what they render, and what they name."""

import configparser
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, cast

import kubernetes_validate
import pytest
import yaml

from herald_core.system import logs
from herald_server.wiring.settings import ServerSettings
from tests.support.environment import ROOT
from tests.support.helm_template import Chart

CHART = ROOT / "server" / "deploy" / "helm"
SYSTEMD = ROOT / "server" / "deploy" / "systemd"
SETTINGS = {f"HERALD_{name}".upper() for name in ServerSettings.model_fields}
KNOWN = {*SETTINGS, *(f"{name}_FILE" for name in SETTINGS), logs.FORMAT_VARIABLE}
FEATURES = ("ingress", "serviceMonitor", "networkPolicy")
OPERATOR = "monitoring.coreos.com/"
EVERYTHING: dict[str, dict[str, Any]] = {
    "env": {"HERALD_RETENTION": "5"},
    "ingress": {"tlsSecret": "tls", "className": "nginx"},
    "networkPolicy": {"from": [{"namespaceSelector": {}}]},
    "server": {"allowedHosts": ["herald.example"], "nodeSelector": {"disk": "ssd"}},
}


def render(chart: Chart) -> list[dict[str, Any]]:
    return chart.render("demo", "jobs")


@pytest.fixture
def usual() -> list[dict[str, Any]]:
    """What the chart renders by default."""
    return render(Chart(CHART))


@pytest.fixture
def whole() -> list[dict[str, Any]]:
    """What it renders with everything switched on."""
    chart = Chart(CHART)
    for name in FEATURES:
        chart.values[name]["enabled"] = True
    for name, values in EVERYTHING.items():
        chart.values[name].update(values)
    return render(chart)


def find(documents: list[dict[str, Any]], kind: str, name: str) -> dict[str, Any]:
    [found] = [
        one
        for one in documents
        if (one["kind"], one["metadata"]["name"]) == (kind, f"demo-herald{name}")
    ]
    return found


@pytest.mark.parametrize("which", ["usual", "whole"])
def test_kubernetes_takes_every_object(
    which: str, request: pytest.FixtureRequest
) -> None:
    documents: list[dict[str, Any]] = request.getfixturevalue(which)
    for one in documents:
        # Kinds of the Prometheus Operator are not Kubernetes' own.
        if not one["apiVersion"].startswith(OPERATOR):
            cast(Any, kubernetes_validate).validate(one, "1.31", strict=True)


def test_only_what_is_switched_on_is_rendered(
    usual: list[dict[str, Any]], whole: list[dict[str, Any]]
) -> None:
    more = {one["kind"] for one in whole} - {one["kind"] for one in usual}
    assert more == {"Ingress", "ServiceMonitor", "ScrapeConfig", "NetworkPolicy"}


@pytest.mark.parametrize("kind", ["monitor", "server"])
def test_pods_may_do_little(whole: list[dict[str, Any]], kind: str) -> None:
    pod = find(whole, "Deployment", f"-{kind}")["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert not pod["automountServiceAccountToken"]
    # A service named herald would set HERALD_PORT in every pod.
    assert pod["enableServiceLinks"] is False
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}


@pytest.mark.parametrize("kind", ["monitor", "server"])
def test_settings_exist_and_secrets_are_files(
    whole: list[dict[str, Any]], kind: str
) -> None:
    pod = find(whole, "Deployment", f"-{kind}")["spec"]["template"]["spec"]
    [container] = pod["containers"]
    env = {one["name"]: one["value"] for one in container["env"]}
    assert env.keys() <= KNOWN
    [secret] = [one["secret"] for one in pod["volumes"] if "secret" in one]
    [mount] = [one for one in container["volumeMounts"] if one["name"] == "secrets"]
    files = {f"{mount['mountPath']}/{one['path']}" for one in secret["items"]}
    assert {v for name, v in env.items() if name.endswith("_FILE")} == files
    assert ("HERALD_TOKEN_FILE" in env) == (kind == "server")


def test_probes_and_prometheus_use_the_probe_port(whole: list[dict[str, Any]]) -> None:
    [container] = find(whole, "Deployment", "-server")["spec"]["template"]["spec"][
        "containers"
    ]
    ports = {one["name"]: one["containerPort"] for one in container["ports"]}
    env = {one["name"]: one["value"] for one in container["env"]}
    assert env["HERALD_PROBE_PORT"] == str(ports["probes"])
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert container[probe]["httpGet"] == {"path": "/healthz", "port": "probes"}
    service = find(whole, "Service", "")["spec"]
    assert {one["targetPort"] for one in service["ports"]} == ports.keys()
    [endpoint] = find(whole, "ServiceMonitor", "")["spec"]["endpoints"]
    assert endpoint["port"] == "probes"
    [static] = find(whole, "ScrapeConfig", "-celery")["spec"]["staticConfigs"]
    assert static["targets"] == [f"demo-herald.jobs.svc:{ports['probes']}"]


def test_celery_is_scraped_once(whole: list[dict[str, Any]]) -> None:
    """Boards sum over instances, and every server shows the same."""
    [pods] = find(whole, "ServiceMonitor", "")["spec"]["endpoints"]
    once = find(whole, "ScrapeConfig", "-celery")["spec"]
    rules = [pods["metricRelabelings"], once["metricRelabelings"]]
    assert [rule["action"] for [rule] in rules] == ["drop", "keep"]
    assert {rule["regex"] for [rule] in rules} == {"celery_.*"}
    assert "celery" in once["jobName"], "celery-mixin selects by it"


def test_selectors_select_the_pods(whole: list[dict[str, Any]]) -> None:
    for kind in ("monitor", "server"):
        spec = find(whole, "Deployment", f"-{kind}")["spec"]
        labels = spec["template"]["metadata"]["labels"]
        budget = find(whole, "PodDisruptionBudget", f"-{kind}")["spec"]
        for selector in (spec["selector"], budget["selector"]):
            assert selector["matchLabels"].items() <= labels.items()
        is_served = find(whole, "Service", "")["spec"]["selector"].items()
        assert (is_served <= labels.items()) == (kind == "server")


def test_hosts_are_joined(whole: list[dict[str, Any]]) -> None:
    [container] = find(whole, "Deployment", "-server")["spec"]["template"]["spec"][
        "containers"
    ]
    env = {one["name"]: one["value"] for one in container["env"]}
    assert env["HERALD_ALLOWED_HOSTS"] == "herald.example,demo-herald"


def test_helm_renders_the_same(tmp_path: Path) -> None:
    """Where there is Helm."""
    if not (helm := shutil.which("helm")):
        pytest.skip("helm is not installed")
    chart = Chart(CHART)
    subprocess.run([helm, "lint", "--strict", str(CHART)], check=True, timeout=60)
    words = ["template", "demo", str(CHART), "--namespace", "jobs", "--set"]
    words.append(",".join(f"{name}.enabled=true" for name in FEATURES))
    said = subprocess.run(
        [helm, *words], check=True, timeout=60, capture_output=True, text=True
    ).stdout
    for name in FEATURES:
        chart.values[name]["enabled"] = True
    theirs = [one for one in yaml.safe_load_all(said) if one]

    def order(one: dict[str, Any]) -> str:
        return json.dumps([one["kind"], one["metadata"]["name"]])

    assert sorted(theirs, key=order) == sorted(render(chart), key=order)


# -- systemd -------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["monitor", "server"])
def test_units_name_settings_and_credentials_that_exist(kind: str) -> None:
    text = (SYSTEMD / f"herald-{kind}.service").read_text()
    unit = configparser.RawConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(text)
    assert unit["Service"]["ExecStart"].endswith(f"/herald {kind}")
    named = dict(re.findall(r"^Environment=(\w+)=%d/([\w-]+)$", text, re.M))
    assert named
    assert named.keys() <= KNOWN
    loaded = re.findall(r"^LoadCredential=([\w-]+):/etc/herald/[\w-]+$", text, re.M)
    assert set(named.values()) == set(loaded)
    assert ("HERALD_TOKEN_FILE" in named) == (kind == "server")
    assert unit["Service"]["DynamicUser"] == "yes"


def test_systemd_itself_takes_the_units(tmp_path: Path) -> None:
    """Where there is systemd; none needs to run."""
    if not (analyze := shutil.which("systemd-analyze")):
        pytest.skip("systemd-analyze is not installed")
    for unit in SYSTEMD.glob("*.service"):
        # The program is not installed here.
        text = re.sub(
            r"^ExecStart=\S+", "ExecStart=/bin/true", unit.read_text(), flags=re.M
        )
        (tmp_path / unit.name).write_text(text)
        done = subprocess.run(
            [analyze, "verify", "--man=no", str(tmp_path / unit.name)],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert done.returncode == 0, done.stderr
