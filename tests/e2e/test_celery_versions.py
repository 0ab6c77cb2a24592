"""The outbox works with each version of Celery that Herald supports, in each pool.

What is taken of Celery is public (`events_cls`, `dispatcher_cls`, signals), but for
what `test_private_names.py` names; this test runs it.
"""

from __future__ import annotations

import sys
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.support.celery.outbox_stream import OutboxReader
from tests.support.outbox.celery_versions import VERSIONS, Shop, make_python
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until

SENT = ["task-sent"]
RUN = ["task-received", "task-started", "task-succeeded"]
RETRIED = ["task-received", "task-retried", "task-started"]
EXPECTED = {
    "pay": Counter(SENT + RUN),
    "refuse": Counter([*SENT, "task-received", "task-started", "task-failed"]),
    "ship": Counter(SENT + RUN + 2 * (SENT + RETRIED)),
    "body": Counter(SENT + RUN),
}
"""The events of each task, whatever their order."""


def count_types(stream: OutboxReader, task_id: str) -> Counter[str]:
    return Counter(stream.read_types(task_id))


def find_sent(stream: OutboxReader, name: str) -> list[dict[str, Any]]:
    events = stream.read_events()
    return [e for e in events if e["type"] == "task-sent" and e["name"] == name]


@pytest.mark.celery
@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    ("version", "pool"),
    [
        ("installed", "prefork"),
        *(
            pytest.param(version, pool, marks=pytest.mark.soak)
            for version in VERSIONS
            for pool in ("prefork", "threads", "solo", "gevent", "eventlet")
        ),
    ],
)
def test_all_that_a_task_does_is_recorded(
    version: str,
    pool: str,
    valkey: PrivateValkey,
    stream: OutboxReader,
    tmp_path: Path,
) -> None:
    python = sys.executable if version == "installed" else make_python(version)
    shop = Shop(python, tmp_path, valkey.url)
    shop.start_worker(pool)
    try:
        sent = shop.send()
        for name, expected in EXPECTED.items():
            read = partial(count_types, stream, sent[name])
            log = tmp_path / "worker.log"
            wait_until(read, 30, f"all of {name}; see {log}", accept=expected.__eq__)
    finally:
        shop.stop_worker()
    assert "task-progress" in stream.read_types(sent["note"])
    # Tags go on to what tasks send: a retry, the body of a chord.
    for task_id in sent.values():
        told = [e for e in stream.read_task(task_id) if "tags" in e]
        assert {event["type"] for event in told} == {"task-sent", "task-received"}
        assert all(event["tags"] == ["user:42"] for event in told)
    header = [e for e in find_sent(stream, "shop.pay") if "group_id" in e]
    assert sorted(event["group_index"] for event in header) == [0, 1]
    assert {event["chord_id"] for event in header} == {sent["body"]}
    for member in header:
        events = [e for e in stream.read_task(member["uuid"]) if "chord_id" in e]
        assert sorted(str(event["type"]) for event in events) == [
            "task-received",
            "task-sent",
        ]
    assert "worker-offline" in [event["type"] for event in stream.read_events()]
