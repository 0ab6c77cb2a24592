"""Names, types, labels and help of all metrics; monitors tell theirs by the store."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.golden.comparison import compare
from tests.support.celery.project import make_app
from tests.support.golden.clients import BEARER, websocket
from tests.support.golden.recent import recent
from tests.support.herald.monitor_process import monitoring, open_store
from tests.support.herald.server import Server
from tests.support.servers.redis import PrivateValkey
from tests.support.wait import wait_until_async

pytestmark = pytest.mark.anyio


async def use(server: Server, http: httpx2.AsyncClient) -> None:
    """Do what leaves a sample of each metric that has a label."""
    url = f"{server.url}api/v1/"
    refused = await http.get(url + "stats", headers={"Authorization": "Bearer wrong"})
    assert refused.status_code == 401
    hook = {"url": "https://192.0.43.8/hook", "filter": {"name": "nothing"}}
    assert (await http.post(url + "webhooks", json=hook)).status_code == 201
    async with connect(server.ws, additional_headers={"Authorization": "Bearer x"}) as (
        closed
    ):
        with pytest.raises(ConnectionClosed):
            await closed.recv()
    async with websocket(server) as client:
        await client.say(type="subscribe", id="s", since="1700000000000-3", limit=1)
        await client.receive_until("data", "cursor")
        await server.tell("received", "of-now", name="n")
        await client.receive_until("data", "cursor")


async def test_metrics_are_as_they_were(module_valkey: PrivateValkey) -> None:
    async with (
        recent(module_valkey) as server,
        httpx2.AsyncClient(trust_env=False, headers=BEARER) as http,
    ):
        await use(server, http)
        text = (await http.get(f"{server.url}metrics")).text
    told: dict[str, Any] = {}
    for family in text_string_to_metric_families(text):
        labels = {label for sample in family.samples for label in sample.labels}
        told[family.name] = {
            "type": family.type,
            "help": family.documentation,
            "labels": sorted(labels),
            "samples": sorted({sample.name for sample in family.samples}),
        }
    assert [name for name, one in told.items() if not one["samples"]] == []
    compare("metrics.json", told)


async def test_what_a_monitor_counts(valkey: PrivateValkey) -> None:
    app = make_app(valkey.url, valkey.url)
    async with open_store(valkey.url) as store, monitoring(app, store):
        found = await wait_until_async(store.list_monitors)
    compare("monitor-counters.json", sorted(found[0].counters))
    app.close()
