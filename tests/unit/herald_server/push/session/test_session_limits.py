"""The protocol: what a client may do, and what it is answered if it may not."""

from typing import Any

import msgspec
import pytest

from herald_server.auth.quotas.close_codes import BAD_MESSAGE, RATE_LIMITED
from herald_server.auth.quotas.cpu_budget import Account
from herald_server.push.protocol.messages import AuthMessage
from herald_server.push.session.session import MAX_ANSWERS
from tests.support.model.changes import Desk, at, change, row

STARTED: dict[str, Any] = {"filter": {"state": "STARTED"}}


def errors(desk: Desk) -> list[tuple[str, str, bool]]:
    return [
        (f["code"], f["message"], f["retry"])
        for f in desk.control()
        if f["type"] == "error"
    ]


# -- what a client may do ----------------------------------------------------------


def test_subscribing_again_takes_the_place_of_the_old_one() -> None:
    desk = Desk()
    old = desk.subscribe()
    new = desk.subscribe(since=str(at(9)))
    assert old is not None
    assert new is not None
    assert not desk.session.is_current(old)
    assert desk.session.is_current(new)
    assert (new.since, desk.hub.count_subscribers()) == (at(9), 1)


@pytest.mark.parametrize(
    "other", [STARTED, {"topic": "workers"}, {"fields": ["name"]}], ids=repr
)
def test_subscribing_again_to_something_else_is_a_reset(other: dict[str, Any]) -> None:
    desk = Desk()
    desk.live()
    read = desk.subscribe(since=str(at(9)), **other)
    assert read is not None
    assert read.since is None
    desk.session.on_snapshot_end(read, at(10))
    assert desk.data()[0]["reset"] == "filter"


def test_unsubscribing_ends_it_and_doing_so_twice_is_no_error() -> None:
    desk = Desk()
    desk.live()
    for _ in range(2):
        desk.say(type="unsubscribe", id="s")
    desk.publish(11, change(11))
    assert (desk.control(), desk.data(), desk.hub.count_subscribers()) == ([], [], 0)


def test_ping_is_answered_and_auth_is_the_callers() -> None:
    desk = Desk()
    desk.say(type="ping")
    assert desk.control() == [{"type": "pong"}]
    assert desk.session.receive('{"type":"auth","token":"t"}', 0) == AuthMessage("t")


def test_a_failed_read_is_answered_and_forgotten() -> None:
    desk = Desk()
    read = desk.subscribe()
    assert read is not None
    desk.session.fail(read, "store", "the store is away", retry=True)
    assert desk.control() == [
        {
            "type": "error",
            "id": "s",
            "code": "store",
            "message": "the store is away",
            "retry": True,
        }
    ]
    assert desk.hub.count_subscribers() == 0


def test_an_ended_session_leaves_nothing_in_the_hub() -> None:
    desk = Desk()
    desk.live("a")
    desk.live("b")
    desk.session.end()
    assert desk.hub.count_subscribers() == 0


def test_limits_are_said_and_the_socket_stays() -> None:
    desk = Desk(subs=2, ids_per_sub=2, in_bytes=200)
    desk.live("a")
    desk.live("b")
    desk.say(type="subscribe", id="c")
    desk.say(type="subscribe", id="a", filter={"ids": ["1", "2", "3"]})
    desk.session.receive(" " * 201, 0)
    assert errors(desk) == [
        (
            "too_many",
            "at most 2 subscriptions a connection; unsubscribe one",
            False,
        ),
        ("too_many", "at most 2 ids a subscription", False),
        ("too_big", "a message is over 200 bytes", False),
    ]
    desk.now += 1
    desk.say(type="subscribe", id="a")
    assert not errors(desk)
    assert desk.session.closing is None


def test_as_many_subscribes_at_once_as_there_may_be_and_then_so_many_a_second() -> None:
    desk = Desk(subs=3, subscribes_per_s=10)
    for i in range(3):
        desk.say(type="subscribe", id=str(i))
    desk.say(type="subscribe", id="0")
    assert errors(desk) == [("rate", "too many subscribes; wait a second", True)]
    desk.now += 0.15
    desk.say(type="subscribe", id="0")
    assert not errors(desk)
    desk.say(type="subscribe", id="0")
    assert errors(desk)


def watching(desk: Desk, account: Account, **wish: Any) -> list[str]:
    """Subscribe for `account`; return the codes of errors."""
    desk.session.subscriptions.count_for(account)
    desk.subscribe(**wish)
    return [code for code, *_ in errors(desk)]


def test_the_values_of_all_connections_of_a_token_are_bounded() -> None:
    account, desks = Account(0.0, max_values=5), [Desk(), Desk()]
    assert not watching(desks[0], account, filter={"tag": ["1", "2"], "state": "LOST"})
    assert watching(desks[1], account, filter={"tag": ["1", "2", "3"]}) == ["too_many"]
    assert not watching(desks[1], account, filter={"tag": ["1", "2"]})
    assert account.values == 5


def test_what_is_watched_no_more_leaves_room() -> None:
    account, desk = Account(0.0, max_values=2), Desk()
    for tags in (["1", "2"], ["3", "4"]):
        assert not watching(desk, account, filter={"tag": tags})
    desk.say(type="unsubscribe", id="s")
    assert account.values == 0
    assert not watching(desk, account, id_="t", filter={"tag": ["1", "2"]})
    desk.session.end()
    assert account.values == 0


def test_with_another_token_it_counts_for_that() -> None:
    old, new, desk = Account(0.0), Account(0.0), Desk()
    watching(desk, old, filter={"tag": ["1", "2"]})
    desk.session.subscriptions.count_for(new)
    assert (old.values, new.values) == (0, 2)
    desk.session.end()
    assert (old.values, new.values) == (0, 0)


def closing_code(desk: Desk) -> int | None:
    return desk.session.closing[0] if desk.session.closing else None


@pytest.mark.parametrize(
    ("said", "code"),
    [({"type": "x"}, BAD_MESSAGE), ({"type": "subscribe", "id": "s"}, RATE_LIMITED)],
)
def test_too_many_bad_messages_in_a_row_close_the_connection(
    said: dict[str, Any], code: int
) -> None:
    desk = Desk(bad_messages=3, subs=1, subscribes_per_s=0)
    desk.subscribe()
    for _ in range(2):
        desk.say(**said)
    desk.say(type="ping")
    for _ in range(2):
        desk.say(**said)
    assert closing_code(desk) is None, "the ping in between was meant"
    desk.say(**said)
    assert closing_code(desk) == code
    desk.session.close(1, "later")
    assert closing_code(desk) == code, "the first reason is told"


def test_answers_that_nobody_takes_fill_the_session() -> None:
    desk = Desk()
    for _ in range(MAX_ANSWERS):
        assert not desk.session.is_backlogged
        desk.say(type="ping")
    assert desk.session.is_backlogged
    desk.control()
    assert not desk.session.is_backlogged


def test_no_frame_is_longer_than_libraries_take() -> None:
    desk = Desk()
    rows = [row(9, f"t{n}", args="x" * 50_000) for n in range(30)]
    read = desk.subscribe()
    assert read is not None
    desk.session.on_page(read, rows[:15])
    desk.session.on_page(read, rows[15:])
    desk.session.on_snapshot_end(read, desk.hub.pos)
    later = [change(11, f"u{n}", args="y" * 50_000, number=n) for n in range(15)]
    said = desk.session.take_control_frames() + desk.session.take_data_frames(desk.now)
    desk.publish(11, *later)
    said += desk.session.take_data_frames(desk.now)
    assert max(map(len, said)) < 1 << 20
    frames = [msgspec.json.decode(frame) for frame in said]
    told = [item["id"] for frame in frames for item in frame["put"]]
    assert told == [f"t{n}" for n in range(30)] + [f"u{n}" for n in range(15)]
    assert [f["cursor"] for f in frames if "cursor" in f] == [str(at(10)), str(at(11))]
    assert [f["reset"] for f in frames if "reset" in f] == ["new"]
