"""An answer that a worker gives is read only if it takes no memory without end."""

import json
from typing import Any

import pytest
from kombu.message import Message

from herald_monitor.celery_client.broker.bounded_messages import (
    MAX_ANSWER_PARTS,
    bound_messages,
)
from herald_monitor.celery_client.workers.inspect_replies import iter_replies


class Channel:
    """What makes messages."""

    Message: Any = Message


def answer(body: bytes) -> Any:
    """Return what is made of a body."""
    channel = Channel()
    bound_messages(channel)
    return channel.Message(
        body,
        channel=channel,
        content_type="application/json",
        content_encoding="utf-8",
        accept={"application/json"},
    )


def test_an_answer_about_thousands_of_tasks_is_read() -> None:
    tasks: list[dict[str, Any]] = [
        {"id": f"t{n}", "args": [], "kwargs": {}} for n in range(10_000)
    ]
    told = answer(json.dumps({"w@h": tasks}).encode()).decode()
    [(host, said)] = iter_replies(told)
    assert host == "w@h"
    assert said == tasks


@pytest.mark.parametrize("part", [b"[]", b"{}"])
def test_a_bomb_is_no_answer(part: bytes, caplog: pytest.LogCaptureFixture) -> None:
    body = b'{"w@h":[' + b",".join([part] * (MAX_ANSWER_PARTS + 1)) + b"]}"
    assert list(iter_replies(answer(body).decode())) == []
    assert "is not read" in caplog.text
