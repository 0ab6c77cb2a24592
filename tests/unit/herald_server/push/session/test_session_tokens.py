"""The protocol: a token that is narrowed, and clients that do not read."""

from herald_core.model.filters import Filter
from herald_server.auth.quotas.stalled_clients import MAX_CHANGES
from herald_server.push.protocol.limits import MAX_BURST_MESSAGES
from tests.support.model.changes import Desk, at, change, row

MINE = Filter(name=("mine.*",))


def codes(desk: Desk) -> list[str]:
    """Return the codes of the errors that are to be sent."""
    return [frame["code"] for frame in desk.control() if frame["type"] == "error"]


# -- narrowed tokens ---------------------------------------------------------------


def test_a_token_that_is_narrowed_restarts_subscriptions_to_tasks() -> None:
    desk = Desk()
    desk.live("tasks")
    desk.session.set_task_filter(MINE)
    [read] = desk.session.read_requests
    read.sub.resume(desk.hub.pos)
    desk.session.on_snapshot_end(read, desk.hub.pos)
    assert desk.data()[0]["reset"] == "filter"
    desk.publish(11, change(11, "a", name="other"), change(11, "b", name="mine.x"))
    [frame] = desk.data()
    assert [task["id"] for task in frame["put"]] == ["b"]


def test_a_token_that_is_narrowed_ends_subscriptions_to_other_topics() -> None:
    desk = Desk()
    desk.live("workers", topic="workers")
    desk.session.set_task_filter(MINE)
    assert codes(desk) == ["forbidden"]
    assert desk.session.is_idle
    desk.say(type="subscribe", id="counts", topic="counts")
    assert codes(desk) == ["forbidden"]


def test_a_token_that_stays_as_narrow_restarts_nothing() -> None:
    desk = Desk()
    desk.session.set_task_filter(MINE)
    desk.live("tasks")
    desk.session.set_task_filter(MINE)
    assert not desk.session.read_requests
    assert desk.session.task_filter == MINE


# -- reads that fail -----------------------------------------------------------------


def test_a_snapshot_that_was_interrupted_begins_again() -> None:
    desk = Desk()
    read = desk.subscribe()
    assert read is not None
    desk.session.on_page(read, [row(10, "a")])
    desk.session.retry(read)
    [second] = desk.session.read_requests
    assert not desk.session.is_current(read)
    assert desk.session.is_current(second)


def test_a_replay_that_was_interrupted_goes_on_where_it_was() -> None:
    desk = Desk()
    read = desk.subscribe(since=str(at(9)))
    assert read is not None
    desk.session.retry(read)
    assert [*desk.session.read_requests] == [read]


# -- clients that do not read --------------------------------------------------------


def test_too_many_messages_at_once_are_refused() -> None:
    desk = Desk()
    for _ in range(MAX_BURST_MESSAGES + 1):
        desk.say(type="ping")
    assert codes(desk) == ["rate"]


def test_a_session_that_closes_has_nothing_more_to_send() -> None:
    desk = Desk()
    desk.live()
    desk.publish(11, change(11))
    desk.session.close(4400, "the end")
    assert desk.data() == []


def test_only_subscriptions_with_too_many_pending_changes_start_over() -> None:
    desk = Desk()
    desk.live("few", filter={"ids": ["t0"]})
    desk.live("many")
    desk.publish(11, *(change(11, f"t{n}") for n in range(3)))
    desk.session.subscriptions.drop_pending(2)
    desk.data()
    assert [read.sub.request.id for read in desk.session.read_requests] == ["many"]


SHARE = MAX_CHANGES // 3
"""Pending changes that each of three stalled subscriptions may have."""


def publish_more_than_a_share(desk: Desk) -> None:
    desk.publish(11, *(change(11, f"t{n}") for n in range(SHARE + 1)))
    desk.session.subscriptions.limit_to_share(desk.now)
    # What started over has nothing left to be counted.
    desk.session.subscriptions.limit_to_share(desk.now)
    desk.data()


def test_subscriptions_of_a_client_that_does_not_read_have_a_share_each() -> None:
    desk = Desk()
    desk.session.subscriptions.stall()
    for name in ("a", "b", "c"):
        desk.live(name)
    publish_more_than_a_share(desk)
    assert [read.sub.request.id for read in desk.session.read_requests] == [
        "a",
        "b",
        "c",
    ]


def test_a_subscription_that_ends_leaves_its_share_to_the_others() -> None:
    desk = Desk()
    for name in ("a", "b", "c"):
        desk.live(name)
    desk.session.subscriptions.stall()
    desk.session.subscriptions.stall()
    desk.say(type="unsubscribe", id="c")
    publish_more_than_a_share(desk)
    assert not desk.session.read_requests


def test_a_client_that_reads_again_keeps_all_changes() -> None:
    desk = Desk()
    for name in ("a", "b", "c"):
        desk.live(name)
    desk.session.subscriptions.stall()
    desk.session.subscriptions.resume()
    desk.session.subscriptions.resume()
    publish_more_than_a_share(desk)
    assert not desk.session.read_requests
