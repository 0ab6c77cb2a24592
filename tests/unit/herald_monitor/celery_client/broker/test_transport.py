"""What a transport carries is known by its name, as kombu's class has it."""

from typing import Any, cast

import pytest
from celery import Celery
from kombu.transport import TRANSPORT_ALIASES, resolve_transport

from herald_core.errors import UnsupportedByBroker
from herald_monitor.celery_client.broker.connection import require_control
from herald_monitor.celery_client.broker.transport import (
    get_transport_kind,
    has_fanout,
)


def of(url: str) -> Celery:
    return Celery("x", broker=url, set_as_current=False)


@pytest.mark.parametrize("scheme", sorted(map(str.lower, TRANSPORT_ALIASES)))
def test_each_transport_of_kombu_is_known(scheme: str) -> None:
    try:
        transport = resolve_transport(scheme)
    except Exception:  # its library is not installed
        return
    carries = "fanout" in cast(Any, transport).implements.exchange_type
    assert has_fanout(of(f"{scheme}://h/")) == carries


def test_a_transport_has_one_name() -> None:
    assert get_transport_kind(of("sqlalchemy+sqlite:///x.db")) == "sqla"
    assert get_transport_kind(of("rediss://h/0")) == "redis"
    assert get_transport_kind(of("SQS://a:b@")) == "sqs"


def test_what_needs_remote_control_is_refused_with_the_reason() -> None:
    require_control(of("redis://h/0"))
    with pytest.raises(UnsupportedByBroker) as refused:
        require_control(of("sqs://"))
    assert str(refused.value) == (
        "Amazon SQS carries no remote control to workers; cancel and inspect need "
        "RabbitMQ or Redis as the broker"
    )
