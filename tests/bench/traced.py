"""`herald` that notes when each event passed which step.

`python -m tests.bench.traced FILE monitor|server …` runs that command, and writes to
FILE, as JSON, when (unix seconds) each task was first seen by each step: `{step: {id:
time}}`. The steps are methods of Herald, wrapped here; nothing else is changed.
"""

import atexit
import json
import re
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from herald_core.store.redis.change_log import RedisChangeLog
from herald_core.store.redis.store_script import StoreScript
from herald_monitor.ingest.buffer import EventBuffer
from herald_monitor.ingest.parser import EventParser
from herald_server.cli.main import main
from herald_server.wiring.web_server.websocket import DirectWebSocketProtocol

ID = re.compile(rb'\{"id":"([^"]+)"')

FindIds = Callable[[Any], list[str]]

seen: dict[str, dict[str, float]] = {}


def note(step: str, ids: Iterable[str]) -> None:
    """Note that a step has seen some tasks."""
    now = time.time()
    for id_ in ids:
        seen.setdefault(step, {}).setdefault(id_, now)


def note_calls(owner: type, name: str, step: str, ids: FindIds) -> None:
    """Note when a method is called with tasks in its first argument."""
    called: Any = getattr(owner, name)

    def wrapper(self: Any, given: Any, *more: Any, **named: Any) -> Any:
        note(step, ids(given))
        return called(self, given, *more, **named)

    setattr(owner, name, wrapper)


def note_answers(owner: type, name: str, step: str, ids: FindIds) -> None:
    """Note when a coroutine method returns tasks."""
    called: Any = getattr(owner, name)

    async def wrapper(*given: Any, **named: Any) -> Any:
        answer = await called(*given, **named)
        note(step, ids(answer))
        return answer

    setattr(owner, name, wrapper)


def note_writes(owner: type, name: str, before: str, after: str) -> None:
    """Note when a method is called with a frame, and when it has sent it."""
    called: Any = getattr(owner, name)

    def wrapper(self: Any, frame: bytes) -> bool:
        found = [one.decode() for one in ID.findall(frame)]
        note(before, found)
        sent: bool = called(self, frame)
        note(after, found)
        return sent

    setattr(owner, name, wrapper)


def list_event_ids(events: Any) -> list[str]:
    """Return the tasks of some events."""
    return [event.task_id for event in events if hasattr(event, "task_id")]


def list_batch_ids(batch: Any) -> list[str]:
    """Return the tasks of a batch of events that arrived together."""
    return [id_ for one in batch.batches for id_ in list_event_ids(one.events)]


def list_update_ids(updates: Any) -> list[str]:
    """Return the tasks of some updates."""
    return [one.key[1] for one in updates]


def list_changed_ids(entries: Any) -> list[str]:
    """Return the tasks of some entries of the log."""
    return [change.id for entry in entries for change in entry.changes]


def watch_steps() -> None:
    """Wrap the methods by which an event passes."""
    note_calls(EventBuffer, "put_threadsafe", "read from the broker", list_event_ids)
    note_calls(EventParser, "parse", "taken by the loop", list_batch_ids)
    note_calls(StoreScript, "execute", "merged and encoded", list_update_ids)
    read = "stored, and read from the log"
    note_answers(RedisChangeLog, "read_entries", read, list_changed_ids)
    written = "written to the socket"
    note_writes(DirectWebSocketProtocol, "try_send", "frame is made", written)


if __name__ == "__main__":
    path = Path(sys.argv.pop(1))
    watch_steps()
    atexit.register(lambda: path.write_text(json.dumps(seen)))
    main()
