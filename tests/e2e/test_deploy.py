"""The files to run Herald with: what they name exists, and nginx serves with ours."""

import asyncio
import json
import os
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any, cast

import httpx2
import promql_parser
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from herald_core.model.monitors import MonitorView
from herald_core.model.tasks.views import to_rfc3339
from herald_core.model.workers.queue import QueueView
from herald_core.settings import DEFAULT_PREFIX, MonitorSettings
from herald_core.system import logs
from herald_monitor.runtime.healthcheck import find_health_problem, judge_monitors
from herald_server.api.observability.metrics import COUNTERS
from herald_server.wiring.settings import ServerSettings
from tests.support.clients.http import WITH_TOKEN, asking
from tests.support.clients.websocket import connected
from tests.support.environment import ROOT
from tests.support.herald.server import make_store, serving
from tests.support.servers.nginx import free_port, serving_as
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until_async

pytestmark = pytest.mark.anyio

DEPLOY = ROOT / "server" / "deploy"
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = ("monitor", "server", "worker", "trickle")


@pytest.fixture
def url(module_valkey: PrivateValkey) -> str:
    return module_valkey.url


# -- docker-compose.yml ------------------------------------------------------------


def test_every_setting_in_the_compose_file_is_one_of_ours() -> None:
    known = {f"HERALD_{name}".upper() for name in ServerSettings.model_fields}
    for name in OURS:
        for key in SERVICES[name]["environment"]:
            assert key in {*known, logs.FORMAT_VARIABLE}, f"{name}: {key}"


def test_what_the_compose_file_refers_to_is_there() -> None:
    for name, service in SERVICES.items():
        for other in service.get("depends_on", {}):
            waits = service["depends_on"][other]["condition"] == "service_healthy"
            assert not waits or _is_checked(other), f"{name} waits for {other}"
        for mount in service.get("volumes", []):
            source = mount.split(":")[0]
            there = source in COMPOSE["volumes"] or (ROOT / source).exists()
            assert there, f"{name}: {source}"
        assert set(service.get("secrets", [])) <= COMPOSE["secrets"].keys()
        if "build" in service:
            assert (ROOT / service["build"]["dockerfile"]).is_file()


def _is_checked(name: str) -> bool:
    service = SERVICES[name]
    if "build" in service:
        return "HEALTHCHECK" in (ROOT / service["build"]["dockerfile"]).read_text()
    return "test" in service.get("healthcheck", {})


@pytest.mark.parametrize("name", OURS)
def test_our_containers_may_do_little(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    file = (ROOT / service["build"]["dockerfile"]).read_text()
    assert re.search(r"^USER \d+$", file, re.MULTILINE), "not root, and by number"


def test_compose_itself_takes_the_file() -> None:
    """Where there is Compose; no engine is needed for it."""
    program = ["docker", "compose"]
    if not shutil.which("docker") or subprocess.call(
        [*program, "version"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ):
        pytest.skip("docker compose is not installed")
    words = [*program, "--profile", "*", "config", "--quiet"]
    env = {**os.environ, "HERALD_TOKEN": "a-token-for-tests"}
    done = subprocess.run(
        words,
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_token_of_all_scopes_is_known_to_the_servers_only() -> None:
    for name, service in SERVICES.items():
        told = json.dumps(service).count("HERALD_TOKEN")
        assert told == 0 or name == "server", name
    assert "HERALD_TOKEN" not in json.dumps(COMPOSE["secrets"])


def test_prometheus_and_grafana_have_secrets_of_their_own() -> None:
    assert SERVICES["prometheus"]["secrets"] == ["herald_read_token"]
    [password] = SERVICES["grafana"]["secrets"]
    used = [
        COMPOSE["secrets"][s]["environment"] for s in ("herald_read_token", password)
    ]
    assert len({"HERALD_TOKEN", *used}) == 3
    environment = SERVICES["grafana"]["environment"]
    given = environment["GF_SECURITY_ADMIN_PASSWORD__FILE"]
    assert given == f"/run/secrets/{password}"
    assert "GF_SECURITY_ADMIN_PASSWORD" not in environment
    assert "HERALD_READ_TOKEN" in SERVICES["server"]["environment"]


async def test_the_token_of_prometheus_reads_metrics_and_orders_nothing(
    url: str,
) -> None:
    held = {"Authorization": "Bearer a-token-to-read-with"}
    async with (
        serving(url, read_token="a-token-to-read-with") as server,
        httpx2.AsyncClient(base_url=server.url, trust_env=False, headers=held) as ask,
    ):
        assert "herald_" in (await ask.get("/metrics")).text
        started = await ask.post("/api/v1/tasks", json={"name": "x"})
        assert started.status_code == 403
        assert (await ask.get("/api/v1/audit")).status_code == 403


def test_images_are_named_by_their_exact_version() -> None:
    for name, service in SERVICES.items():
        image = service.get("image", "a:1.2.3")
        assert re.search(r":v?\d+\.\d+\.\d+(-\w+)?(@sha256:\w{64})?$", image), name


def test_there_are_two_of_what_must_not_fail() -> None:
    for name in ("monitor", "server"):
        assert SERVICES[name]["deploy"]["replicas"] == 2


# -- Prometheus and Grafana -----------------------------------------------------------


def _expressions() -> dict[str, str]:
    """Return name → expression of all alerts and panels."""
    alerts = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text())
    found = {
        rule["alert"]: rule["expr"]
        for group in alerts["groups"]
        for rule in group["rules"]
    }
    board = json.loads((DEPLOY / "grafana/dashboards/herald.json").read_text())
    for panel in board["panels"]:
        for target in panel.get("targets", []):
            found[f"{panel['title']} {target['refId']}"] = target["expr"]
    return found


EXPRESSIONS = _expressions()
SELECTOR = re.compile(r"\b(herald_\w+)(?:\{([^}]*)\})?")


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_every_expression_is_promql(name: str) -> None:
    parse = cast(Any, promql_parser).parse
    assert parse(EXPRESSIONS[name]).prettify()


async def test_every_metric_and_label_of_an_expression_is_told(url: str) -> None:
    labels: dict[str, set[str]] = {}
    now = time.time()
    queue = QueueView(
        id="q",
        name="q",
        depth=1,
        consumers=(),
        oldest_at=to_rfc3339(now),
        as_of=to_rfc3339(now),
    )
    async with serving(url) as server, asking(server) as ask:
        await server.store.store_queues([queue], now=now)
        await server.beat(counters=dict.fromkeys(COUNTERS, 1))
        await server.tell("received", "t", name="n")
        await server.tell("started", "t")
        await server.tell("succeeded", "done", runtime=1.0, result="1")
        async with connected(server) as client:
            journal = await client.subscribe()
            await wait_until_async(lambda: journal.cursor)
            await server.tell("failed", "t", exception="E()")
            await wait_until_async(lambda: client.frames[-1].get("put"))
            text = (await ask.get("/metrics")).text
    for family in text_string_to_metric_families(text):
        labels.setdefault(family.name, set())
        for sample in family.samples:
            labels.setdefault(sample.name, set()).update(sample.labels)
    for name, expression in EXPRESSIONS.items():
        grouped = set(re.findall(r"by \((\w+)\)", expression))
        for metric, matchers in SELECTOR.findall(expression):
            has = labels.get(metric, labels.get(metric.removesuffix("_total")))
            assert has is not None, f"{name}: {metric}"
            asked = set(re.findall(r"(\w+)=", matchers))
            # Without an endpoint nothing shows the labels of its families.
            if not metric.startswith("herald_webhook_"):
                assert asked | grouped <= has, f"{name}: {metric}"


def test_the_blind_notifier_is_an_alert_of_its_own() -> None:
    named = {name for name in EXPRESSIONS if name.startswith(("Herald", "Celery"))}
    assert named >= {
        "HeraldServerDown",
        "HeraldHearsNothing",
        "HeraldStandsStill",
        "CeleryFailsUnusually",
        "CeleryWorkerSilent",
        "CeleryQueueWithoutConsumer",
    }


def test_prometheus_scrapes_what_compose_runs() -> None:
    told = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    own, celery = told["scrape_configs"]
    assert set(own["dns_sd_configs"][0]["names"]) <= SERVICES.keys()
    # Every server shows the same of Celery, so one of them is scraped.
    [target] = celery["static_configs"][0]["targets"]
    assert target.partition(":")[0] in SERVICES
    for job, action in ((own, "drop"), (celery, "keep")):
        assert Path(job["authorization"]["credentials_file"]).name in COMPOSE["secrets"]
        [rule] = job["metric_relabel_configs"]
        assert (rule["regex"], rule["action"]) == ("celery_.*", action)
    for file in told["rule_files"]:
        assert (DEPLOY / "prometheus" / Path(file).name).is_file()


# -- nginx ----------------------------------------------------------------------


def _conf(*servers: str, port: int) -> str:
    text = (DEPLOY / "nginx" / "herald.conf.template").read_text()
    listed = " ".join(f"server {server};" for server in servers)
    text = text.replace("server server:8787;", listed)
    text = text.replace("${HERALD_PUBLIC_HOST}", "127.0.0.1")
    return text.replace("listen 8080", f"listen 127.0.0.1:{port}")


async def test_nginx_spreads_clients_over_two_servers(url: str, tmp_path: Path) -> None:
    prefix = f"{{deploy-{time.time_ns()}}}"
    port = free_port()
    async with (
        serving(url, store=make_store(url, prefix), node="a") as one,
        serving(url, store=make_store(url, prefix), node="b") as two,
    ):
        conf = _conf(*(s.url[7:].rstrip("/") for s in (one, two)), port=port)
        with serving_as(conf, f"http://127.0.0.1:{port}/", tmp_path) as public:
            # The least busy one is asked, and a socket is work.
            async with (
                connected(f"ws{public[4:]}ws") as first,
                connected(f"ws{public[4:]}ws") as second,
            ):
                journals = [await c.subscribe() for c in (first, second)]
                await wait_until_async(lambda: all(j.cursor for j in journals))
                await one.tell("started", "t")
                await wait_until_async(lambda: all("t" in j.items for j in journals))
                nodes = {c.of("hello")[0]["node"] for c in (first, second)}
            assert nodes == {"a", "b"}
            await _turns_away(public)


async def _turns_away(public: str) -> None:
    async with httpx2.AsyncClient(base_url=public, trust_env=False) as ask:
        assert (await ask.get("/healthz")).status_code == 200
        assert (await ask.get("/metrics", headers=WITH_TOKEN)).status_code == 404
        foreign = await ask.get("/healthz", headers={"Host": "evil.example"})
        assert foreign.status_code == 421


# -- the monitor's health check --------------------------------------------------


def monitor(id_: str, connected: bool) -> MonitorView:
    return MonitorView(
        id=id_, started_at=to_rfc3339(0), seen_at=to_rfc3339(0), connected=connected
    )


def test_a_monitor_is_well_if_it_hears_its_broker() -> None:
    living = [monitor("box-1", True), monitor("my-box-7", False)]
    assert judge_monitors(living, None, "box") == ""
    assert "not connected to the broker" in judge_monitors(living, None, "my-box")
    assert "has spoken" in judge_monitors(living, None, "other")
    assert judge_monitors(living, "box-1", "other") == ""


async def test_the_check_looks_into_the_store(valkey: PrivateValkey) -> None:
    settings = MonitorSettings(store_url=valkey.url, node="here")
    assert "no monitor of here" in await find_health_problem(settings)
    store = make_store(valkey.url, DEFAULT_PREFIX)
    await store.open()
    await store.record_heartbeat(monitor("here", True), now=time.time())
    await store.close()
    assert await asyncio.wait_for(find_health_problem(settings), 30) == ""
