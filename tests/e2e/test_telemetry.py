"""Spans and metrics as a collector gets them: each once, over restarts."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from herald_core.store.memory.store import MemoryStore
from tests.support.herald.server import Server, serving
from tests.support.telemetry.collector import Collector, collecting
from tests.support.wait import wait_until_async

pytestmark = pytest.mark.anyio

TRACE = "0af7651916cd43dd8448eb211c80319c"
SENDER = "b7ad6b7169203331"
NAMES = {"shop.pay", "shop.pay wait", "shop.pay run"}


async def run_task(server: Server, id_: str, **fields: Any) -> None:
    await server.tell("sent", id_, name="shop.pay", **fields)
    for kind in ("received", "started"):
        await server.tell(kind, id_, name="shop.pay")
    await server.tell("succeeded", id_, name="shop.pay", runtime=0.1)


def by_name(collector: Collector, task_id: str) -> dict[str, Any]:
    return {
        span.name: span
        for span in collector.spans
        if ("celery.task_id", task_id)
        in [(one.key, one.value.string_value) for one in span.attributes]
    }


async def test_a_task_is_a_span_with_its_attempts() -> None:
    with collecting() as collector:
        async with serving(
            "", store=MemoryStore(), otlp_endpoint=collector.endpoint
        ) as server:
            await run_until_exported(server, collector)
            await run_task(server, "root", trace_id=TRACE, parent_span_id=SENDER)
            await run_task(server, "child", parent_id="root", root_id="root")
            await wait_until_async(lambda: by_name(collector, "child").keys() >= NAMES)
    root, child = by_name(collector, "root"), by_name(collector, "child")
    assert root["shop.pay"].trace_id.hex() == TRACE
    assert root["shop.pay"].parent_span_id.hex() == SENDER
    assert [link.span_id.hex() for link in root["shop.pay"].links] == [SENDER]
    assert root["shop.pay run"].parent_span_id == root["shop.pay"].span_id
    assert child["shop.pay"].parent_span_id == root["shop.pay"].span_id


async def run_until_exported(server: Server, collector: Collector) -> None:
    """Run a task until its spans arrive: then the exporter has the lease."""

    before = len(collector.spans)

    async def try_one() -> bool:
        await run_task(server, uuid4().hex)
        return len(collector.spans) > before

    await wait_until_async(try_one)


async def wait_for_spans(collector: Collector, task_id: str) -> None:
    await wait_until_async(lambda: by_name(collector, task_id).keys() >= NAMES)


async def test_nothing_is_exported_twice_by_the_next_server() -> None:
    store = MemoryStore()
    with collecting() as collector:
        for number in range(2):
            async with serving(
                "", store=store, otlp_endpoint=collector.endpoint
            ) as server:
                await run_until_exported(server, collector)
                await run_task(server, f"task-{number}")
                await wait_for_spans(collector, f"task-{number}")
    ids = [span.span_id for span in collector.spans]
    assert len(ids) == len(set(ids))


async def test_what_the_collector_refuses_is_sent_again() -> None:
    with collecting() as collector:
        async with serving(
            "", store=MemoryStore(), otlp_endpoint=collector.endpoint
        ) as server:
            await run_until_exported(server, collector)
            collector.refusals = 1
            await run_task(server, "t")
            await wait_until_async(lambda: by_name(collector, "t").keys() >= NAMES)


async def test_metrics_are_exported() -> None:
    with collecting() as collector:
        async with serving(
            "", store=MemoryStore(), otlp_endpoint=collector.endpoint, otlp_interval=0.1
        ) as server:
            await run_task(server, "t")
            await wait_until_async(
                lambda: {one.name for one in collector.metrics},
                accept=lambda names: "herald_tasks" in names,
            )


async def test_it_is_off_by_default() -> None:
    async with serving("", store=MemoryStore()) as server:
        await run_task(server, "t")
        assert await server.store.get_item("telemetry", "cursor") is None
