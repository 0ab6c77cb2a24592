"""Which changes of workers mean that one joined."""

import msgspec
import pytest

from herald_core.model.changes import WORKER, Change
from herald_core.model.cursor import Cursor
from herald_core.model.workers.worker import ONLINE, SILENT, WorkerView
from herald_server.control.worker_changes import OnlineBoots

AT = Cursor(1, 1)


def make_change(hostname: str = "w", state: str = ONLINE, pid: int = 7) -> Change:
    worker = WorkerView(id=hostname, hostname=hostname, state=state, pid=pid)
    return Change(WORKER, hostname, "1-1.0", (AT, 0), msgspec.json.encode(worker))


GONE = Change(WORKER, "w", "1-1.0", (AT, 0), b"")


@pytest.mark.parametrize(
    ("changes", "joined"),
    [
        ([], False),
        ([make_change()], False),
        ([make_change(pid=8)], True),
        ([make_change("another")], True),
        ([make_change(state=SILENT)], False),
        ([make_change(state=SILENT), make_change()], True),
        ([GONE], False),
        ([GONE, make_change()], True),
    ],
    ids=["none", "beat", "again", "another", "silent", "back", "gone", "new"],
)
def test_a_worker_joins_by_a_new_boot_or_after_a_silence(
    changes: list[Change], joined: bool
) -> None:
    boots = OnlineBoots()
    assert boots.note_joined([make_change()])
    assert boots.note_joined(changes) is joined


def test_each_change_of_a_batch_is_noted() -> None:
    boots = OnlineBoots()
    both = [make_change("one"), make_change("two")]
    assert boots.note_joined(both)
    assert not boots.note_joined(both)
