"""Users of least rights, as the documentation gives them, are enough for Herald."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import urllib.error
from http import HTTPStatus
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote, urlsplit, urlunsplit

import pytest
from celery import group
from celery.result import GroupResult

from tests.support.celery.default_project import Stranger
from tests.support.celery.outbox_stream import AUTO
from tests.support.environment import DOCS, ROOT, missing
from tests.support.herald.process import HeraldProcess
from tests.support.servers.rabbitmq import rabbitmq
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until

pytestmark = [
    pytest.mark.celery,
    pytest.mark.timeout(240),
    # Celery stores groups by a command that redis-py 8 calls deprecated.
    pytest.mark.filterwarnings("ignore:Call to deprecated setex"),
]

PAGE = (DOCS / "guides" / "run" / "brokers.md").read_text()


def documented(line: str) -> list[str]:
    """Return the words of the documented command that begins with `line`."""
    found = re.search(rf"^{re.escape(line)} (.*)$", PAGE, re.MULTILINE)
    assert found, f"{line} is not documented"
    return shlex.split(found[1].replace(">PASSWORD", "\\>secret"))


def make_user(server: PrivateValkey, name: str) -> None:
    with server.client() as plain:
        words = ("ACL", "SETUSER", name, "reset", *documented(f"ACL SETUSER {name}"))
        cast(Any, plain).execute_command(*words)


def use_all(herald: HeraldProcess, made: Stranger) -> None:
    """Hear a task, ask about one that waits, start one, cancel, and look at queues."""
    herald.start()
    wait_until(lambda: _connected(herald), 30, "the monitor hears")
    app = cast(Any, made.app)
    done = app.send_task("shop.pay", (3,)).id
    waits = app.send_task("shop.pay", (3,), queue="nobodys").id
    wait_until(lambda: _state(herald, done) == "SUCCESS", 30, "it is heard")
    wait_until(lambda: _state(herald, waits) != "UNKNOWN", 30, "it is known")
    herald.get(f"api/v1/tasks/{quote(waits)}/why")
    told = herald.get(f"api/v1/tasks/{quote(done)}/result")
    assert "6" in str(told), told
    body = {"task_type": "shop.pay", "params": {"amount": 4}}
    started = herald.post("api/v1/tasks", body)["task_id"]
    wait_until(lambda: _state(herald, started) == "SUCCESS", 30, "what was started ran")
    cancelled = herald.post(f"api/v1/tasks/{quote(waits)}/cancel", {})
    assert cancelled["outcome"] in ("taken", "revoked"), cancelled
    members = group([app.signature("shop.pay", (n,)) for n in range(2)], app=app)
    group_id = _saved(members())
    wait_until(lambda: _is_done(herald, group_id), 30, "the group is known to its end")
    wait_until(lambda: _measured(herald), 30, "queues are measured")
    health = herald.get("api/v1/health")
    assert not any(one.get("trouble") for one in health["monitors"]), health


def _state(herald: HeraldProcess, task_id: str) -> str:
    """Return the state of a task; `UNKNOWN` while the server does not know it."""
    try:
        return str(herald.get(f"api/v1/tasks/{quote(task_id)}")["state"])
    except urllib.error.HTTPError as error:
        error.close()
        if error.code != HTTPStatus.NOT_FOUND:
            raise
        return "UNKNOWN"


def _saved(whole: GroupResult) -> str:
    """Save a group; forget it here, where it would listen to its results."""
    whole.save()
    for one in whole.results or ():
        cast(Any, one).backend = None
    return str(whole.id)


def _is_done(herald: HeraldProcess, group_id: str) -> bool:
    try:
        told = herald.get(f"api/v1/groups/{group_id}")
    except urllib.error.HTTPError as error:
        error.close()
        return False
    return bool(told["done"] and told["whole"] and told["total"] == 2)


def _connected(herald: HeraldProcess) -> bool:
    health = herald.get("api/v1/health")
    return any(one.get("connected") for one in health["monitors"])


def _measured(herald: HeraldProcess) -> bool:
    queues = {one["name"]: one for one in herald.get("api/v1/queues")["queues"]}
    return bool(queues.get("nobodys", {}).get("depth") == 1)


def up(tmp_path: Path, broker: str, backend: str) -> HeraldProcess:
    catalog = tmp_path / "herald.toml"
    catalog.write_text('allow = ["shop.*"]\n')
    words = ("up", "--broker", broker, "--backend", backend, "--catalog", str(catalog))
    return HeraldProcess(
        tmp_path / "herald.log",
        *words,
        HERALD_QUEUES_EVERY="1",
        HERALD_RECONCILE_EVERY="1",
    )


def doctor(broker: str, backend: str, tmp_path: Path) -> str:
    """Return what `herald doctor` says."""
    words = ("doctor", "--broker", broker, "--backend", backend)
    done = subprocess.run(
        [sys.executable, "-m", "herald_server", *words],
        env={"PYTHONPATH": str(ROOT), "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        timeout=90,
        check=False,
    )
    return done.stdout.decode()


def stranger(tmp_path: Path, broker: str, backend: str, *extra: str) -> Stranger:
    made = Stranger(tmp_path / "shop", broker, backend, "threads")
    shop = made.place / "shop.py"
    settings = "app.conf.update(task_send_sent_event=True, result_extended=True)\n"
    shop.write_text(f"{shop.read_text()}\n{settings}")
    made.start_worker(2, *extra)
    cast(Any, made.app).conf.task_send_sent_event = True
    return made


@pytest.mark.parametrize("extra", [(), AUTO], ids=["events", "outbox"])
def test_redis(valkey: PrivateValkey, tmp_path: Path, extra: tuple[str, ...]) -> None:
    make_user(valkey, "herald-broker")
    make_user(valkey, "herald-backend")
    plain = f"{valkey.url[:-1]}1"
    broker = valkey.url.replace("//", "//herald-broker:secret@")
    backend = plain.replace("//", "//herald-backend:secret@")
    made = stranger(tmp_path, valkey.url, plain, *extra)
    try:
        herald = up(tmp_path, broker, backend)
        use_all(herald, made)
        told = doctor(broker, backend, tmp_path)
        if extra:
            [monitor] = herald.get("api/v1/health")["monitors"]
            assert monitor["outbox"]["exists"]
            assert monitor["counters"]["outbox_events"]
        assert herald.stop()
    finally:
        made.stop()
    with valkey.client() as client:
        log = cast(Any, client).execute_command("ACL", "LOG")
    assert "Celery 5" in told, told
    entries = cast("list[dict[bytes, bytes]]", log)
    denied = {one[b"object"].decode() for one in entries}
    assert denied <= {"info", "time"}, "only the doctor would like to know"


@pytest.mark.rabbitmq
def test_rabbitmq(
    valkey: PrivateValkey, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    with rabbitmq() as url:
        parts = urlsplit(url)
        vhost = parts.path.removeprefix("/")
        if not vhost.startswith("herald-test-"):
            missing("a virtual host of one's own (rabbitmqctl)")
        name = f"herald-{vhost[-8:]}"
        ctl("add_user", name, "secret")
        request.addfinalizer(lambda: ctl("delete_user", name))
        # The documented words are: VHOST herald CONFIGURE WRITE READ.
        _, _, *rights = documented("rabbitmqctl set_permissions -p")
        ctl("set_permissions", "-p", vhost, name, *rights)
        host = parts.netloc.rpartition("@")[2]
        broker = urlunsplit(parts._replace(netloc=f"{name}:secret@{host}"))
        backend = f"{valkey.url[:-1]}1"
        made = stranger(tmp_path, url, backend)
        try:
            herald = up(tmp_path, broker, backend)
            use_all(herald, made)
            told = doctor(broker, backend, tmp_path)
            assert herald.stop()
        finally:
            made.stop()
    assert "Celery 5" in told, told
    assert "is not allowed" not in told + herald.log.read_text()


def ctl(*words: str) -> None:
    subprocess.run(
        ["rabbitmqctl", "-q", *words], capture_output=True, timeout=30, check=True
    )
