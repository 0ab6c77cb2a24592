"""Sending on a thread: given up once nothing moves, and nothing is sent after that."""

import threading
import time

import pytest

from herald_server.control.start.send_log import (
    SendingEnded,
    SendLog,
    run_while_moving,
)

pytestmark = pytest.mark.anyio

STALL_S = 0.3


def test_a_message_is_under_way_until_the_broker_has_it() -> None:
    log = SendLog()
    log.begin("a")
    assert (log.under_way, log.sent) == ("a", set())
    log.finish("a")
    assert (log.under_way, log.sent) == (None, {"a"})


async def test_what_moves_may_take_longer_than_what_stalls() -> None:
    log, slow = SendLog(), threading.Event()

    def send() -> None:
        for number in range(10):
            log.begin(str(number))
            slow.wait(STALL_S / 5)
            log.finish(str(number))

    began = time.monotonic()
    await run_while_moving(send, log, STALL_S, 30)
    assert len(log.sent) == 10
    assert time.monotonic() - began > STALL_S


@pytest.mark.parametrize(("stall_s", "most_s"), [(STALL_S, 30), (30, STALL_S)])
async def test_nothing_is_sent_after_it_was_given_up(
    stall_s: float, most_s: float
) -> None:
    log, silent, ended = SendLog(), threading.Event(), list[BaseException]()
    over = threading.Event()

    def send() -> None:
        silent.wait()
        try:
            log.begin("a")
        except SendingEnded as error:
            ended.append(error)
        over.set()

    with pytest.raises(TimeoutError):
        await run_while_moving(send, log, stall_s, most_s)
    silent.set()
    assert over.wait(30)
    assert len(ended) == 1


async def test_an_error_of_the_sender_is_raised() -> None:
    def fail() -> None:
        raise OSError("cut")

    with pytest.raises(OSError, match="cut"):
        await run_while_moving(fail, SendLog(), STALL_S, STALL_S)
