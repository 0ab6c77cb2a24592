"""A pause of a queue, and whose consumers it gives back."""

import msgspec

from herald_core.model.workers.queue import QueueView, is_significant
from herald_core.model.workers.queue_pause import (
    PausedConsumer,
    PauseMark,
    QueuePause,
    add_consumers,
    decode_pauses,
    encode_pause,
    find_mark,
    select_to_resume,
)
from herald_core.model.workers.worker import WorkerView

PAUSE = QueuePause(queue="mail", who="ops", since="2026-11-30T08:00:00.000Z")
WORKER = WorkerView(id="w", hostname="w", state="online", pid=7, started_at="t1")
CONSUMER = PausedConsumer(pid=7, started_at="t1", exchange="mail")


def test_a_pause_survives_its_item_and_a_broken_item_is_left_out() -> None:
    pause = add_consumers(PAUSE, {"w": CONSUMER})
    items = {"mail": encode_pause(pause), "other": b"no json"}
    assert decode_pauses(items) == {"mail": pause}


def test_a_queue_shows_its_pause_until_it_is_resumed() -> None:
    ended = msgspec.structs.replace(PAUSE, is_resuming=True)
    assert find_mark(PAUSE) == PauseMark("ops", PAUSE.since)
    assert find_mark(ended) is None
    assert find_mark(None) is None


def test_consumers_go_back_to_the_processes_that_had_them() -> None:
    pause = add_consumers(PAUSE, {"w": CONSUMER, "gone": CONSUMER})
    restarted = msgspec.structs.replace(WORKER, pid=8)
    again = msgspec.structs.replace(WORKER, started_at="t2")
    silent = msgspec.structs.replace(WORKER, state="silent")
    unseen = msgspec.structs.replace(WORKER, started_at=None)
    assert select_to_resume(pause, [WORKER]) == {"w": CONSUMER}
    assert select_to_resume(pause, [unseen]) == {"w": CONSUMER}
    for other in (restarted, again, silent):
        assert select_to_resume(pause, [other]) == {}


def test_a_paused_queue_is_no_alarm_and_its_pause_is_news() -> None:
    queue = QueueView(
        id="mail", name="mail", depth=3, consumers=(), as_of="2026-11-30T08:00:00Z"
    )
    paused = msgspec.structs.replace(queue, paused=PauseMark("ops", PAUSE.since))
    assert queue.is_unconsumed
    assert not paused.is_unconsumed
    assert is_significant(queue, paused)
    doubtful = msgspec.structs.replace(
        queue, consumers=None, unanswered=1, oldest_at="2026-11-30T07:00:00Z"
    )
    assert doubtful.may_be_unconsumed
    held = msgspec.structs.replace(doubtful, paused=paused.paused)
    assert not held.may_be_unconsumed
