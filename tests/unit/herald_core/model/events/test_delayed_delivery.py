"""Routing keys of RabbitMQ's native delayed delivery, as kombu makes them."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kombu.transport.native_delayed_delivery import calculate_routing_key, level_name

from herald_core.model.events.delayed_delivery import (
    DELAY_BITS,
    LEVELS,
    is_delayed,
    strip_delay,
)
from herald_core.model.events.event import MAX_NAME, Event, parse_event
from herald_core.model.events.event_fast import DecodedEvent, normalize

DELAYS = st.integers(1, 2**DELAY_BITS - 1)
NAMES = st.text(min_size=1, max_size=50)


@given(DELAYS, NAMES)
def test_the_real_routing_key_comes_back(delay: int, name: str) -> None:
    delayed = calculate_routing_key(delay, name)
    assert is_delayed(delayed)
    if not is_delayed(name):
        assert strip_delay(delayed) == name


@given(NAMES)
def test_other_routing_keys_stay(name: str) -> None:
    assert is_delayed(name) or strip_delay(name) == name


def test_what_only_looks_alike_stays() -> None:
    bits = "0." * DELAY_BITS
    for key in (bits, bits[:-2] + "qq", "0.qq", "1", "", bits.replace("0", "2")):
        assert strip_delay(key) == key
        assert not is_delayed(key)


def test_the_levels_are_those_of_kombu_in_their_order() -> None:
    assert tuple(level_name(n) for n in range(DELAY_BITS - 1, -1, -1)) == LEVELS


def heard(queue: str | None, key: str) -> tuple[Event | None, Event]:
    """Return an event read both ways, the long and the short."""
    raw = {
        "type": "task-sent", "uuid": "t", "timestamp": 5.0, "hostname": "c@h",
        "queue": queue, "routing_key": key, "clock": 1,
    }  # fmt: skip
    spoken = msgspec.json.decode(msgspec.json.encode(raw), type=DecodedEvent)
    return parse_event(raw, 9.0), normalize(spoken, 9.0, str)


@pytest.mark.parametrize(
    ("queue", "key", "shown"),
    [
        (None, calculate_routing_key(130, "qq"), ("qq", "qq")),
        ("mine", calculate_routing_key(130, "a.b"), ("mine", "a.b")),
        (None, "a.b", (None, "a.b")),
        ("0.1", "0.1", ("0.1", "0.1")),
    ],
)
def test_a_delayed_task_keeps_its_queue(
    queue: str | None, key: str, shown: tuple[str | None, str]
) -> None:
    assert len(key) < MAX_NAME
    long, short = heard(queue, key)
    assert long is not None
    assert (long.queue, long.routing_key) == shown
    assert (short.queue, short.routing_key) == shown
