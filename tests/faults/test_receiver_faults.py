"""What the receiver does when the broker, or the way to it, breaks."""

import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import pytest

from herald_monitor.ingest.consumers.durable_queue import DurableQueue
from tests.support.celery.event_receiver import Heard, hearing
from tests.support.celery.messages import emit, send
from tests.support.celery.worker import AppFactory, WorkerFactory
from tests.support.servers.fault_proxy import Proxy
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until

ProxyFactory = Callable[[str], Proxy]
EVENT: dict[str, object] = {"type": "task-x", "uuid": "1"}


@pytest.mark.celery
def test_broker_killed_and_restarted_is_a_gap_and_then_events_again(
    valkey: PrivateValkey, project_app: AppFactory, celery_worker: WorkerFactory
) -> None:
    app = project_app(valkey.url)
    with hearing(app) as heard:
        celery_worker(app, events=False, pool="threads")
        wait_until(lambda: heard.events, 30, "the worker is heard")
        last = heard.times[-1]
        valkey.kill()
        wait_until(lambda: not heard.receiver.connected, 30, "cut")
        killed = time.time()
        valkey.start()
        wait_until(lambda: heard.gaps, 30, "lost_touch")

        def told() -> bool:
            task_id = send(app, "add", 1, 2)
            wait_until(lambda: "task-sent" in heard.types_of(task_id), 30, "sent")
            return "task-succeeded" in heard.types_of(task_id)

        wait_until(told, 30, "task events of the worker again")
    [(since, until, reason)] = heard.gaps
    assert last <= since <= killed <= until
    assert reason
    assert heard.receiver.reconnects == 1


def test_black_hole_is_found_by_the_probe(
    broker_url: str, project_app: AppFactory, proxy: ProxyFactory
) -> None:
    way = proxy(broker_url)
    app = project_app(way.url)
    with hearing(app, probe_every=0.2) as heard:
        wait_until(lambda: heard.receiver.messages, 30, "a probe")
        way.black_hole()
        wait_until(lambda: not heard.receiver.connected, 30, "silence is noticed")
        # New connections find a way, old ones stay lost.
        way.cut()
        way.heal()
        wait_until(lambda: heard.gaps, 30, "lost_touch")
        emit(app, EVENT)
        wait_until(lambda: heard.events, 30, "events again")
    assert "nothing came through" in heard.gaps[0][2]


def test_cut_connection_is_mended_soon(
    broker_url: str, project_app: AppFactory, proxy: ProxyFactory
) -> None:
    way = proxy(broker_url)
    app = project_app(way.url)
    with hearing(app) as heard:
        way.cut()
        wait_until(lambda: heard.gaps, 30, "lost_touch")
        since, until, _ = heard.gaps[0]
        emit(app, EVENT)
        wait_until(lambda: heard.events, 30, "events again")
    assert 0 <= until - since < 10


def test_each_cut_is_one_gap(
    valkey: PrivateValkey, project_app: AppFactory, proxy: ProxyFactory
) -> None:
    way = proxy(valkey.url)
    with hearing(project_app(way.url)) as heard:
        for cuts in range(1, 4):
            wait_until(lambda: heard.receiver.connected, 30, "connected")
            way.cut()
            wait_until(partial(_has_gaps, heard, cuts), 30, f"gap {cuts}")
    assert heard.receiver.reconnects == 3


def test_broker_that_is_down_at_start_is_waited_for_and_said_once(
    valkey: PrivateValkey, project_app: AppFactory, caplog: pytest.LogCaptureFixture
) -> None:
    app = project_app(valkey.url)
    valkey.stop()
    with (
        caplog.at_level(logging.WARNING, "herald_monitor"),
        hearing(app, connected=False) as heard,
    ):
        wait_until(lambda: tries(heard) >= 4, 30, "some tries")
        assert len(caplog.messages) == 1
        assert "retrying" in caplog.messages[0]
        valkey.start()
        heard.wait_connected()
        emit(app, EVENT)
        wait_until(lambda: heard.events, 30, "events")
    assert heard.gaps == []


def test_stops_at_once_while_the_broker_is_down(
    valkey: PrivateValkey, project_app: AppFactory
) -> None:
    app = project_app(valkey.url)
    valkey.stop()
    with hearing(app, connected=False) as heard:
        wait_until(lambda: tries(heard) >= 2, 30, "it tries")
        assert stop_time(heard) < 3


def test_stops_at_once_while_connected(
    broker_url: str, project_app: AppFactory
) -> None:
    with hearing(project_app(broker_url)) as heard:
        assert stop_time(heard) < 3


def test_stops_at_once_in_a_black_hole(
    broker_url: str, project_app: AppFactory, proxy: ProxyFactory
) -> None:
    way = proxy(broker_url)
    with hearing(project_app(way.url)) as heard:
        way.black_hole()
        assert stop_time(heard) < 3


def test_stops_at_once_while_connecting_into_a_black_hole(
    broker_url: str, project_app: AppFactory, proxy: ProxyFactory
) -> None:
    way = proxy(broker_url)
    way.black_hole()
    with hearing(project_app(way.url), connected=False) as heard:
        wait_until(lambda: way.accepted, 30, "it connects")
        assert stop_time(heard) < 3
        way.refuse()  # or the thread that connects would wait for its deadline


def test_stop_before_run_is_heeded(
    valkey: PrivateValkey, project_app: AppFactory
) -> None:
    heard = Heard(project_app(valkey.url))
    heard.receiver.stop()
    began = time.monotonic()
    heard.receiver.run()
    assert time.monotonic() - began < 10


def test_slow_line_loses_nothing(
    valkey: PrivateValkey, project_app: AppFactory, proxy: ProxyFactory
) -> None:
    way = proxy(valkey.url)
    app = project_app(way.url)
    with hearing(app) as heard:
        way.drip(50_000)
        there = project_app(valkey.url, event_exchange=exchange_of(app))
        for number in range(50):
            emit(there, {"type": "task-x", "uuid": str(number), "pad": "x" * 500})
        wait_until(lambda: len(heard.events) == 50, 30, "all 50")
    assert [event["uuid"] for event in heard.events] == [str(n) for n in range(50)]
    assert heard.gaps == []


def test_deliver_that_raises_is_a_gap_and_stops_nothing(
    valkey: PrivateValkey, project_app: AppFactory, caplog: pytest.LogCaptureFixture
) -> None:
    app = project_app(valkey.url)
    with hearing(app) as heard:
        heard.fail_next = True
        emit(app, EVENT)
        wait_until(lambda: heard.gaps, 30, "lost_touch")
        emit(app, {"type": "task-x", "uuid": "2"})
        wait_until(lambda: heard.events, 30, "the next one")
    assert heard.gaps[0][2] == "1 events could not be handed over"
    assert "deliver() raised" in caplog.text


def test_loss_of_the_probing_connection_is_no_gap(
    valkey: PrivateValkey, project_app: AppFactory
) -> None:
    with (
        valkey.client() as client,
        hearing(project_app(valkey.url), probe_every=0.5) as heard,
    ):
        wait_until(lambda: heard.receiver.messages, 30, "the first probe")
        client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        before = heard.receiver.messages
        wait_until(lambda: heard.receiver.messages >= before + 3, 30, "more probes")
    assert heard.gaps == []


def test_refused_subscription_is_said_and_tried_again(
    valkey: PrivateValkey, project_app: AppFactory, caplog: pytest.LogCaptureFixture
) -> None:
    app = project_app(valkey.url)
    with valkey.client() as client:
        client.execute_command("ACL", "SETUSER", "default", "resetchannels")
        with hearing(app, connected=False) as heard:
            wait_until(lambda: "allow the user PSUBSCRIBE" in caplog.text, 30, "said")
            assert not heard.receiver.connected
            client.execute_command("ACL", "SETUSER", "default", "allchannels")
            heard.wait_connected()


@pytest.mark.rabbitmq
def test_second_receiver_of_one_name_waits_for_the_first(
    amqp_url: str, project_app: AppFactory, caplog: pytest.LogCaptureFixture
) -> None:
    """Two readers of one queue would each hear half."""
    app = project_app(amqp_url)
    with (
        caplog.at_level(logging.INFO, "herald_monitor"),
        hearing(app, kept=DurableQueue("one")) as first,
        hearing(app, kept=DurableQueue("one"), connected=False) as second,
    ):
        wait_until(lambda: "stands by" in caplog.text, 30, "the other waits")
        emit(app, EVENT)
        wait_until(lambda: first.events, 30, "the event")
        assert not second.receiver.connected
        first.receiver.stop()
        second.wait_connected()
    assert second.events == []


def _has_gaps(heard: Heard, number: int) -> bool:
    return len(heard.gaps) == number


def exchange_of(app: Any) -> str:
    """Name the event exchange of an app."""
    return str(app.conf.event_exchange)


def tries(heard: Heard) -> int:
    """Count the tries to connect since the last success."""
    return int(cast(Any, heard.receiver)._backoff.tries)


def stop_time(heard: Heard) -> float:
    """Stop the receiver; return how many seconds that took."""
    began = time.monotonic()
    heard.receiver.stop()
    heard.thread.join(30)
    return time.monotonic() - began
