"""A day in the life of Herald, and the broker as it was before: key by key."""

from __future__ import annotations

import threading
import time
import urllib.error
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote, urlsplit

import msgspec
import pytest

from tests.support.celery.default_project import Stranger
from tests.support.environment import missing
from tests.support.herald.process import HeraldProcess
from tests.support.servers.broker_contents import (
    Imprint,
    list_rabbitmq_queues,
    rabbitmq_imprint,
    redis_imprint,
)
from tests.support.servers.fault_proxy import Proxy
from tests.support.servers.rabbitmq import rabbitmq
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until

pytestmark = [pytest.mark.celery, pytest.mark.timeout(240)]

A_DAY = """
app.conf.broker_transport_options = {"visibility_timeout": 86_400}
app.conf.result_expires = 86_400
"""

Take = Callable[[], Imprint]


@pytest.fixture
def shop(valkey: PrivateValkey, tmp_path: Path) -> Iterator[Stranger]:
    """A project of a stranger on Redis, with a message that seems long held."""
    made = Stranger(tmp_path / "shop", valkey.url, f"{valkey.url[:-1]}1", "threads")
    yield from _with_worker(made)


@pytest.fixture
def amqp_shop(valkey: PrivateValkey, tmp_path: Path) -> Iterator[tuple[Stranger, str]]:
    """The same on RabbitMQ, in a virtual host of its own."""
    with rabbitmq() as url:
        vhost = urlsplit(url).path.removeprefix("/")
        if not vhost.startswith("herald-test-"):
            missing("a virtual host of one's own (rabbitmqctl)")
        made = Stranger(tmp_path / "shop", url, f"{valkey.url[:-1]}1", "threads")
        for found in _with_worker(made):
            yield found, vhost


def _with_worker(made: Stranger) -> Iterator[Stranger]:
    path = made.place / "shop.py"
    path.write_text(path.read_text() + A_DAY)
    made.start_worker(2)
    # The test's own connections and questions are not what is looked for.
    cast(Any, made.app).close()
    yield made
    made.stop()


def hold(server: PrivateValkey) -> None:
    """Let a message be out for longer than kombu's hour: some worker has it."""
    message = {"headers": {"id": "held-1", "task": "shop.pack"}, "properties": {}}
    told = [message, "celery", "celery"]
    with server.client() as plain:
        client = cast(Any, plain)
        client.hset("unacked", "tag-1", msgspec.json.encode(told).decode())
        client.zadd("unacked_index", {"tag-1": time.time() - 4_000})


def send_all(made: Stranger) -> tuple[str, str]:
    """Send tasks that end, and one that waits where nobody is; return two ids."""
    app = cast(Any, made.app)
    done = [app.send_task("shop.pay", (n,)).id for n in range(3)]
    app.send_task("shop.refuse", ("no",))
    waits = app.send_task("shop.pay", (9,), queue="nobodys").id
    wait_until(
        lambda: app.AsyncResult(done[-1]).state == "SUCCESS", 30, "the worker works"
    )
    app.close()
    return done[0], waits


def live(herald: HeraldProcess, line: Proxy, ids: list[str]) -> None:
    """Ask all there is to be asked, through an outage, and cancel; then stop."""
    wait_until(lambda: connected(herald), 30, "the monitor hears")
    ask(herald, *ids)
    for number in range(2):
        # In the middle of a question, too.
        threading.Timer(0.1 * number, line.refuse).start()
        ask(herald, *ids)
        wait_until(lambda: not connected(herald), 30, "the monitor knows")
        line.heal()
        wait_until(lambda: connected(herald), 30, "the monitor hears again")
    ask(herald, *ids)
    told = herald.post(f"api/v1/tasks/{quote(ids[-1])}/cancel", {})
    assert told["outcome"], told
    ask(herald, *ids)
    assert herald.stop(), "it went by itself"


def ask(herald: HeraldProcess, *ids: str) -> None:
    """Ask what takes a question to the workers, the broker or the backend."""
    paths = [f"api/v1/tasks/{one}/{what}" for one in ids for what in ("why", "result")]
    for path in [*paths, "api/v1/workers", "api/v1/queues", "api/v1/health"]:
        try:
            herald.get(path)
        except urllib.error.HTTPError as error:
            error.close()


def connected(herald: HeraldProcess) -> bool:
    """Say whether a monitor hears the broker."""
    health = herald.get("api/v1/health")
    return any(one.get("connected") for one in health["monitors"])


def up(made: Stranger, line: Proxy, tmp_path: Path) -> HeraldProcess:
    backend = cast(Any, made.app).conf.result_backend
    words = ("up", "--broker", line.url, "--backend", backend)
    return HeraldProcess(
        tmp_path / "herald.log",
        *words,
        HERALD_QUEUES_EVERY="1",
        HERALD_RECONCILE_EVERY="1",
    )


def test_redis_is_as_it_was(
    shop: Stranger,
    valkey: PrivateValkey,
    proxy: Callable[[str], Proxy],
    tmp_path: Path,
) -> None:
    ids = list(send_all(shop))
    hold(valkey)
    before = redis_imprint(valkey)
    assert "0:unacked" in before
    line = proxy(valkey.url)
    herald = up(shop, line, tmp_path)
    herald.start()
    live(herald, line, ids)
    after = redis_imprint(valkey)
    ordered(after, ids[-1])
    # The worker's own lock, while it looks for what it may put back.
    for found in (before, after):
        found.pop("0:unacked_mutex", None)
    assert after == before


def ordered(after: Imprint, cancelled: str) -> None:
    """Take out what was ordered: the worker stores that a task was revoked."""
    kind, value, ends = cast(Any, after.pop(f"1:celery-task-meta-{cancelled}"))
    assert (kind, msgspec.json.decode(value)["status"], ends) == (
        *("string", "REVOKED", True),
    )


def test_rabbitmq_is_as_it_was(
    amqp_shop: tuple[Stranger, str],
    valkey: PrivateValkey,
    proxy: Callable[[str], Proxy],
    tmp_path: Path,
) -> None:
    shop, vhost = amqp_shop
    ids = list(send_all(shop))
    settled(vhost)
    before = rabbitmq_imprint(vhost), redis_imprint(valkey)
    line = proxy(cast(Any, shop.app).conf.broker_url)
    herald = up(shop, line, tmp_path)
    herald.start()
    wait_until(lambda: connected(herald), 30, "the monitor hears")
    # What RabbitMQ's queues hold is not seen: of this one the sending is heard.
    ids.append(waiting(shop))
    wait_until(lambda: ids[-1] in herald.tasks(), 30, "it is known")
    live(herald, line, ids)
    assert taken(shop) == ids[-1]
    settled(vhost)
    after = rabbitmq_imprint(vhost), redis_imprint(valkey)
    ordered(after[1], ids[-1])
    assert after == before


def waiting(made: Stranger) -> str:
    """Send a task that nobody takes, and say so; return its id."""
    app = cast(Any, made.app)
    app.conf.task_send_sent_event = True
    sent = app.send_task("shop.pay", (10,), queue="nobodys").id
    app.close()
    return str(sent)


def taken(made: Stranger) -> str:
    """Take all from the queue of nobody, put back the first; return the last's id."""
    app = cast(Any, made.app)
    with app.connection_for_read() as connection:
        queue = app.amqp.queues["nobodys"].bind(connection.default_channel)
        _first, last = queue.get(no_ack=False), queue.get(no_ack=True)
    app.close()
    return str(last.headers["id"])


def settled(vhost: str) -> None:
    """Wait until queues of replies have run out: RabbitMQ deletes them in 10 s."""
    wait_until(
        lambda: not any("reply." in name for name in list_rabbitmq_queues(vhost)),
        30,
        "no reply is waited for",
    )


DOCUMENTED = ("celeryev", "celery.pidbox", "reply.celery.pidbox")
"""Exchanges that Celery's own workers and clients declare in the same way."""


def test_on_an_empty_rabbitmq_only_celerys_exchanges_are_declared(
    tmp_path: Path,
) -> None:
    with rabbitmq() as url:
        vhost = urlsplit(url).path.removeprefix("/")
        before = rabbitmq_imprint(vhost)
        herald = HeraldProcess(tmp_path / "herald.log", "up", "--broker", url)
        herald.start()
        wait_until(lambda: connected(herald), 30, "the monitor hears")
        ask(herald, "some-id")
        with pytest.raises(urllib.error.HTTPError, match="404"):
            herald.post("api/v1/tasks/some-id/cancel", {})
        assert herald.stop()
        settled(vhost)
        new = set(rabbitmq_imprint(vhost)) - set(before)
    assert {one.split()[0] for one in new} <= {"list_exchanges"}
    assert {one.split()[1] for one in new} <= set(DOCUMENTED)
