"""A recording can be read, holds no secrets, and gives the tasks that a monitor saw."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from herald_core.errors import InvalidInput
from herald_core.model.events.redaction import Redactor
from herald_core.store.memory.store import MemoryStore
from herald_monitor.ingest.recordings.format import (
    RecordedMessage,
    encode_line,
    iter_messages,
)
from herald_monitor.ingest.recordings.replay import (
    ReplaySession,
    read_all_tasks,
    shuffle_messages,
)
from herald_server.cli.main import cli
from tests.support.model.recordings import FOLDER, RECORDINGS, recorded_tasks

pytestmark = pytest.mark.anyio

FILE = str(FOLDER / "prefork-redis.events.jsonl")


def run(*words: str, given: str | bytes = "") -> Result:
    """Run `herald` in this process."""
    return CliRunner(env={"HERALD_STORE_URL": ""}).invoke(cli, words, input=given)


def test_line_comes_back_as_it_was() -> None:
    event: dict[str, object] = {
        "type": "task-sent",
        "uuid": "1",
        "args": [1, {"a": "ü"}],
    }
    message = RecordedMessage(
        heard=12.5, routing_key="task.multi", events=[event, event]
    )
    [again] = iter_messages([encode_line(message)], "it")
    assert again == message


def test_secrets_are_cut_out_wherever_they_are() -> None:
    event: dict[str, object] = {
        "type": "task-sent",
        "kwargs": "{'password': 'hunter2', 'to': 'me'}",
        "token": "hunter2",
        "deep": [{"api_key": {"is": "hunter2"}, "cookie": 7_654_321}],
        "url": "redis://:hunter2@there/0",
        "password": None,
    }
    message = RecordedMessage(heard=1.0, events=[event], unread="{'secret': 'hunter2'")
    line = encode_line(message, Redactor())
    assert b"hunter2" not in line
    assert b"7654321" not in line
    [again] = iter_messages([line], "it")
    assert again.events[0]["kwargs"] == "{'password': '[redacted]', 'to': 'me'}"
    assert again.events[0]["password"] is None
    assert b"hunter2" in encode_line(message)


@pytest.mark.parametrize("redact", [None, Redactor()])
def test_event_that_json_cannot_hold_is_written_as_text(
    redact: Redactor | None,
) -> None:
    nested: object = "x"
    for _ in range(100_000):
        nested = [nested]
    for odd in (nested, "\ud800", 10**5000, object(), {(1, 2): 3}):
        event: dict[str, object] = {"type": "task-x", "odd": odd}
        line = encode_line(RecordedMessage(heard=1.0, events=[event]), redact)
        [again] = iter_messages([line], "it")
        assert "task-x" in again.unread or "that cannot be shown" in again.unread


@pytest.mark.parametrize(
    "line",
    [
        b"{}",
        b"[]",
        b"no json",
        b'{"heard": "yesterday"}',
        b'{"heard": 1, "events": [5]}',
        b'{"heard": 1e300}',
        b'{"heard": -1}',
        b"\xff",
        b"[" * 100_000,
    ],
)
def test_what_is_no_recording_is_refused_with_its_place(line: bytes) -> None:
    with pytest.raises(InvalidInput, match="it, line 3"):
        list(iter_messages([b'{"heard": 1}\n', b"\n", line], "it"))


@pytest.mark.parametrize("seed", [None, 1, 2])
async def test_replay_ends_as_celery_itself_said(seed: int | None) -> None:
    for name in RECORDINGS:
        with (FOLDER / f"{name}.events.jsonl").open("rb") as lines:
            messages = list(iter_messages(lines, name))
        store = MemoryStore()
        replay = ReplaySession(store, Redactor())
        await replay.run(messages if seed is None else shuffle_messages(messages, seed))
        states = {task.id: task.state for task in await read_all_tasks(store)}
        known = [one for one in recorded_tasks() if one.recording == name]
        assert states.keys() == {one.events[0].task_id for one in known}
        assert replay.counters.poison == 0
        assert replay.counters.events == sum(len(one.events) for one in messages)
        sound = [one for one in known if one.scenario in ("add", "fail", "retry2")]
        assert len(sound) >= 3
        for one in sound:
            assert states[one.events[0].task_id] == one.celery_state


async def test_replay_keeps_the_pace_that_is_asked_for() -> None:
    """As fast as it was heard, and ten times as fast: seen by when it is stored."""

    class Timed(MemoryStore):
        def __init__(self) -> None:
            super().__init__()
            self.at: list[float] = []

        async def store(self, events: Any, workers: Any = (), *, now: float) -> Any:
            self.at.append(now)
            return await super().store(events, workers, now=now)

    def said(number: int) -> dict[str, object]:
        return {"type": "task-sent", "uuid": str(number), "timestamp": 100.0}

    messages = [RecordedMessage(heard=100.0 + n, events=[said(n)]) for n in range(3)]
    store = Timed()
    await ReplaySession(store, Redactor(), speed=10).run(messages)
    assert len(store.at) == 3
    assert 0.15 < store.at[-1] - store.at[0] < 1.9


async def test_what_was_unreadable_is_counted_again() -> None:
    replay = ReplaySession(MemoryStore(), Redactor())
    odd: dict[str, object] = {"type": "task-sent"}
    await replay.run([RecordedMessage(heard=1.0, unread="garbage", events=[odd, {}])])
    assert replay.counters.poison == 3
    assert any("garbage" in sample for sample in replay.samples)


def test_print_shows_the_tasks_and_nothing_else() -> None:
    result = run("replay", FILE, "--print")
    assert result.exit_code == 0, result.output
    tasks = [json.loads(line) for line in result.stdout.splitlines()]
    assert len({task["id"] for task in tasks}) == len(tasks)
    assert {"SUCCESS", "FAILURE", "REVOKED"} <= {task["state"] for task in tasks}
    assert not any("rev" in task for task in tasks)
    assert "0 set aside" in result.stderr


def test_what_could_not_be_read_does_not_control_the_terminal(tmp_path: Path) -> None:
    line = {"heard": 1.0, "unread": "\x1b[2J\nforged line"}
    (tmp_path / "odd").write_text(json.dumps(line) + "\n")
    result = run("replay", str(tmp_path / "odd"), "--print")
    assert "1 set aside" in result.stderr
    assert "\x1b" not in result.stderr
    assert not any(one.startswith("forged") for one in result.stderr.splitlines())


def test_print_does_not_depend_on_the_order() -> None:
    plain, mixed = (
        sorted(run("replay", FILE, "--print", *more).stdout.splitlines())
        for more in ((), ("--shuffle", "5"))
    )
    assert plain
    assert plain == mixed


@pytest.mark.parametrize("more", [(), ("--print", "--store", "redis://127.0.0.1:1/0")])
def test_replay_wants_to_know_where_to(more: tuple[str, ...]) -> None:
    result = run("replay", FILE, *more)
    assert result.exit_code == 2
    assert "--print" in result.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("replay", "not-there.jsonl", "--print"), "cannot be read"),
        (("replay", ".", "--print"), "cannot be read"),
        (("replay", FILE, "--store", "redis://127.0.0.1:1/0"), "does not answer"),
        (("record", FILE, "--broker", "redis://127.0.0.1:1/0"), "exists already"),
        (("record", "no/such/folder", "--broker", "memory://"), "cannot be written"),
        (("record", "new.jsonl"), "no broker is known"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(
    words: tuple[str, ...], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run(*words)
    assert result.exit_code == 1
    assert said in result.stderr
    assert "Traceback" not in result.output
    assert not (tmp_path / "new.jsonl").exists()


def test_broken_line_is_named() -> None:
    result = run("replay", "-", "--print", given='{"heard": 1, "events": []}\n{"heard"')
    assert result.exit_code == 1
    assert "-, line 2" in result.stderr
