"""What workers say, and whether they live."""

import math
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from herald_core.errors import InvalidEvent
from herald_core.model.codec import to_json
from herald_core.model.workers.worker import (
    DRAIN_TIMEOUT_S,
    find_worker_state,
    make_worker_view,
)
from herald_core.model.workers.worker_record import MAX_PROCESSES, Worker, join_workers
from herald_core.model.workers.worker_reports import make_answered_worker, parse_worker
from herald_core.store.redis.encoding.record_codec import decode_record, encode_record
from tests.support.model.events import T0
from tests.support.model.recordings import RECORDINGS, raw

HEARTBEAT: dict[str, Any] = {
    "type": "worker-heartbeat",
    "hostname": "w1@h",
    "pid": 7,
    "clock": 40,
    "timestamp": T0,
    "utcoffset": 0,
    "freq": 2.0,
    "active": 1,
    "processed": 12,
    "loadavg": [0.5, 0.25, 0.1],
    "sw_ident": "py-celery",
    "sw_ver": "5.7.0",
    "sw_sys": "Linux",
}


def said(kind: str = "heartbeat", heard: float = T0, **changed: object) -> Worker:
    """Return what one event tells of a worker; None takes a field away."""
    told = {**HEARTBEAT, "timestamp": heard, "type": f"worker-{kind}"} | changed
    worker = parse_worker({k: v for k, v in told.items() if v is not None}, heard)
    assert worker is not None
    return worker


def both(*told: Worker) -> Worker:
    """Return what several events tell, which does not depend on their order."""
    whole = told[0]
    for one in told[1:]:
        whole = join_workers(whole, one)
    again = told[-1]
    for one in reversed(told[:-1]):
        again = join_workers(again, one)
    assert whole == again
    return whole


WAKE_UP: dict[str, Any] = {
    "freq": 5,
    "active": None,
    "processed": None,
    "loadavg": None,
    "sw_ident": None,
}


def test_a_heartbeat_is_shown() -> None:
    image = make_worker_view(said(), T0 + 1, "1-2.0")
    assert (image.id, image.hostname, image.state) == ("w1@h", "w1@h", "online")
    assert (image.pid, image.active, image.processed, image.freq) == (7, 1, 12, 2.0)
    assert (image.loadavg, image.software) == ((0.5, 0.25, 0.1), "py-celery 5.7.0")
    assert image.last_heartbeat_at == image.updated_at == "2027-01-15T08:00:00.000Z"
    assert (image.clock_skew_ms, image.started_at, image.rev) == (0, None, "1-2.0")


def test_a_wake_up_heartbeat_takes_no_counters_away() -> None:
    worker = both(said(), said(heard=T0 + 1, clock=41, **WAKE_UP))
    image = make_worker_view(worker, T0 + 1)
    assert (image.active, image.processed, image.software) == (1, 12, "py-celery 5.7.0")
    assert image.freq == 2, "nor is its rhythm the worker's own"


def test_a_wake_up_heartbeat_alone_tells_that_it_lives() -> None:
    image = make_worker_view(said(**WAKE_UP), T0 + 1)
    assert (image.state, image.processed, image.loadavg) == ("online", None, None)


def test_a_worker_that_connects_again_is_the_same_process() -> None:
    """It says `worker-online` again; only a new one has accepted no task yet."""
    new = said("online", processed=0, active=0)
    again = said("online", T0 + 9, clock=90)
    image = make_worker_view(both(new, again), T0 + 9)
    assert image.started_at == "2027-01-15T08:00:00.000Z"
    assert image.processed == 12
    restarted = said("online", T0 + 20, pid=8, clock=1, processed=0, active=0)
    image = make_worker_view(both(new, again, restarted), T0 + 20)
    assert image.started_at == "2027-01-15T08:00:20.000Z"


def test_an_answer_shows_that_a_worker_lives_without_heartbeats() -> None:
    heard, asked = said(), make_answered_worker("w1@h", T0 + 50, slots=4, pool="solo")
    image = make_worker_view(both(heard, asked), T0 + 60)
    assert (image.slots, image.pool, image.state) == (4, "solo", "online")
    assert make_worker_view(both(heard, asked), T0 + 81).state == "silent"
    assert make_worker_view(heard, T0 + 60).state == "silent"


def test_processes_that_share_a_name_are_counted_together() -> None:
    beats = [
        said(heard=T0 + at, clock=at, pid=pid, active=pid - 6, processed=10 * pid)
        for at in range(5)
        for pid in (7, 8)
    ]
    image = make_worker_view(both(*beats), T0 + 5)
    assert (image.processes, image.active, image.processed) == (2, 3, 150)
    assert "2 processes share the name w1@h" in str(image.note)
    assert image.shared


def test_a_process_that_took_the_place_of_another_shares_nothing() -> None:
    before = [said(heard=T0 + at, clock=at) for at in range(5)]
    after = [said(heard=T0 + at, clock=at, pid=8) for at in range(5, 9)]
    image = make_worker_view(both(*before, *after), T0 + 9)
    assert (image.processes, image.shared, image.note) == (None, False, None)


def test_the_goodbye_of_one_of_two_is_not_that_of_the_other() -> None:
    beats = [said(heard=T0 + at, clock=at, pid=p) for at in range(5) for p in (7, 8)]
    bye = said("offline", heard=T0 + 5, clock=9, pid=7)
    assert make_worker_view(both(*beats, bye), T0 + 6).state == "online"
    assert make_worker_view(both(*beats, bye), T0 + 6).processes is None
    assert make_worker_view(both(*beats, bye), T0 + 12).state == "draining"


def test_another_boot_may_have_other_slots() -> None:
    again = said("online", T0 + 9, pid=8, clock=1, processed=0)
    worker = both(make_answered_worker("w1@h", T0 + 5, slots=4), again)
    assert make_worker_view(worker, T0 + 10).slots is None
    worker = both(worker, make_answered_worker("w1@h", T0 + 11, slots=2))
    assert make_worker_view(worker, T0 + 12).slots == 2


def test_a_worker_may_tell_no_version() -> None:
    assert make_worker_view(said(sw_ver=None), T0).software == "py-celery"


def test_a_restart_voids_the_counters_of_the_boot_before() -> None:
    again = said("online", T0 + 9, pid=8, clock=1, **WAKE_UP)
    image = make_worker_view(both(said(), again), T0 + 10)
    assert (image.processed, image.active, image.pid) == (None, None, 8)
    assert image.started_at == "2027-01-15T08:00:09.000Z"


def test_a_restart_tells_its_own_counters() -> None:
    again = said("online", T0 + 9, pid=8, clock=1, processed=0, active=0)
    image = make_worker_view(both(said(), again), T0 + 10)
    assert (image.processed, image.active) == (0, 0)


@pytest.mark.parametrize(
    ("quiet", "state"),
    [(0, "online"), (5.9, "online"), (6.1, "silent"), (1e6, "silent")],
)
def test_a_worker_is_silent_after_three_heartbeats(quiet: float, state: str) -> None:
    assert find_worker_state(said(), T0 + quiet) == state


def test_a_worker_that_tells_no_interval_is_given_celerys() -> None:
    assert find_worker_state(said(freq=0), T0 + 5.9) == "online"
    assert find_worker_state(said(freq=None), T0 + 6.1) == "silent"


def test_offline_opens_a_warm_shutdown() -> None:
    worker = both(said(), said("offline", T0 + 1, clock=41))
    assert find_worker_state(worker, T0 + 2) == "draining"
    assert find_worker_state(worker, T0 + 1 + DRAIN_TIMEOUT_S + 1) == "offline"


def test_a_worker_that_comes_back_is_online() -> None:
    worker = both(said("offline", T0), said("online", T0 + 5, pid=8, clock=1))
    assert find_worker_state(worker, T0 + 6) == "online"


@pytest.mark.parametrize("skew", [-300.0, -7.0, 300.0])
def test_a_worker_lives_whatever_its_clock_says(skew: float) -> None:
    worker = said(heard=T0, timestamp=T0 + skew)
    image = make_worker_view(worker, T0 + 1)
    assert image.state == "online"
    assert image.clock_skew_ms == skew * 1000
    assert image.last_heartbeat_at == "2027-01-15T08:00:00.000Z"


def test_the_word_that_travelled_fastest_tells_the_skew() -> None:
    slow = said(heard=T0 + 9, timestamp=T0)
    fast = said(heard=T0 + 2.01, timestamp=T0 + 2)
    assert make_worker_view(both(slow, fast), T0).clock_skew_ms == -10


def test_a_worker_without_a_timestamp_has_no_known_skew() -> None:
    silent = said(timestamp=None)
    assert make_worker_view(silent, T0).clock_skew_ms is None
    assert make_worker_view(both(silent, said()), T0).clock_skew_ms == 0


def test_two_monitors_that_hear_the_same_agree() -> None:
    assert (
        said(heard=T0 + 0.2, timestamp=T0).received_at
        == said(heard=T0 + 0.9).received_at
    )


@pytest.mark.parametrize("hostname", [None, "", 5, ["w"]])
def test_a_worker_without_a_hostname_is_refused(hostname: object) -> None:
    with pytest.raises(InvalidEvent, match="worker-heartbeat without a hostname"):
        parse_worker({"type": "worker-heartbeat", "hostname": hostname}, T0)


@pytest.mark.parametrize("kind", ["task-sent", None, 5, [], "worker-dance"])
def test_other_kinds_tell_nothing_of_a_worker(kind: object) -> None:
    assert parse_worker({**HEARTBEAT, "type": kind}, T0) is None


@pytest.mark.parametrize(
    "junk", [math.nan, math.inf, -1, True, "5", [5], 10**400, 1e300, b"5"]
)
def test_fields_that_cannot_be_meant_are_dropped(junk: object) -> None:
    worker = said(
        freq=junk,
        active=junk,
        processed=junk,
        loadavg=[junk, 1],
        pid=junk,
        clock=junk,
        sw_ident=[junk],
        sw_ver=5,
        timestamp=junk,
    )
    image = make_worker_view(worker, T0)
    assert (image.freq, image.active, image.processed, image.pid) == (None,) * 4
    assert image.software is None
    assert encode_record(worker)
    assert to_json(image)


stamps = st.sampled_from([T0 - 300, T0, T0 + 1, T0 + 2])
workers = st.builds(
    said,
    kind=st.sampled_from(["online", "heartbeat", "offline"]),
    heard=stamps,
    timestamp=stamps | st.none(),
    clock=st.integers(1, 3),
    pid=st.sampled_from([7, 8]),
    freq=st.sampled_from([None, 2, 5]),
    active=st.sampled_from([None, 0, 1]),
    processed=st.sampled_from([None, 0, 12]),
    loadavg=st.sampled_from([None, [1.0], [1.0, 2.0]]),
)
several = st.lists(workers, min_size=1, max_size=4).map(lambda told: both(*told))
few = settings(max_examples=60, deadline=None)


@few
@given(several, several, several)
def test_joining_workers_does_not_care_about_order_or_repetition(
    a: Worker, b: Worker, c: Worker
) -> None:
    assert join_workers(a, b) == join_workers(b, a)
    assert join_workers(join_workers(a, b), c) == join_workers(a, join_workers(b, c))
    assert join_workers(a, a) is a
    whole = join_workers(a, b)
    assert join_workers(whole, b) is whole


@few
@given(several, stamps)
def test_every_worker_can_be_shown_and_stored(worker: Worker, now: float) -> None:
    assert make_worker_view(worker, now).state in (
        "online",
        "draining",
        "silent",
        "offline",
    )
    decoder = msgspec.msgpack.Decoder(Worker)
    assert decode_record(b"1-1.0 - 0 0\n" + encode_record(worker), decoder)[1] == worker


@pytest.mark.parametrize("recording", RECORDINGS)
def test_real_workers_are_read(recording: str) -> None:
    told = [parse_worker(event, heard) for event, heard in raw(recording)]
    heard = [worker for worker in told if worker]
    assert {w.hostname for w in heard} >= {"w1@h"}
    first = both(*(w for w in heard if w.hostname == "w1@h"))
    image = make_worker_view(first, first.last.at)
    assert image.software == "py-celery 5.7.0"
    assert image.clock_skew_ms is not None
    assert abs(image.clock_skew_ms) < 50


def test_of_very_many_processes_of_a_name_the_latest_are_kept() -> None:
    joined = said(pid=1, heard=T0)
    for pid in range(2, MAX_PROCESSES + 3):
        joined = join_workers(joined, said(pid=pid, heard=T0 + pid))
    assert sorted(joined.processes) == [*range(3, MAX_PROCESSES + 3)]


def test_an_answer_may_name_the_pool_only() -> None:
    answer = make_answered_worker("w1@h", T0, pool="threads", processes=2)
    assert [*answer.fields] == ["pool", "answers"]


def test_a_worker_that_writes_to_the_outbox_says_so() -> None:
    assert make_worker_view(said(outbox=True), T0).outbox
    assert not make_worker_view(said(), T0).outbox
    assert not make_worker_view(said(outbox="yes"), T0).outbox


def test_a_worker_may_report_the_release_of_its_project() -> None:
    reported = said(release=" 4f1c\n")
    assert make_worker_view(reported, T0).release == "4f1c"
    restarted = both(reported, said("online", T0 + 60, processed=0, pid=2))
    assert make_worker_view(restarted, T0 + 60).release is None
    for useless in (None, " ", 7):
        assert make_worker_view(said(release=useless), T0).release is None
