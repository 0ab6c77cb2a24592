"""What waits in a worker is bounded; what is dropped is counted and told."""

from __future__ import annotations

import threading

from hypothesis import given
from hypothesis import strategies as st

from herald_worker.outbox.buffer import Event, OutboxBuffer


def make_event(number: int) -> Event:
    return {"type": "task-sent", "number": number, "timestamp": 100.0 + number}


def read_numbers(events: list[Event]) -> list[int]:
    return [event["number"] for event in events]


def test_events_leave_in_the_order_in_which_they_came() -> None:
    buffer = OutboxBuffer(max_events=10)
    for number in range(5):
        buffer.append(make_event(number))
    assert read_numbers(buffer.take(3).events) == [0, 1, 2]
    assert read_numbers(buffer.take(3).events) == [3, 4]
    assert buffer.take(3).events == []


def test_a_full_buffer_drops_the_oldest_and_says_so_with_the_next_batch() -> None:
    buffer = OutboxBuffer(max_events=3)
    for number in range(5):
        buffer.append(make_event(number))
    batch = buffer.take(2)
    assert read_numbers(batch.events) == [2, 3]
    assert (batch.dropped, batch.dropped_since) == (2, 100.0)
    assert buffer.take(2).dropped == 0, "it is told once"


@given(st.lists(st.one_of(st.none(), st.integers(1, 5)), max_size=60))
def test_nothing_is_lost_uncounted(steps: list[int | None]) -> None:
    """None appends an event; a number takes so many."""
    buffer = OutboxBuffer(max_events=4)
    made, taken, dropped = 0, list[int](), 0
    for step in [*steps, 100]:
        if step is None:
            buffer.append(make_event(made))
            made += 1
            continue
        batch = buffer.take(step)
        taken += read_numbers(batch.events)
        dropped += batch.dropped
    assert len(taken) + dropped == made
    assert taken == sorted(taken)


def test_threads_append_while_one_takes() -> None:
    buffer, per_thread = OutboxBuffer(max_events=100), 5_000

    def append() -> None:
        for number in range(per_thread):
            buffer.append(make_event(number))

    threads = [threading.Thread(target=append) for _ in range(4)]
    for thread in threads:
        thread.start()
    taken = dropped = 0
    while any(thread.is_alive() for thread in threads) or len(buffer):
        batch = buffer.take(7)
        taken, dropped = taken + len(batch.events), dropped + batch.dropped
    assert taken + dropped + buffer.take(1).dropped == 4 * per_thread
