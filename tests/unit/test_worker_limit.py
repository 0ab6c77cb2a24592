"""How many hostnames are taken, and what is told of the others."""

from herald_monitor.intake import Heard, Taken
from herald_monitor.interpreting import Interpreter
from herald_monitor.unread import Said
from herald_monitor.worker_limit import STORED_WITHIN, TOLD_FOR, WorkerLimit


def test_invented_names_take_no_place_of_who_is_known() -> None:
    limit = WorkerLimit(2)
    assert limit.admits("w1@h", 1.0)
    assert limit.admits("w2@h", 1.0)
    assert not any([limit.admits(f"evil{i}@h", 2.0) for i in range(1_000)])
    assert limit.admits("w1@h", 3.0)
    assert limit.refused == 1_000


def test_who_left_the_store_makes_room() -> None:
    limit = WorkerLimit(2)
    limit.update(["w1@h", "w2@h"], 0.0)
    assert not limit.admits("w3@h", 1.0)
    limit.update(["w1@h"], 2.0)
    assert limit.admits("w3@h", 2.0)


def test_who_waits_to_be_stored_keeps_its_place() -> None:
    limit = WorkerLimit(1)
    assert limit.admits("w1@h", 1.0)
    for now in (2.0, 7.0, 12.0):
        limit.update([], now)
        assert not limit.admits("w2@h", now)
    limit.update([], 1.0 + STORED_WITHIN)
    assert limit.admits("w2@h", 70.0)


def test_what_is_refused_does_not_wait_in_memory() -> None:
    limit = WorkerLimit(1)
    own: Said = {"type": "worker-heartbeat", "hostname": "w1@h"}
    other: Said = {"type": "worker-heartbeat", "hostname": "w2@h"}
    odd: Said = {"type": "worker-heartbeat", "hostname": ["w3@h"]}
    task: Said = {"type": "task-sent", "uuid": "t", "hostname": "w2@h"}
    told: list[Said] = [own, other, odd, task]
    assert limit.without_refused(told, 1.0) is told
    assert limit.admits("w1@h", 1.0)
    assert limit.without_refused(told, 1.0) == [own, odd, task]


def test_refusals_are_told_for_a_while() -> None:
    limit = WorkerLimit(1)
    limit.admits("w1@h", 1.0)
    assert limit.problem(1.0) == ""
    limit.admits("w2@h", 2.0)
    assert "HERALD_MAX_WORKERS" in limit.problem(2.0 + TOLD_FOR / 2)
    assert limit.problem(2.0 + TOLD_FOR) == ""


def test_what_a_refused_worker_says_is_counted_and_not_stored() -> None:
    interpreter = Interpreter(str)
    interpreter.admits = WorkerLimit(1).admits
    names = ["w0@h", "w1@h", "w2@h"]
    beats: list[Heard] = [{"type": "worker-heartbeat", "hostname": n} for n in names]
    read = interpreter.read(Taken([(beats, 1.0)], []))
    assert [worker.hostname for worker in read.workers] == ["w0@h"]
    assert interpreter.counters.worker_events == 3
