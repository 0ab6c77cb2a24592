"""What a worker says of its queues: where a routing key leads, where letters go."""

from typing import Any, cast

import pytest
from kombu import Exchange, Queue, binding

from herald_monitor.celery_client.queues.amqp import QueueCount, find_uncertainty
from herald_monitor.celery_client.queues.lookup import QueueLookupResult
from herald_monitor.celery_client.workers.active_queues import (
    ConsumedQueue,
    list_names,
    read_consumed,
)
from herald_monitor.reconcile.evidence import check_dead_letters


def told(queue: Queue) -> ConsumedQueue:
    """Return `queue` as a worker answers it."""
    [read] = read_consumed([cast(Any, queue).as_dict(recurse=True)])
    return read


TOPIC = Exchange("shop", type="topic")


@pytest.mark.parametrize(
    ("queue", "takes", "takes_not"),
    [
        (Queue("a", TOPIC, routing_key="order.*"), ["order.new", "a"], ["order.new.x"]),
        (Queue("a", TOPIC, routing_key="order.#"), ["order", "order.new.x"], ["x"]),
        (Queue("a", TOPIC, routing_key="#"), ["order", ""], []),
        (Queue("a", TOPIC, routing_key="#.new"), ["order.new"], ["order.old"]),
        (Queue("a", TOPIC, routing_key="o+(r"), ["o+(r"], ["oor"]),
        (
            Queue("b", bindings=[binding(TOPIC, "x.*"), binding(TOPIC, "y")]),
            ["x.1", "y", "b"],
            ["z"],
        ),
    ],
)
def test_a_routing_key_leads_where_its_binding_does(
    queue: Queue, takes: list[str], takes_not: list[str]
) -> None:
    read = told(queue)
    assert [
        key for key in [*takes, *takes_not] if read.matches_routing_key(key)
    ] == takes


def letters(**arguments: object) -> Queue:
    named = {f"x-dead-letter-{k}": v for k, v in arguments.items()}
    return Queue("a", TOPIC, routing_key="a", queue_arguments=named)


def test_dead_letters_are_looked_for_where_they_go() -> None:
    by_default = told(letters(**{"exchange": "", "routing-key": "dead"}))
    assert list_names([by_default]) == {"a", "dead"}
    assert not by_default.drops_unseen
    elsewhere = told(letters(exchange="dlx"))
    assert (list_names([elsewhere]), elsewhere.drops_unseen) == ({"a"}, True)
    seen = check_dead_letters(
        QueueLookupResult(is_complete=True), [by_default, elsewhere]
    )
    assert not seen.is_complete
    assert "the queue a passes what it drops on" in seen.uncertainty
    assert check_dead_letters(
        QueueLookupResult(is_complete=True), [by_default]
    ).is_complete


@pytest.mark.parametrize("answer", [None, {}, "x", [None, 3, {}, {"name": 3}]])
def test_answers_that_cannot_be_meant_are_left_out(answer: object) -> None:
    assert read_consumed(answer) == ()


@pytest.mark.parametrize(
    ("counted", "doubt"),
    [
        (QueueCount(0, 0), ""),
        (QueueCount(0, 1), ""),
        (QueueCount(2, 1), "2 messages wait in the queue q"),
        (QueueCount(0, 2), "a consumer of the queue q did not say what it holds"),
        (QueueCount(refusal="(403) no"), r"does not show the queue q ((403) no)"),
    ],
)
def test_a_message_may_lie_with_whoever_did_not_answer(
    counted: QueueCount, doubt: str
) -> None:
    said = find_uncertainty({"q": counted}, {"q": 1})
    assert doubt in said
    assert bool(doubt) == bool(said)
