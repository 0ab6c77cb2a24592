"""What a client makes of the frames it hears: whole, once, in order."""

import json
from typing import Any

import pytest

from herald_client import Change, Gone, Put, Reset, ServerProblem
from herald_client.connection.protocol import ConnectionLost, SubscriptionProtocol
from herald_core.model.tasks.views import TaskView


def story(since: str | None = None) -> SubscriptionProtocol[TaskView]:
    """A story of all tasks, on its first connection."""
    made = SubscriptionProtocol({"topic": "tasks", "filter": {}}, TaskView, since)
    made.begin()
    return made


def frame(**said: Any) -> str:
    """A frame of the server's."""
    return json.dumps({"type": "data", "id": "watch", **said})


def task(id_: str, n: int, state: str = "STARTED") -> dict[str, str]:
    """A task as it travels, as the entry `n` of the log made it."""
    return {"id": id_, "state": state, "rev": f"1-{n}.0"}


def told(changes: list[Change[TaskView]]) -> list[str]:
    """Changes in short."""
    short: list[str] = []
    for change in changes:
        match change:
            case Put(image):
                short.append(f"{image.id}={image.rev}")
            case Gone(id_):
                short.append(f"-{id_}")
            case Reset(reason):
                short.append(f"!{reason}")
    return short


def test_first_snapshot_is_told_without_a_reset() -> None:
    said = story().receive(frame(reset="new", put=[task("a", 1)], cursor="1-1"))
    assert told(said) == ["a=1-1.0"]


def test_snapshot_is_held_back_until_it_is_whole() -> None:
    it = story()
    assert it.receive(frame(reset="new", put=[task("a", 1)])) == []
    assert it.cursor is None
    whole = it.receive(frame(put=[task("b", 2)], cursor="1-2"))
    assert told(whole) == ["a=1-1.0", "b=1-2.0"]
    assert it.cursor == "1-2"


def test_half_a_snapshot_is_forgotten_on_the_next_connection() -> None:
    it = story()
    it.receive(frame(reset="new", put=[task("a", 1)]))
    assert "since" not in json.loads(it.begin())
    whole = it.receive(frame(reset="new", put=[task("b", 2)], cursor="1-2"))
    assert told(whole) == ["b=1-2.0"]


def test_next_connection_goes_on_from_what_was_told() -> None:
    it = story()
    it.receive(frame(reset="new", put=[task("a", 1)], cursor="1-1"))
    it.receive(frame(put=[task("a", 2)]))
    assert json.loads(it.begin())["since"] == "1-1"
    assert told(it.receive(frame(put=[task("a", 2)], cursor="1-2"))) == ["a=1-2.0"]


def test_later_snapshot_is_told_with_its_reason() -> None:
    it = story()
    it.receive(frame(reset="new", put=[task("a", 1)], cursor="1-1"))
    assert it.receive(frame(reset="slow", put=[task("b", 5)])) == []
    assert told(it.receive(frame(put=[], cursor="1-9"))) == ["!slow", "b=1-5.0"]


def test_reset_is_told_to_who_goes_on_from_a_cursor() -> None:
    said = story(since="1-1").receive(frame(reset="trimmed", put=[], cursor="1-9"))
    assert told(said) == ["!trimmed"]


def test_cut_snapshot_leaves_the_cursor_of_what_was_told() -> None:
    it = story()
    it.receive(frame(reset="new", put=[], cursor="1-1"))
    it.receive(frame(reset="epoch", put=[task("b", 5)]))
    assert json.loads(it.begin())["since"] == "1-1"


def test_changes_of_a_frame_come_in_the_order_of_time() -> None:
    put = [task("c", 10), task("a", 9), task("b", 2)]
    said = story().receive(frame(reset="new", put=put, cursor="1-10"))
    assert told(said) == ["b=1-2.0", "a=1-9.0", "c=1-10.0"]


def test_leaving_is_told() -> None:
    it = story(since="1-1")
    assert told(it.receive(frame(put=[], **{"del": ["a"]}, cursor="1-2"))) == ["-a"]


def test_bookmark_moves_the_cursor() -> None:
    it = story(since="1-1")
    assert it.receive('{"type":"cursor","cursor":"1-7","lag_ms":3}') == []
    assert it.cursor == "1-7"


def test_done_ends_it() -> None:
    it = story(since="1-1")
    it.receive('{"type":"done","id":"watch"}')
    assert it.done


@pytest.mark.parametrize(
    "text",
    [
        '{"type":"hello","v":2,"limits":{},"heartbeat":"soon"}',
        '{"type":"weather","put":"rain","cursor":7}',
        '{"type":"pong"}',
    ],
)
def test_frames_of_a_later_version_are_passed_over(text: str) -> None:
    assert story().receive(text) == []


def test_unknown_keys_of_a_task_are_passed_over() -> None:
    put = [{**task("a", 1), "mood": "fine"}]
    said = story().receive(frame(reset="new", put=put, cursor="1-1"))
    assert told(said) == ["a=1-1.0"]


@pytest.mark.parametrize("text", ["hello", "[]", '{"type":"data","put":7}', b"\xff"])
def test_what_cannot_be_read_is_said(text: str | bytes) -> None:
    with pytest.raises(ServerProblem, match="same version"):
        story().receive(text)


def test_refusal_is_raised_with_its_sentence() -> None:
    said = '{"type":"error","id":"watch","code":"too_broad","message":"narrow it"}'
    with pytest.raises(ServerProblem, match="narrow it") as raised:
        story().receive(said)
    assert raised.value.code == "too_broad"


def test_passing_trouble_asks_for_another_connection() -> None:
    said = '{"type":"error","code":"store","message":"no store","retry":true}'
    with pytest.raises(ConnectionLost, match="no store"):
        story().receive(said)


def test_restart_of_the_server_says_when_to_come_back() -> None:
    with pytest.raises(ConnectionLost) as raised:
        story().receive('{"type":"bye","code":1012,"reconnect_in_ms":2300}')
    assert raised.value.retry_after_s == 2.3


def status(stale: bool, *gaps: str) -> str:
    """A status frame with open gaps."""
    listed = [
        {"id": g, "since": "S", "until": "U", "reason": "R", "state": "open"}
        for g in gaps
    ]
    return json.dumps({"type": "status", "stale": stale, "gaps": listed})


def test_doubt_is_noted_once_and_taken_back() -> None:
    it = story()
    for text in (status(False), status(True), status(True), status(False)):
        it.receive(text)
    assert [note.partition(":")[0] for note in it.notes] == [
        "what is shown may be outdated",
        "what is shown is up to date again",
    ]


def test_each_open_gap_is_noted_once() -> None:
    it = story()
    for text in (status(False, "g1"), status(False, "g1", "g2")):
        it.receive(text)
    assert len(it.notes) == 2
    assert "events since S may be missing (R)" in it.notes[0]


def test_a_gap_that_could_not_be_repaired_is_told_once() -> None:
    it = story()
    gap = {"id": "g", "since": "then", "until": "now", "reason": "it was cut"}
    missing = {"state": "unrepairable", "unrepaired": "Tasks may be missing."}
    for more in ({"state": "open"}, missing, missing):
        status = {"type": "status", "stale": False, "gaps": [{**gap, **more}]}
        it.receive(json.dumps(status))
    assert it.notes == [
        "events since then may be missing (it was cut); Herald is repairing",
        "not all could be repaired since then. Tasks may be missing.",
    ]
