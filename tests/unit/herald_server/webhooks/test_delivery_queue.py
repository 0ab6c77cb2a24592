"""Messages on their way to an endpoint: their order, and the cursor behind them."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from herald_core.model.cursor import START, Cursor
from herald_server.webhooks.delivery_queue import DeliveryQueue
from herald_server.webhooks.message import WebhookMessage


def message(number: int, lane: str) -> WebhookMessage:
    place = (1, number, 0)
    return WebhookMessage(f"m{number}", "task.succeeded", lane, place, "", b"x")


@given(st.lists(st.sampled_from("abc"), max_size=30), st.randoms(use_true_random=False))
def test_any_fate_keeps_the_order_of_each_task_and_the_cursor_behind_what_waits(
    told: list[str], chance: random.Random
) -> None:
    lanes, now, sent = DeliveryQueue(START), 0.0, dict[str, list[int]]()
    waiting: set[int] = set()
    flying: list[WebhookMessage] = []
    for number, lane in enumerate(told, 1):
        batch = lanes.begin(Cursor(1, number))
        lanes.add(message(number, lane), batch)
        lanes.end(batch)
        waiting.add(number)
    while len(lanes):
        now += 1
        if len(flying) < 3 and (one := lanes.take(now)):
            assert one.lane not in {other.lane for other in flying}
            flying.append(one)
        if not flying or chance.random() < 0.3:
            continue
        one = flying.pop(chance.randrange(len(flying)))
        fate = chance.random()
        if fate < 0.5:
            sent.setdefault(one.lane, []).append(one.place[1])
            waiting.discard(one.place[1])
            lanes.remove(one)
        else:
            if fate > 0.8 and one.id not in lanes.deferred:
                lanes.defer(one)
                waiting.discard(one.place[1])
            lanes.retry(one, now + chance.randrange(3))
        assert lanes.cursor.n < min(waiting, default=len(told) + 1)
    assert all(order == sorted(order) for order in sent.values())
    assert sorted(n for order in sent.values() for n in order) == [
        number for number, _ in enumerate(told, 1)
    ]
    assert lanes.cursor.n == len(told)


def test_what_is_told_twice_is_sent_once() -> None:
    lanes = DeliveryQueue(START)
    lanes.add_deferred([message(5, "a")])
    for number in (4, 5):
        batch = lanes.begin(Cursor(1, number))
        lanes.add(message(number, "a"), batch)
        lanes.end(batch)
    first = lanes.take(1)
    assert first is not None
    assert (first.id, lanes.take(1)) == ("m4", None), "the older one goes first"
    assert (len(lanes), lanes.cursor) == (2, START)
