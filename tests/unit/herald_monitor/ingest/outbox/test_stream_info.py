"""What follows from the state of a stream: losses, claims, trimming. No server."""

import pytest

from herald_monitor.ingest.outbox.stream_info import (
    CLAIM_AFTER_MS,
    FORGET_AFTER_MS,
    NO_ENTRY,
    QUIET_MS,
    ConsumerInfo,
    EntryId,
    GroupInfo,
    StreamInfo,
    count_unread,
    find_trim_limit,
    find_unread_loss,
    has_expired,
    is_other_stream,
    list_dead_consumers,
    list_forgotten_consumers,
    parse_entry_id,
    parse_stream_info,
)

NOW = 1_800_000_000_000


def at(ms: int) -> EntryId:
    return EntryId(ms, 0)


def stream(first: int | None, last: int, length: int, added: int | None) -> StreamInfo:
    begin = None if first is None else at(first)
    return StreamInfo(length=length, added=added, first=begin, last=at(last))


def group(delivered: int, read: int | None) -> GroupInfo:
    return GroupInfo(name="g", delivered=at(delivered), read=read)


@pytest.mark.parametrize(
    ("info", "reader", "lost"),
    [
        (stream(1, 10, 10, 10), group(5, 5), 0),
        (stream(6, 10, 5, 10), group(5, 5), 0),
        (stream(8, 10, 3, 10), group(5, 5), 2),
        (stream(None, 10, 0, 10), group(5, 5), 5),
        (stream(None, 10, 0, 10), group(10, 10), 0),
        (stream(3, 10, 8, 10), group(0, None), 2),
        (stream(1, 10, 10, 10), group(0, None), 0),
        # Redis cannot count.
        (stream(8, 10, 3, None), group(5, None), None),
        (stream(8, 10, 3, None), group(0, None), 0),
        (stream(None, 10, 0, None), group(10, None), 0),
        (stream(8, 10, 3, 10), group(5, None), None),
        (stream(None, 10, 0, 10), group(10, None), 0),
        # More read than was ever added: somebody has set the position.
        (stream(8, 10, 3, 10), group(5, 20), 0),
    ],
)
def test_what_left_the_stream_unread_is_counted(
    info: StreamInfo, reader: GroupInfo, lost: int | None
) -> None:
    assert find_unread_loss(info, reader) == lost


@pytest.mark.parametrize(
    ("info", "reader", "unread"),
    [
        (stream(1, 10, 10, 10), group(10, 10), 0),
        (stream(1, 10, 10, 10), group(4, 4), 6),
        (stream(8, 10, 3, 10), group(5, 5), 3),
        (stream(1, 10, 10, None), group(4, None), None),
        (stream(None, 10, 0, 10), group(5, 5), 0),
    ],
)
def test_what_is_unread_is_counted(
    info: StreamInfo, reader: GroupInfo, unread: int | None
) -> None:
    assert count_unread(info, reader) == unread


@pytest.mark.parametrize(
    ("now", "other"),
    [
        (stream(1, 12, 12, 12), False),
        (stream(None, 10, 0, 10), False),
        (stream(20, 21, 2, 2), True),
        (stream(1, 9, 9, 9), True),
        (stream(20, 21, 2, None), True),
        (stream(3, 12, 9, None), False),
    ],
)
def test_a_stream_in_place_of_another_is_noticed(now: StreamInfo, other: bool) -> None:
    before = stream(1, 10, 10, None if now.added is None else 10)
    assert is_other_stream(now, before) is other


def trimmable(*groups: GroupInfo, first: int = NOW - 9_000) -> StreamInfo:
    return StreamInfo(length=9, added=9, first=at(first), last=at(NOW), groups=groups)


def test_what_all_groups_have_read_is_trimmed_once_it_is_old() -> None:
    done = GroupInfo(name="a", delivered=at(NOW))
    assert find_trim_limit(trimmable(done), 5_000) == at(NOW - 5_000)
    assert find_trim_limit(trimmable(done), 10_000) is None
    assert find_trim_limit(trimmable(done, first=NOW - 5_000), 5_000) is None
    behind = GroupInfo(name="b", delivered=at(NOW - 7_000))
    assert find_trim_limit(trimmable(done, behind), 5_000) == at(NOW - 7_000)
    oldest = at(NOW - 8_000)
    slow = GroupInfo(name="c", delivered=at(NOW), oldest_pending=oldest)
    assert find_trim_limit(trimmable(done, slow), 5_000) == oldest
    fresh = GroupInfo(name="d")
    assert find_trim_limit(trimmable(done, fresh), 5_000) is None
    assert find_trim_limit(trimmable(), 5_000) is None


def test_only_from_silent_consumers_with_entries_others_claim() -> None:
    dead, alive = NOW - CLAIM_AFTER_MS, NOW - CLAIM_AFTER_MS + 1
    members = (
        ConsumerInfo("own", dead, 5),
        ConsumerInfo("dead", dead, 5),
        ConsumerInfo("idle", dead, 0),
        ConsumerInfo("slow", alive, 5),
    )
    one = GroupInfo(name="g", consumers=members)
    info = StreamInfo(last=at(NOW), groups=(one,))
    assert list_dead_consumers(info, one, "own") == ["dead"]


def test_consumers_that_left_long_ago_are_forgotten() -> None:
    gone = NOW - FORGET_AFTER_MS
    members = (
        ConsumerInfo("own", gone, 0),
        ConsumerInfo("gone", gone, 0),
        ConsumerInfo("owes", gone, 1),
        ConsumerInfo("new", gone + 1, 0),
    )
    one = GroupInfo(name="g", consumers=members)
    info = StreamInfo(last=at(NOW), groups=(one,))
    assert list_forgotten_consumers(info, one, "own") == ["gone"]


def test_the_time_is_the_latest_that_redis_named() -> None:
    one = GroupInfo(name="g", consumers=(ConsumerInfo("a", NOW + 7, 0),))
    assert StreamInfo(last=at(NOW), groups=(one,)).find_time() == NOW + 7
    assert StreamInfo(last=at(NOW)).find_time() == NOW


def reply(*, counts: bool) -> list[object]:
    more: list[object] = [b"entries-added", 12] if counts else []
    read: list[object] = [b"entries-read", 7] if counts else []
    consumer = [b"name", b"m1", b"seen-time", NOW, b"pel-count", 1]
    return [
        *(b"length", 3, b"last-generated-id", b"9-1", *more),
        *(b"entries", [[b"5-0", [b"events", b"[]"]]]),
        b"groups",
        [
            [
                *(b"name", b"herald", b"last-delivered-id", b"7-2", *read),
                *(b"pel-count", 1, b"pending", [[b"6-0", b"m1", NOW, 1]]),
                *(b"consumers", [consumer]),
            ]
        ],
    ]


@pytest.mark.parametrize("counts", [True, False])
def test_the_reply_of_redis_is_read_with_and_without_its_counts(counts: bool) -> None:
    info = parse_stream_info(reply(counts=counts))
    assert (info.length, info.added) == (3, 12 if counts else None)
    assert (info.first, info.last) == (EntryId(5, 0), EntryId(9, 1))
    found = info.get_group("herald")
    assert found is not None
    assert (found.delivered, found.read) == (EntryId(7, 2), 7 if counts else None)
    assert (found.pending, found.oldest_pending) == (1, EntryId(6, 0))
    assert found.consumers == (ConsumerInfo("m1", NOW, 1),)
    assert info.get_group("other") is None
    as_map = dict(zip(reply(counts=True)[::2], reply(counts=True)[1::2], strict=True))
    assert parse_stream_info(as_map) == parse_stream_info(reply(counts=True))


def test_ids_are_ordered_by_time_and_number() -> None:
    assert parse_entry_id(b"12-3") == EntryId(12, 3)
    assert EntryId(2, 10) < EntryId(10, 2)
    assert str(EntryId(12, 3)) == "12-3"
    assert EntryId(0, 1) > NO_ENTRY


@pytest.mark.parametrize(
    ("delivered", "pending", "seen", "expired"),
    [
        (10, 0, 10 + QUIET_MS + 1, True),
        (10, 0, 10 + QUIET_MS, False),
        (9, 0, 10 + QUIET_MS + 1, False),
        (10, 1, 10 + QUIET_MS + 1, False),
    ],
)
def test_only_a_quiet_stream_that_is_stored_expires_without_a_loss(
    delivered: int, pending: int, seen: int, expired: bool
) -> None:
    member = ConsumerInfo("m1", seen, pending)
    own = GroupInfo(
        name="g", delivered=at(delivered), pending=pending, consumers=(member,)
    )
    assert has_expired(StreamInfo(last=at(10), groups=(own,))) is expired
