"""`herald doctor` before real brokers and workers that are set wrongly, and rightly."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import msgspec
import pytest
from celery import Celery

from herald_core.model.workers.queue_pause import QueuePause
from herald_core.settings import MonitorSettings
from herald_core.store.redis.store import RedisStore
from herald_monitor.celery_client.app.celery_app import make_app
from herald_server.cli.doctor.broker import ask_broker
from herald_server.cli.doctor.collect import collect
from herald_server.cli.doctor.report import Finding
from herald_server.cli.doctor.rules import find_problems, is_healthy
from herald_server.control.workers.pause_book import PauseBook
from tests.support.celery.default_project import Stranger
from tests.support.celery.outbox_stream import AUTO
from tests.support.environment import ROOT
from tests.support.servers.redis import PrivateValkey

pytestmark = pytest.mark.timeout(240)

Told = dict[str, Any]

WRONG_CLOCK = """
import time
true = time.time
time.time = lambda: true() + 90
"""

SILENT = """

@app.task(send_events=False)
def hush():
    return None
"""

AS_IT_SHOULD_BE = """
app.conf.update(task_send_sent_event=True, result_extended=True)
"""


def doctor(app: Celery, store: str, **settings: Any) -> Told:
    """Visit, and return what is found and said as `--json` prints it."""
    given = MonitorSettings(store_url=store, **settings)
    facts = asyncio.run(collect(given, app, store=True))
    said = find_problems(facts)
    told: Told = msgspec.to_builtins({"findings": said, "facts": facts})
    return told


def fixes(told: Told) -> dict[str, str]:
    """Return the line to add by the code of its finding."""
    return {one["code"]: one.get("fix", "") for one in told["findings"]}


@pytest.fixture
def stranger(valkey: PrivateValkey, tmp_path: Path) -> Iterator[Stranger]:
    made = Stranger(tmp_path / "shop", valkey.url, valkey.url[:-1] + "1", "solo")
    yield made
    made.stop()


@pytest.mark.celery
def test_each_setting_that_is_wrong_is_named_with_the_line_that_mends_it(
    stranger: Stranger, valkey: PrivateValkey
) -> None:
    (stranger.place / "sitecustomize.py").write_text(WRONG_CLOCK)
    shop = stranger.place / "shop.py"
    shop.write_text(shop.read_text() + SILENT)
    stranger.env["PYTHONPATH"] = str(stranger.place)
    stranger.start_worker(1)
    with valkey.client() as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
    told = doctor(cast(Any, stranger.app), valkey.url[:-1] + "2")
    assert fixes(told) == {
        **dict.fromkeys(
            ["broker_evicts", "result_backend_evicts", "store_evicts"],
            "CONFIG SET maxmemory-policy noeviction, and in redis.conf: "
            "maxmemory-policy noeviction",
        ),
        "events_off": "app.conf.worker_send_task_events = True, or start them with -E",
        "task_send_sent_event_off": "app.conf.task_send_sent_event = True",
        "result_extended_off": "app.conf.result_extended = True",
        "clock_skew": "timedatectl set-ntp true",
        "silent_tasks": "@app.task(send_events=True)",
        "no_monitor": "herald up -A PROJECT",
        "no_outbox": "celery -A PROJECT worker -I herald_worker.auto",
    }
    (worker,) = told["facts"]["workers"]
    assert worker["skew"] == pytest.approx(90, abs=1.5)
    assert [*worker["silent"]] == ["shop.hush"]
    ask = cast(Any, stranger.app).control.broadcast
    [again] = ask("enable_events", reply=True, timeout=5, limit=1)
    assert [*again.values()] == [{"ok": "task events enabled"}], "they were off again"


@pytest.mark.celery
@pytest.mark.soak
@pytest.mark.parametrize(
    ("words", "wrong"),
    [(["-E"], set[str]()), (["-E", "--without-heartbeat"], {"no_heartbeat"})],
)
def test_a_worker_as_it_should_be_and_one_that_does_not_beat(
    stranger: Stranger, valkey: PrivateValkey, words: list[str], wrong: set[str]
) -> None:
    shop = stranger.place / "shop.py"
    shop.write_text(shop.read_text() + AS_IT_SHOULD_BE)
    stranger.start_worker(1, *words)
    told = doctor(cast(Any, stranger.app), valkey.url[:-1] + "2")
    said = [Finding(**one) for one in told["findings"]]
    assert {one.code for one in said} == {"no_monitor", "no_outbox", *wrong}
    assert is_healthy(said) is not bool(wrong)
    (worker,) = told["facts"]["workers"]
    assert worker["events"] is True
    assert wrong or worker["version"].startswith("5.")


@pytest.mark.celery
def test_a_worker_with_the_outbox_is_as_it_should_be(
    stranger: Stranger, valkey: PrivateValkey
) -> None:
    shop = stranger.place / "shop.py"
    shop.write_text(shop.read_text() + AS_IT_SHOULD_BE)
    stranger.start_worker(1, *AUTO)
    told = doctor(cast(Any, stranger.app), valkey.url[:-1] + "2")
    assert set(fixes(told)) == {"no_monitor"}
    (worker,) = told["facts"]["workers"]
    assert (worker["outbox"], worker["events"]) == (True, True)
    assert worker["version"].startswith("5.")
    assert abs(worker["skew"]) < 1.5
    (stream,) = told["facts"]["outbox"]["streams"]
    assert stream["exists"]
    assert "has_group" not in stream, "nothing was made there"
    with valkey.client() as client:
        assert cast(Any, client).xinfo_groups(stream["name"]) == []
        assert cast(Any, client).exists(f"{stream['name']}:doctor") == 0


@pytest.mark.celery
def test_who_sends_by_the_broker_is_named_where_workers_use_the_outbox(
    stranger: Stranger, valkey: PrivateValkey
) -> None:
    shop = stranger.place / "shop.py"
    shop.write_text(shop.read_text() + AS_IT_SHOULD_BE)
    stranger.start_worker(1, *AUTO)
    producer = cast(Any, stranger.app)
    producer.conf.task_send_sent_event = True
    stop = threading.Event()

    def send() -> None:
        while not stop.wait(0.2):
            producer.send_task("shop.pay", (1,))

    sending = threading.Thread(target=send)
    sending.start()
    try:
        told = doctor(make_app(valkey.url), valkey.url[:-1] + "2")
    finally:
        stop.set()
        sending.join()
    assert "producers_without_outbox" in fixes(told)
    assert [*told["facts"]["producers"]] == [socket.gethostname()]


def test_rights_that_the_outbox_lacks_are_named(valkey: PrivateValkey) -> None:
    with valkey.client() as client:
        words = ("reset", "on", ">pw", "~*", "&*", "+@all", "-xack", "-xclaim", "-info")
        cast(Any, client).execute_command("ACL", "SETUSER", "monitor", *words)
    place = urlsplit(valkey.url)
    user = f"redis://monitor:pw@{place.hostname}:{place.port}/0"
    told = doctor(make_app(valkey.url), valkey.url[:-1] + "2", outbox_url=user)
    assert [*told["facts"]["outbox"]["missing"]] == ["XACK", "XCLAIM"]
    assert fixes(told)["outbox_rights"].endswith("+xack +xclaim")
    assert fixes(told)["outbox_unseen"] == "ACL SETUSER USER +info"


def test_a_queue_that_is_paused_by_an_order_is_told(valkey: PrivateValkey) -> None:
    pause = QueuePause(queue="mail", who="ops", since="2026-11-30T02:13:00Z")

    async def store() -> None:
        place = RedisStore(valkey.url)
        await place.open()
        await PauseBook(place).add(pause)
        await place.close()

    asyncio.run(store())
    told = doctor(make_app(valkey.url), valkey.url)
    assert [*told["facts"]["paused"]] == [
        {"name": "mail", "who": "ops", "since": "2026-11-30T02:13:00Z"}
    ]
    assert fixes(told)["queue_paused"] == "herald queue resume mail"


def test_what_cannot_be_reached_is_an_error(tmp_path: Path) -> None:
    away = "redis://127.0.0.1:1/0"
    words = ("--broker", away, "--backend", away, "--store", away, "--json")
    done = subprocess.run(
        [sys.executable, "-m", "herald_server", "doctor", *words],
        env={**os.environ, "XDG_STATE_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        timeout=60,
        check=False,
    )
    told = json.loads(done.stdout)
    assert (done.returncode, told["healthy"]) == (1, False)
    assert [one["level"] for one in told["findings"]] == ["error"] * 3
    assert set(fixes(told)) == {
        *("broker_unreachable", "result_backend_unreachable", "store_unreachable"),
    }


@pytest.mark.rabbitmq
def test_rabbitmq_is_asked_what_it_is(amqp_url: str) -> None:
    place = ask_broker(make_app(amqp_url))
    assert place.software.startswith("RabbitMQ ")
    assert place.is_reachable
