"""A change, and its encoding in the change log.

A log entry holds one field for each change, numbered from 0; the change's `rev` is
`CURSOR.FIELD`. A field is JSON: kind, id, previous values, and the new image, which is
absent for a deletion.
"""

from __future__ import annotations

import msgspec

from herald_core.model.codec import to_json
from herald_core.model.cursor import Cursor
from herald_core.model.filters import PreviousValues
from herald_core.model.tasks.views import TaskView

TASK = "t"
WORKER = "w"
GAP = "g"
QUEUE = "q"


class Change(msgspec.Struct, frozen=True, gc=False):
    """A change of one record.

    `json` is the new image with its rev, ready to send; empty for a deletion. `task` is
    the image of a task (the last one, if deleted). `has_left`: it no longer matches
    the filter of the subscriber that this change is for.
    """

    kind: str
    id: str
    rev: str
    place: tuple[Cursor, int]
    json: bytes
    task: TaskView | None = None
    before: PreviousValues | None = None
    has_left: bool = False

    @property
    def is_deletion(self) -> bool:
        """Return True if the store deleted the record."""
        return not self.json


class LogEntry(msgspec.Struct, frozen=True, gc=False):
    """The changes of one batch.

    An entry without changes is a heartbeat: it moves the cursor.
    """

    cursor: Cursor
    changes: tuple[Change, ...] = ()


class _LogField(msgspec.Struct, omit_defaults=True):
    k: str
    i: str
    v: msgspec.Raw = msgspec.Raw()
    b: PreviousValues | None = None
    gone: bool = False


class _LogFieldOut(msgspec.Struct, omit_defaults=True, gc=False):
    """A `_LogField` whose image is not JSON yet: one pass encodes both."""

    k: str
    i: str
    v: object
    b: PreviousValues | None = None
    gone: bool = False


_field_decoder = msgspec.json.Decoder(_LogField)
_view_decoder = msgspec.json.Decoder(TaskView)


def to_public_rev(rev: str) -> str:
    """Return a record's public `rev`: its last published change.

    A record that was stored K times since without a log entry has the suffix `+K`.
    """
    return rev.partition("+")[0]


def to_silent_rev(rev: str) -> str:
    """Return the rev of a record that is stored again without news."""
    shown, _, times = rev.partition("+")
    return f"{shown}+{int(times or 0) + 1}"


def encode_change(
    kind: str,
    id_: str,
    image: object,
    before: PreviousValues | None = None,
    gone: bool = False,
) -> bytes:
    """Return a change as a field of the log. `image` is the last one if `gone`."""
    return to_json(_LogFieldOut(kind, id_, image, before, gone))


def decode_change(field: bytes, cursor: Cursor, number: int) -> Change:
    """Return the change in `field`, which is field `number` of its entry."""
    told = _field_decoder.decode(field)
    rev = f"{cursor}.{number}"
    raw = bytes(told.v)
    return Change(
        told.k,
        told.i,
        rev,
        (cursor, number),
        # The rev is only available after the change is in the log.
        b"" if told.gone else b'%b,"rev":"%b"}' % (raw[:-1], rev.encode()),
        _view_decoder.decode(raw) if told.k == TASK else None,
        told.b,
    )
