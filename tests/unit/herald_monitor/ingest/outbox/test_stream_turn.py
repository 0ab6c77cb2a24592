"""Which monitor reads which stream."""

from herald_monitor.ingest.outbox.stream_info import (
    CLAIM_AFTER_MS,
    ConsumerInfo,
    EntryId,
    GroupInfo,
    StreamInfo,
)
from herald_monitor.ingest.outbox.stream_turn import (
    HELP_MS,
    STALLED_AFTER_MS,
    StreamTurn,
)

NAMES: tuple[str, ...] = ("a", "b", "c", "d")
NOW = 1_800_000_000_000


def look(turn: StreamTurn, at: int, seen: dict[str, int], delivered: int) -> bool:
    """Let a monitor look at a stream whose newest entry is at `NOW`."""
    consumers = tuple(ConsumerInfo(name, ms, 0) for name, ms in seen.items())
    group = GroupInfo(name="g", delivered=EntryId(delivered, 0), consumers=consumers)
    last = EntryId(NOW, 0)
    clock = GroupInfo(name="other", consumers=(ConsumerInfo("clock", at, 0),))
    turn.update(StreamInfo(length=9, last=last, groups=(group, clock)), group)
    return turn.is_own


def test_each_of_several_streams_has_one_reader_and_each_monitor_as_many() -> None:
    for monitors in (1, 2, 4):
        seen = dict.fromkeys(NAMES[:monitors], NOW)
        found = [
            [name for name in seen if look(StreamTurn(name, n), NOW, seen, NOW)]
            for n in range(4)
        ]
        assert all(len(readers) == 1 for readers in found)
        assert {found.count([name]) for name in seen} == {4 // monitors}


def test_a_single_stream_is_read_by_all() -> None:
    seen = dict.fromkeys(NAMES, NOW)
    assert all(look(StreamTurn(name, None), NOW, seen, 0) for name in NAMES)


def test_a_silent_monitor_reads_nothing_any_more() -> None:
    seen = {"a": NOW - CLAIM_AFTER_MS, "b": NOW}
    assert look(StreamTurn("b", 0), NOW, seen, NOW)
    assert not look(StreamTurn("b", 0), NOW, {"a": NOW - 4_000, "b": NOW}, NOW)


def test_a_monitor_that_does_not_know_itself_yet_counts_itself() -> None:
    assert look(StreamTurn("a", 0), NOW, {}, NOW)
    assert not look(StreamTurn("b", 0), NOW, {"a": NOW}, NOW)


def test_others_read_what_its_reader_leaves_for_a_while() -> None:
    turn, late = StreamTurn("b", 0), NOW + STALLED_AFTER_MS

    def is_own(at: int, delivered: int) -> bool:
        return look(turn, at, {"a": at, "b": at}, delivered)

    assert not is_own(NOW, 5)
    assert not is_own(late - 1, 5)
    assert is_own(late, 5)
    # What it reads is progress, and no reason to stop.
    assert is_own(late + 1, 900)
    assert not is_own(late + HELP_MS, 950)


def test_an_overloaded_reader_that_makes_progress_is_left_alone() -> None:
    turn = StreamTurn("b", 0)
    for second in range(20):
        at = NOW + 1_000 * second
        assert not look(turn, at, {"a": at, "b": at}, 100 + second)
