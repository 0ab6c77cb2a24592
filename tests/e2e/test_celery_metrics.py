"""`/metrics` under the names of celery-exporter, for its boards and alerts."""

from typing import Any, cast
from uuid import uuid4

import httpx2
import pytest
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from herald_core.model.workers.queue import QueueView
from herald_core.model.workers.worker_reports import parse_worker
from tests.support.clients.http import asking
from tests.support.herald.server import Server, make_store, serving
from tests.support.metrics.celery_mixin import SERIES
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until_async

pytestmark = pytest.mark.anyio

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SENT: dict[str, Any] = {"name": "mail.send", "queue": "fast", "host": "gen1@web"}
OPEN = {"Accept": "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"}


@pytest.fixture
def url(module_valkey: PrivateValkey) -> str:
    return module_valkey.url


async def _work(server: Server) -> None:
    """Let one task succeed, one fail and one wait."""
    await server.tell("sent", "good", "bad", "late", **SENT, trace_id=TRACE)
    await server.tell("received", "good", "bad", name="mail.send")
    await server.tell("started", "good", "bad")
    await server.tell("succeeded", "good", runtime=0.25)
    await server.tell("failed", "bad", exception="KeyError('a')")
    raw = {"type": "worker-online", "hostname": "w1@h", "timestamp": 1.7e9}
    worker = parse_worker(raw, 1.7e9)
    assert worker is not None
    await server.store.store([], [worker], now=1.7e9)
    queue = QueueView(id="fast", name="fast", depth=1, as_of="2026-01-01T00:00:00.000Z")
    await server.store.store_queues([queue], now=1.7e9)


async def _read(ask: httpx2.AsyncClient) -> list[Sample]:
    text = (await ask.get("/metrics")).text
    families = text_string_to_metric_families(text)
    found = [sample for family in families for sample in family.samples]
    return [one for one in found if one.name.startswith("celery_")]


async def test_every_series_of_the_published_boards_is_there(url: str) -> None:
    async with serving(url) as server, asking(server) as ask:
        await _work(server)
        found = await _read(ask)
    labels = {one.name: set(one.labels) for one in found}
    for name, used in SERIES.items():
        assert set(used) <= labels.get(name, set()), name


async def test_counts_are_those_of_the_events(url: str) -> None:
    async with serving(url) as server, asking(server) as ask:
        await _work(server)
        found = {
            (one.name, one.labels["hostname"], one.labels.get("exception", "")): one
            for one in await _read(ask)
            if one.labels.get("name") == "mail.send" and "le" not in one.labels
        }
    for name, host, exception, value in (
        ("celery_task_sent_total", "web", "", 3),
        ("celery_task_received_total", "h", "", 2),
        ("celery_task_started_total", "h", "", 2),
        ("celery_task_succeeded_total", "h", "", 1),
        ("celery_task_failed_total", "h", "KeyError", 1),
        ("celery_task_retried_total", "h", "", 0),
        ("celery_task_runtime_sum", "h", "", 0.25),
        ("celery_task_queue_wait_time_count", "h", "", 2),
    ):
        sample = found[name, host, exception]
        assert (sample.value, sample.labels["queue_name"]) == (value, "fast"), name


async def test_another_server_shows_the_same_also_after_a_restart(url: str) -> None:
    prefix = f"{{test-{uuid4().hex}}}"
    async with (
        serving(url, store=make_store(url, prefix)) as one,
        serving(url, store=make_store(url, prefix)) as other,
        asking(one) as ask,
        asking(other) as ask_other,
    ):
        await _work(one)
        told = await _read(ask)

        async def is_same() -> bool:
            return await _read(ask_other) == told

        await wait_until_async(is_same)
    again = make_store(url, prefix)
    async with serving(url, store=again) as server, asking(server) as ask:
        assert await _read(ask) == told


async def test_openmetrics_has_traces_as_exemplars(url: str) -> None:
    async with serving(url) as server, asking(server) as ask:
        await _work(server)
        await server.beat()
        answer = await ask.get("/metrics", headers=OPEN)
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    parsed = cast(Any, openmetrics).text_string_to_metric_families(answer.text)
    families = {one.name: one for one in parsed}
    [exemplar] = [
        one.exemplar for one in families["celery_task_runtime"].samples if one.exemplar
    ]
    assert (exemplar.labels, exemplar.value) == ({"trace_id": TRACE}, 0.25)
    assert "herald_store_up" in families
