"""Webhooks from the log to a receiver that fails in every way."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncGenerator
from ipaddress import ip_address
from typing import Any, cast

import pytest

from herald_core.model.vector_cursor import VectorCursor
from herald_core.store.memory.store import MemoryStore
from herald_core.store.ports import Store
from herald_server.webhooks.delivery.http_sender import HttpSender
from herald_server.webhooks.repository import EndpointState, WebhookRepository
from herald_server.webhooks.ssrf_guard import (
    Address,
    SsrfGuard,
    parse_networks,
)
from tests.support.clients.webhook_receiver import (
    Receiver,
    in_order,
    receiving,
    verified,
)
from tests.support.herald.webhook_environment import (
    HASTY,
    HERE,
    QUICK,
    WebhookEnvironment,
    open_webhooks,
)
from tests.support.servers.redis import PrivateValkey
from tests.support.store.labs import Lab
from tests.support.wait import wait_until_async

pytestmark = pytest.mark.anyio


def types(receiver: Receiver) -> list[str]:
    return [one.json["type"] for one in receiver.accepted]


async def test_the_end_of_a_task_is_posted_with_all_that_is_known_of_it() -> None:
    async with open_webhooks() as (one, receiver):
        made = await one.admin.register({"url": receiver.url})
        await one.run("t1")
        await wait_until_async(lambda: receiver.requests, message="something is heard")
        told = receiver.requests[0].json
        assert told["type"] == "task.succeeded"
        task = await one.store.get_task("t1")
        assert told["data"]["rev"] == task.rev
        assert told["data"]["name"] == "shop.pay"
        assert told["timestamp"] == task.updated_at
        verified(receiver, made["secret"])


@pytest.fixture(params=["memory", "partitions"])
async def store(request: pytest.FixtureRequest) -> AsyncGenerator[Store]:
    """A store with one log, and one with three."""
    if request.param == "memory":
        yield MemoryStore()
        return
    valkey = cast(PrivateValkey, request.getfixturevalue("module_valkey"))
    async with Lab(valkey.url, 3).open() as opened:
        yield opened


async def test_all_arrive_in_order_though_a_third_of_the_answers_are_errors(
    store: Store,
) -> None:
    chance = random.Random(7)
    async with open_webhooks(store=store) as (one, receiver):
        receiver.answer = lambda _, __: (503 if chance.random() < 0.3 else 204, {})
        made = await one.admin.register({"url": receiver.url, "on": "states"})
        for lap in range(10):
            await one.run(*(f"t{lap}-{n}" for n in range(10)))
        await wait_until_async(lambda: len(receiver.first) >= 300, message="all arrive")
        in_order(receiver)
        verified(receiver, made["secret"])
        told = await one.fares(made["id"], waiting=0, accepted=300)
        assert told["cursor"] == str(await one.store.read_end())


async def test_a_message_that_is_never_taken_is_given_up_and_replayed() -> None:
    bad = True

    def answer(_: dict[str, str], body: bytes) -> Any:
        return (500 if bad and b'"id":"poison"' in body else 200), {}

    async with open_webhooks(HASTY) as (one, receiver):
        receiver.answer = answer
        made = await one.admin.register({"url": receiver.url, "on": "states"})
        await one.run("poison", "t1")
        await one.fares(made["id"], dead=3, waiting=0)
        assert types(receiver) == ["task.received", "task.started", "task.succeeded"]
        dead = await one.admin.list_dead(made["id"], 10)
        assert {letter["why"] for letter in dead} == {"HTTP 500"}
        bad = False
        await one.admin.replay(made["id"], None)
        await one.fares(made["id"], dead=0, late=0, accepted=6)
        assert types(receiver)[3:] == types(receiver)[:3]
        in_order(receiver)


async def test_an_endpoint_that_is_slow_delays_no_other() -> None:
    async with open_webhooks() as (one, receiver), receiving() as slow:
        slow.delay = 30.0
        await one.admin.register({"url": slow.url, "on": "states"})
        await one.admin.register({"url": receiver.url})
        began = time.monotonic()
        await one.run(*(f"t{n}" for n in range(20)))
        await wait_until_async(
            lambda: len(receiver.requests) == 20, message="the quick one has all"
        )
        assert time.monotonic() - began < 20


async def test_one_that_cannot_be_read_harms_no_other() -> None:
    async with open_webhooks() as (one, receiver):
        await one.store.put_item("webhook", "wh_odd", b'{"of": "tomorrow"}', 60)
        await one.admin.register({"url": receiver.url})
        await one.run("t1")
        await wait_until_async(lambda: receiver.accepted, message="it is told")
        assert len(await one.admin.list_all()) == 1


async def test_410_disables_until_somebody_enables() -> None:
    async with open_webhooks() as (one, receiver):
        receiver.answer = lambda _, __: (410, {})
        made = await one.admin.register({"url": receiver.url})
        await one.run("t1")
        await one.fares(made["id"], disabled_why="it answered 410 Gone")
        receiver.answer = lambda _, __: (200, {})
        await one.run("t2")
        await one.admin.enable(made["id"])
        await wait_until_async(
            lambda: len(receiver.accepted) == 2, message="both are told after all"
        )
        assert {h.json["data"]["id"] for h in receiver.accepted} == {"t1", "t2"}
        assert "disabled_at" not in await one.admin.get(made["id"])


async def test_an_endpoint_that_asks_for_time_gets_it() -> None:
    async with open_webhooks() as (one, receiver):
        receiver.answer = lambda _, __: (429, {"Retry-After": "1"})
        made = await one.admin.register({"url": receiver.url})
        await one.run("t1")
        await one.fares(made["id"], breaker="open")
        receiver.answer = lambda _, __: (200, {})
        await one.run("t2")
        await wait_until_async(
            lambda: len(receiver.accepted) == 2, message="both arrive"
        )
        assert receiver.accepted[0].at - receiver.requests[0].at >= 0.95


async def test_what_was_trimmed_away_is_announced_and_what_changed_is_told() -> None:
    one = WebhookEnvironment(MemoryStore(log_length=10), QUICK)
    async with receiving() as receiver:
        made = await one.admin.register({"url": receiver.url})
        async with one.delivering():
            await one.run("before")
            await one.fares(made["id"], waiting=0, accepted=1)
        ids = [f"t{n:02}" for n in range(20)]
        for id_ in ids:
            await one.run(id_)
        await one.tell("received", "runs")
        async with one.delivering():
            await one.fares(made["id"], resets=1, waiting=0)
            await one.run("after")
            await wait_until_async(
                lambda: len(receiver.accepted) == 23, message="all arrive"
            )
    before, reset, *snapshot, after = (heard.json for heard in receiver.accepted)
    assert before["data"]["id"] == "before"
    assert (reset["type"], reset["data"]["reason"]) == ("herald.reset", "trimmed")
    assert sorted(one["data"]["id"] for one in snapshot) == ids
    assert all(one["snapshot"] for one in snapshot)
    assert after["data"]["id"] == "after"
    verified(receiver, made["secret"])


async def test_after_history_was_replaced_it_is_told_so_and_what_is_stored(
    store: Store,
) -> None:
    one = WebhookEnvironment(store, QUICK)
    async with receiving() as receiver:
        made = await one.admin.register({"url": receiver.url, "on": "SUCCESS"})
        end = await store.read_end()
        parts = len(end.parts) if isinstance(end, VectorCursor) else 1
        await WebhookRepository(store).put_state(
            made["id"], EndpointState(cursor="_".join(["5-7"] * parts))
        )
        await one.run("t1", "t2", "t3")
        await one.tell("failed", "t4")
        async with one.delivering():
            await one.fares(made["id"], resets=1, waiting=0)
    reset, *snapshot = (heard.json for heard in receiver.accepted)
    assert (reset["type"], reset["data"]["reason"]) == ("herald.reset", "epoch")
    assert sorted(one["data"]["id"] for one in snapshot) == ["t1", "t2", "t3"]


async def test_a_redirect_is_not_followed() -> None:
    async with open_webhooks() as (one, receiver), receiving() as inner:
        receiver.answer = lambda _, __: (302, {"Location": inner.url})
        made = await one.admin.register({"url": receiver.url})
        await one.run("t1")
        why = "HTTP 302: redirects are not followed; register the URL itself"
        await one.fares(made["id"], accepted=0, last_error=why)
        assert not inner.requests


async def test_both_secrets_sign_while_one_replaces_the_other() -> None:
    async with open_webhooks() as (one, receiver):
        made = await one.admin.register({"url": receiver.url})
        await one.run("t1")
        await wait_until_async(lambda: receiver.requests, message="the first arrives")
        rotated = await one.admin.rotate(made["id"])
        n = 1
        while receiver.requests[-1].headers["webhook-signature"].count("v1,") < 2:
            await one.run(f"u{n}")
            n += 1
            await one.fares(made["id"], accepted=n)
        receiver.requests[:-1] = []
        verified(receiver, made["secret"])
        verified(receiver, rotated["secret"])
        assert made["secret"] != rotated["secret"]


async def test_a_name_that_resolves_otherwise_when_it_is_connected_to_is_refused() -> (
    None
):
    answers = [ip_address("8.8.8.8"), ip_address("127.0.0.1")]

    async def rebinding(_: str, __: int) -> list[Address]:
        return [answers.pop(0)]

    async with receiving() as receiver:
        guard = SsrfGuard(resolve=rebinding)
        assert await guard.resolve_allowed("hooks.test", receiver.port) == ["8.8.8.8"]
        poster = HttpSender(guard, 1)
        answer = await poster.post(f"http://hooks.test:{receiver.port}/", {}, b"{}")
        await poster.close()
    assert "hooks.test is 127.0.0.1, which is no public address" in answer.why
    assert not receiver.requests


async def test_of_several_addresses_only_those_that_may_are_tried() -> None:
    async def several(_: str, __: int) -> list[Address]:
        return [ip_address(one) for one in ("10.0.0.1", "127.0.0.2", "127.0.0.1")]

    async with receiving() as receiver:
        poster = HttpSender(SsrfGuard(parse_networks(["127.0.0.0/8"]), several), 1)
        url, id_ = f"http://hooks.test:{receiver.port}/x", {"webhook-id": "1"}
        answer = await poster.post(url, id_, b"{}")
        await poster.close()
    assert answer.is_accepted
    assert receiver.requests[0].headers["host"] == f"hooks.test:{receiver.port}"


@pytest.mark.parametrize("body", [b"x" * 65536, b""])
async def test_the_status_is_the_answer_whatever_follows_it(body: bytes) -> None:
    async def endless(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9999999999\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            while body and not writer.is_closing():
                writer.write(body)
                await writer.drain()
            await reader.read()
        writer.close()

    server = await asyncio.start_server(endless, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        poster = HttpSender(SsrfGuard(HERE), 1)
        answer = await poster.post(f"http://127.0.0.1:{port}/", {}, b"{}")
        await poster.close()
    assert answer.is_accepted
