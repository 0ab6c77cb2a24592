"""What kubelet and Prometheus ask: on the port of the server, and on one of its own."""

from pathlib import Path

import httpx2
import pytest

from tests.support.clients.http import WITH_TOKEN, asking, refused
from tests.support.herald.process import HeraldProcess
from tests.support.herald.server import serving
from tests.support.servers.nginx import free_port
from tests.support.servers.redis import PrivateValkey

PROBES = ("/healthz", "/readyz", "/metrics")


@pytest.mark.anyio
async def test_probes_may_be_bound_to_some_hosts(module_valkey: PrivateValkey) -> None:
    hosts = "herald.monitoring.svc"
    async with serving(module_valkey.url, probe_hosts=hosts) as server:
        await server.beat()
        async with asking(server) as ask:
            for path in PROBES:
                answer = await ask.get(path, headers={"Host": hosts})
                assert answer.status_code == 200, path
                answer = await ask.get(path, headers={"Host": "evil.example"})
                refused(answer, 421, "HERALD_ALLOWED_HOSTS")
            answer = await ask.get("/api/v1/stats", headers={"Host": hosts})
            refused(answer, 421, "HERALD_ALLOWED_HOSTS")


@pytest.mark.parametrize("workers", ["1", "2"])
def test_the_probe_port_answers_any_host_and_nothing_else(
    module_valkey: PrivateValkey, tmp_path: Path, workers: str
) -> None:
    port = free_port()
    herald = HeraldProcess(
        tmp_path / "server.log",
        *("server", "--store", module_valkey.url, "--workers", workers),
        HERALD_PROBE_PORT=str(port),
        HERALD_PROBE_HOSTS="localhost",
        HERALD_BROKER_URL="",
    )
    herald.start()
    try:
        with httpx2.Client(base_url=f"http://127.0.0.1:{port}") as ask:
            pod = {"Host": "10-1-2-3.herald.svc.cluster.local"}
            assert ask.get("/healthz", headers=pod).status_code == 200
            # There is no monitor.
            assert ask.get("/readyz", headers=pod).status_code == 503
            assert ask.get("/metrics", headers=pod).status_code == 401
            text = ask.get("/metrics", headers=WITH_TOKEN | pod).text
            assert "herald_store_up 1" in text
            for path in ("/", "/api/v1/stats", "/mcp", "/herald.js"):
                answer = ask.get(path, headers=WITH_TOKEN)
                assert answer.status_code == 404
                assert "answers /healthz, /readyz, /metrics only" in answer.text
    finally:
        assert herald.stop()


def test_a_probe_port_in_use_is_said(
    module_valkey: PrivateValkey, tmp_path: Path
) -> None:
    herald = HeraldProcess(
        tmp_path / "server.log",
        *("server", "--store", module_valkey.url),
        HERALD_PROBE_PORT=module_valkey.url.rpartition(":")[2].partition("/")[0],
        HERALD_BROKER_URL="",
    )
    with pytest.raises(AssertionError, match="give another --host or HERALD_PROBE_POR"):
        herald.start()
    assert herald.wait(10) == 1
