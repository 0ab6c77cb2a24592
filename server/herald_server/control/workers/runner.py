"""Carry out one order: ask the worker, send the command, and ask the worker again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from herald_core.errors import HeraldError
from herald_core.model.orders import Order
from herald_core.model.workers.worker import WorkerView
from herald_core.store.ports import TaskReader
from herald_server.control.order_book import OrderBook
from herald_server.control.start.publisher import BrokerUnreachable
from herald_server.control.workers import outcomes, replies, steps
from herald_server.control.workers.asker import WorkerAsker
from herald_server.control.workers.commands import SHUTDOWN
from herald_server.control.workers.evidence import (
    ARGUMENTS,
    QUESTIONS,
    Evidence,
    read_evidence,
)
from herald_server.control.workers.outcomes import (
    ACKNOWLEDGED,
    NO_ANSWER,
    NOT_VERIFIED,
    VERIFIED,
    Verdict,
)

ANSWER_TIMEOUT_S = 2.0
"""Seconds in which a worker answers a question or a command."""

VERIFY_INTERVAL_S = 0.5

SHUTDOWN_REPLY_S = 0.2
"""Seconds to wait for a reply to a shutdown: a worker that obeys sends none."""

UNSENT = (
    "The worker did not answer, so nothing was sent: it is busy (a solo worker answers "
    "between tasks), has no remote control, or is gone."
)

UNREAD = (
    "The command was sent, and the worker did not answer. It may still carry it out, "
    "once it reads the command."
)

UNSURE = "Whether it was carried out is not known:"

ACCEPTED = Verdict(ACKNOWLEDGED, "The worker accepted the command.")


class OrderRun:
    """Carries out an order, and stores each of its steps."""

    def __init__(
        self, asker: WorkerAsker, reader: TaskReader, book: OrderBook, order: Order
    ) -> None:
        self.order = order
        self._asker = asker
        self._reader = reader
        self._book = book
        self._command, _ = steps.read_command(order)
        self._expected: dict[str, int] = {}

    async def run(self, worker: WorkerView) -> Order:
        """Carry the order out at `worker`; return it with its outcome."""
        self._expected = {worker.hostname: worker.processes or 1}
        try:
            if self._command.name == SHUTDOWN:
                await self._remember(steps.remember_boot(self.order, worker))
                await self._shut_down()
            elif self._command.name in replies.REPEATED:
                await self._switch()
            else:
                await self._change()
        except HeraldError as error:  # the broker or the store is away
            await self._step(Verdict(NOT_VERIFIED, f"{UNSURE} {error}"))
        return self.order

    async def _change(self) -> None:
        """Carry out a command whose effect the worker shows when it is asked."""
        try:
            before = await self._observe()
        except BrokerUnreachable as error:
            return await self._step(Verdict(NO_ANSWER, f"Nothing was sent: {error}"))
        if not before.processes:
            return await self._step(Verdict(NO_ANSWER, UNSENT))
        if objection := outcomes.find_objection(self._command, before):
            return await self._step(objection)
        await self._remember(steps.remember(self.order, before))
        said = await self._send()
        refusal = replies.read_refusal(self._command, said)
        if said and refusal is None:
            await self._step(ACCEPTED)
        await self._verify(before, refusal)

    async def _verify(self, before: Evidence, refusal: Verdict | None) -> None:
        """Ask until the worker is as ordered, or its time is over."""
        deadline = time.monotonic() + replies.get_verify_timeout_s(refusal)
        while True:
            after = await self._try_observe()
            verdict = outcomes.decide(self._command, before, after)
            if verdict.state == VERIFIED:
                return await self._step(verdict)
            if verdict.is_definite or time.monotonic() >= deadline:
                if refusal is not None:
                    verdict = replies.merge_refusal(refusal, verdict, before, after)
                elif self.order.state != ACKNOWLEDGED:
                    verdict = Verdict(NO_ANSWER, UNREAD)
                return await self._step(verdict)
            await asyncio.sleep(VERIFY_INTERVAL_S)

    async def _switch(self) -> None:
        """Carry out a command that is verified by sending it once more."""
        said = await self._send()
        if refusal := replies.read_refusal(self._command, said):
            return await self._step(refusal)
        if not said:
            return await self._step(Verdict(NO_ANSWER, UNREAD))
        await self._step(ACCEPTED)
        await self._step(replies.decide_repeat(self._command, await self._send()))

    async def _shut_down(self) -> None:
        """Shut a worker down. It sends no reply, but an event that it goes offline."""
        await self._send(SHUTDOWN_REPLY_S)
        deadline = time.monotonic() + outcomes.VERIFY_TIMEOUT_S
        while time.monotonic() < deadline:
            if verdict := await self.find_shutdown():
                return await self._step(verdict)
            await asyncio.sleep(VERIFY_INTERVAL_S)
        await self._step(Verdict(NO_ANSWER, UNREAD))

    async def find_shutdown(self) -> Verdict | None:
        """Return the outcome of a shutdown, if the worker showed one by now.

        Raises `StoreError`.
        """
        workers = await self._reader.list_workers(now=time.time())
        name = self.order.target
        found = next((one for one in workers if one.hostname == name), None)
        return outcomes.decide_shutdown(steps.read_boot(self.order), found)

    # -- questions, and steps ------------------------------------------------------

    async def _observe(self) -> Evidence:
        name = self._command.name
        questions = {one: ARGUMENTS.get(one, {}) for one in QUESTIONS[name]}
        return read_evidence(self._command, await self._ask(questions))

    async def _try_observe(self) -> Evidence:
        try:
            return await self._observe()
        except BrokerUnreachable:
            return Evidence()

    async def _send(self, timeout_s: float | None = None) -> list[object]:
        name = self._command.name
        return (await self._ask({name: self._command.arguments}, timeout_s))[name]

    async def _ask(
        self,
        questions: Mapping[str, Mapping[str, Any]],
        timeout_s: float | None = None,
    ) -> dict[str, list[object]]:
        host = self.order.target
        answers = await self._asker.ask(
            questions, [host], timeout_s or ANSWER_TIMEOUT_S, self._expected
        )
        return {one: answers.get(one, {}).get(host, []) for one in questions}

    async def _remember(self, order: Order) -> None:
        self.order = order
        await self._book.try_save(order)

    async def _step(self, verdict: Verdict) -> None:
        await self._remember(steps.advance(self.order, verdict, time.time()))
