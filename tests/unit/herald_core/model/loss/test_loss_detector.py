"""What workers counted against what was heard of them."""

import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from herald_core.model.events.event import parse_event
from herald_core.model.loss import loss_detector
from herald_core.model.loss.loss_detector import LossDetector, MissingStarts
from herald_core.model.workers.worker_reports import parse_worker
from tests.support.environment import ROOT

RECORDINGS = ROOT / "tests" / "recordings"


class Said:
    """A worker that works, and what of it is heard."""

    def __init__(self, host: str = "w@h", pid: int = 1) -> None:
        self.counting = LossDetector()
        self.host, self.pid = host, pid
        self.clock = self.processed = 0
        self.now = 1000.0
        self.missing = 0

    def start(self, *, heard: bool = True) -> int:
        """Start a task; return the clock with which that is said."""
        self.processed += 1
        self.clock += 1
        if heard:
            self.hear(self.clock)
        return self.clock

    def hear(self, clock: int) -> None:
        self.counting.add_start(self.host, self.pid, clock)

    def beat(self, *, full: bool = True, heard: bool = True) -> MissingStarts | None:
        self.clock += 1
        self.now += 2
        if not heard:
            return None
        told = self.processed if full else None
        found = self.counting.add_heartbeat(
            self.host, self.pid, self.clock, told, self.now
        )
        self.missing += found.number if found else 0
        return found

    def beats(self, number: int = 4) -> int:
        """Beat often enough for all to come out; return what was missing by then."""
        for _ in range(number):
            self.beat()
        return self.missing


@pytest.fixture
def said() -> Said:
    """A worker of which one start was heard, and then one heartbeat."""
    said = Said()
    said.start()
    said.beat()
    return said


def test_nothing_is_missing_where_all_is_heard(said: Said) -> None:
    for _ in range(50):
        said.start()
        said.beat()
    assert said.beats() == 0


def test_a_start_that_is_not_heard_is_missing_once(said: Said) -> None:
    said.start(heard=False)
    assert said.beats(10) == 1


def test_it_takes_two_heartbeats_in_a_row(said: Said) -> None:
    said.start(heard=False)
    assert [said.beat() is not None for _ in range(4)] == [False, False, True, False]


def test_the_stretch_reaches_from_the_last_good_heartbeat_to_the_first_bad_one(
    said: Said,
) -> None:
    said.beat()
    said.start(heard=False)
    said.beats()
    said.start(heard=False)
    said.beat()
    said.beat()
    found = said.beat()
    assert found is not None
    assert (found.hostname, found.number) == ("w@h", 1)
    assert found.since < found.until <= said.now


def test_buffered_starts_may_be_heard_after_the_heartbeat_that_counts_them(
    said: Said,
) -> None:
    for _ in range(20):
        late = [said.start(heard=False) for _ in range(3)]
        said.beat()
        for clock in late:
            said.hear(clock)
    assert said.beats() == 0


def test_what_comes_after_a_reconnect_is_missing_no_more(said: Said) -> None:
    late = [said.start(heard=False) for _ in range(5)]
    assert said.beats() == 5
    for clock in late:
        said.hear(clock)
    said.beats()
    said.start(heard=False)
    assert said.beats() == 6, "and one that is missing later is told"


def test_starts_heard_twice_hide_nothing(said: Said) -> None:
    for _ in range(5):
        said.hear(said.start())
    said.start(heard=False)
    assert said.beats() == 1


def test_a_heartbeat_without_the_count_is_ignored(said: Said) -> None:
    for _ in range(10):
        said.start()
        said.beat(full=False)
    assert said.beats() == 0
    said.start(heard=False)
    said.beat(full=False)
    assert said.beats() == 1


def test_lost_heartbeats_lose_no_count(said: Said) -> None:
    said.start(heard=False)
    said.beat(heard=False)
    said.start(heard=False)
    said.beat(heard=False)
    assert said.beats() == 2


def test_a_worker_whose_events_are_off_is_not_counted() -> None:
    said = Said()
    for _ in range(10):
        said.start(heard=False)
        said.beat()
    assert said.missing == 0


def test_a_worker_counts_from_when_its_events_were_turned_on() -> None:
    said = Said()
    for _ in range(10):
        said.start(heard=False)
        said.beat()
    said.start()
    assert said.beats() == 0
    said.start(heard=False)
    assert said.beats() == 1


@pytest.mark.parametrize("online", [True, False])
def test_a_container_restarted_with_its_old_pid_begins_anew(
    said: Said, online: bool
) -> None:
    for _ in range(5):
        said.start()
    said.beats()
    said.clock = said.processed = 0
    if online:
        said.counting.reset(said.host, said.pid)
    for _ in range(3):
        said.start()
        said.beat()
    assert said.beats() == 0


def test_each_boot_is_counted_on_its_own(said: Said) -> None:
    other = Said(pid=2)
    other.counting = said.counting
    other.start()
    other.beat()
    said.start(heard=False)
    assert (said.beats(), other.beats()) == (1, 0)


def test_a_heartbeat_that_comes_late_changes_nothing(said: Said) -> None:
    early, count = said.clock, said.processed
    for _ in range(3):
        said.start()
        said.beat()
    said.counting.add_heartbeat(said.host, said.pid, early, count, said.now)
    said.start(heard=False)
    assert said.beats() == 1


def test_a_worker_that_keeps_silent_about_some_tasks_is_excused(said: Said) -> None:
    said.start(heard=False)
    assert said.beats() == 1
    said.counting.ignore(said.host)
    for _ in range(3):
        said.start(heard=False)
    assert said.beats() == 1


STEPS = st.lists(st.sampled_from(["heard", "late", "lost", "beat", "wake", "deaf"]))


@given(STEPS)
def test_what_is_lost_is_counted_exactly(steps: list[str]) -> None:
    said = Said()
    said.start()
    said.beat()
    late: list[int] = []
    lost = 0
    for step in steps:
        if step in ("beat", "wake", "deaf"):
            said.beat(full=step != "wake", heard=step != "deaf")
            # Nothing stays in a worker's buffer for as long as a heartbeat takes.
            for clock in late:
                said.hear(clock)
            late.clear()
        elif step == "late":
            late.append(said.start(heard=False))
        else:
            lost += step == "lost"
            said.start(heard=step == "heard")
    for clock in late:
        said.hear(clock)
    assert said.beats() == lost


def replay(name: str, *, without: int = 0) -> int:
    """Return how many starts are missing in a recording; leave out each `without`th."""
    counting, number = LossDetector(), 0
    missing: Counter[str] = Counter()
    for line in (RECORDINGS / name).read_text().splitlines():
        message = json.loads(line)
        for raw in message["events"]:
            event = parse_event(raw, message["heard"])
            worker = parse_worker(raw, message["heard"]) if event is None else None
            if event is not None and event.kind == "started":
                number += 1
                if not without or number % without:
                    counting.add_start(event.host, event.pid, event.clock)
            elif event is not None and event.kind == "received":
                counting.track(event.host, event.pid)
            elif worker is not None:
                _, told = worker.fields.get("processed", (None, None))
                found = counting.add_heartbeat(
                    worker.hostname,
                    worker.last.pid,
                    worker.last.clock,
                    int(told) if isinstance(told, float) else None,
                    message["heard"],
                )
                missing[worker.hostname] += found.number if found else 0
    return sum(missing.values())


@pytest.mark.parametrize("name", ["prefork-redis", "prefork-amqp", "threads-redis"])
def test_real_workers_count_as_they_say(name: str) -> None:
    assert replay(f"{name}.events.jsonl") == 0
    assert replay(f"{name}.events.jsonl", without=5) == 2


def test_a_worker_with_too_many_uncounted_starts_is_counted_anew(
    said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loss_detector, "MAX_STARTS", 2)
    for _ in range(4):
        said.start()
    said.start(heard=False)
    assert said.beats() == 0


def test_the_processes_that_are_counted_are_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(loss_detector, "MAX_BOOTS", 1)
    counting = LossDetector()
    first = Said("first@h")
    first.counting = counting
    first.start()
    first.beat()
    counting.add_start("second@h", 1, 1)
    # What was counted of the first is forgotten, so nothing of it is missed.
    first.start(heard=False)
    assert first.beats() == 0


def test_a_late_heartbeat_of_a_boot_is_left_out(said: Said) -> None:
    said.start()
    said.beat()
    said.counting.add_heartbeat(
        said.host, said.pid, said.clock - 1, said.processed, said.now
    )
    said.start(heard=False)
    assert said.beats() == 1


def test_a_heartbeat_of_another_boot_begins_anew(said: Said) -> None:
    said.start(heard=False)
    said.clock = said.processed = 0
    assert said.beats() == 0
