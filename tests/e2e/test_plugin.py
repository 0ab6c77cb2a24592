"""`celery -A shop herald` beside a project with ways of its own: no setting touched."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
import urllib.request
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from herald_core.system.subprocesses import spawn, terminate
from tests.support.celery.default_project import Stranger
from tests.support.servers.redis import PrivateValkey
from tests.support.servers.redis_connections import redis_by_tls, sentinel_of
from tests.support.wait import wait_until

pytestmark = [pytest.mark.celery, pytest.mark.timeout(240)]

OWN_WAYS = """
app.conf.update(
    event_exchange="shop-events",
    control_exchange="shop-control",
    task_default_queue="orders",
    task_serializer="pickle",
    result_serializer="pickle",
    accept_content=["json", "pickle"],
    broker_transport_options={"global_keyprefix": "shop:"},
)
"""


BY_TLS = """
import ssl

tls = {{"ssl_cert_reqs": ssl.CERT_REQUIRED, "ssl_ca_certs": "{authority}"}}
app.conf.update(broker_use_ssl=tls, redis_backend_use_ssl=tls)
"""

BY_SENTINEL = """
app.conf.update(
    broker_transport_options={"master_name": "mymaster"},
    result_backend_transport_options={"master_name": "mymaster"},
)
"""

Ways = tuple[str, str, str]
"""Broker, result backend, and what else the project sets."""


@contextlib.contextmanager
def ways_of(kind: str, valkey: PrivateValkey, place: Path) -> Generator[Ways]:
    """Run what a project of some kind needs."""
    if kind == "own ways":
        yield valkey.url, valkey.url[:-1] + "1", OWN_WAYS
    elif kind == "tls":
        with redis_by_tls(place) as (port, authority):
            broker = f"rediss://127.0.0.1:{port}/"
            yield broker + "0", broker + "1", BY_TLS.format(authority=authority)
    else:
        with sentinel_of(valkey, place) as port:
            broker = f"sentinel://127.0.0.1:{port}/"
            yield broker + "0", broker + "1", BY_SENTINEL


@pytest.fixture(
    params=[
        "own ways",
        pytest.param("tls", marks=pytest.mark.soak),
        pytest.param("sentinel", marks=pytest.mark.soak),
    ]
)
def stranger(
    request: pytest.FixtureRequest, valkey: PrivateValkey, tmp_path: Path
) -> Iterator[Stranger]:
    with ways_of(request.param, valkey, tmp_path) as (broker, backend, more):
        made = Stranger(tmp_path / "shop", broker, backend, "solo")
        shop = made.place / "shop.py"
        shop.write_text(shop.read_text() + more)
        exec(more, {"app": made.app})
        made.env["C_FORCE_ROOT"] = "1"  # in a container, with pickle
        yield made
        made.stop()


class Plugin:
    """The command as a process, with what it prints."""

    def __init__(self, stranger: Stranger, home: Path) -> None:
        self._log = home / "plugin.log"
        words = [sys.executable, "-m", "celery", "--workdir", str(stranger.place)]
        words += ["-A", "shop", "herald", "--port", "0"]
        env = {k: v for k, v in stranger.env.items() if not k.startswith("HERALD_")}
        self._process: subprocess.Popen[bytes] = spawn(
            words, self._log, env={**env, "XDG_STATE_HOME": str(home)}
        )

    def said(self, pattern: str) -> str:
        """Wait until it says something, and return the part in brackets."""
        found: list[str] = []

        def says() -> bool:
            assert self._process.poll() is None, self._log.read_text()
            found[:] = re.findall(pattern, self._log.read_text())
            return bool(found)

        wait_until(says, 60, f"{pattern}; see {self._log}")
        return found[0]

    def get(self, path: str) -> Any:
        """Return what a GET answers, with the token that it printed."""
        token, url = self.said(r"#token=(\S+)"), self.said(r"ready (http\S+)")
        head = {"Authorization": f"Bearer {token}"}
        request = urllib.request.Request(url + path, headers=head)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def stop(self) -> bool:
        """Send SIGTERM; say whether it went by itself."""
        return terminate(self._process, 8.0)


def test_a_project_with_ways_of_its_own_is_heard_without_any_setting(
    stranger: Stranger, tmp_path: Path
) -> None:
    stranger.start_worker(1)
    plugin = Plugin(stranger, tmp_path)
    try:
        page = urllib.request.urlopen(plugin.said(r"ready (http\S+)"), timeout=10)
        with page as answer:
            assert b"<title>Herald" in answer.read()
        sent = cast(Any, stranger.app).send_task("shop.pay", (21,)).id
        wait_until(lambda: state(plugin, sent) == "SUCCESS", 30, "it is told")
        task = plugin.get(f"api/v1/tasks/{sent}")
        assert (task["name"], task["result"]) == ("shop.pay", "42")
        queue = str(cast(Any, stranger.app.conf).task_default_queue)
        wait_until(lambda: queue in queues(plugin), 30, "its queue is measured")
        (worker,) = plugin.get("api/v1/workers")["workers"]
        assert worker["state"] == "online"
    finally:
        assert plugin.stop()


def state(plugin: Plugin, task_id: str) -> str:
    tasks = plugin.get("api/v1/tasks")["tasks"]
    return next((one["state"] for one in tasks if one["id"] == task_id), "")


def queues(plugin: Plugin) -> set[str]:
    return {one["name"] for one in plugin.get("api/v1/queues")["queues"]}
