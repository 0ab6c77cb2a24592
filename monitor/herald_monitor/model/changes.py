"""A change, and how one lies in the log.

An entry of the log holds one field a change, numbered from 0; the change's
`rev` is `CURSOR.FIELD`. A field is JSON: kind, id, what it was before, and the
new image, absent when it was forgotten.
"""

from __future__ import annotations

import msgspec

from herald_monitor.model.codec import to_json, with_rev
from herald_monitor.model.cursor import Cursor
from herald_monitor.model.filters import Before
from herald_monitor.model.shape import TaskImage

TASK = "t"
WORKER = "w"
GAP = "g"
QUEUE = "q"


class Change(msgspec.Struct, frozen=True, gc=False):
    """Something became different.

    `json` is the new image with its rev, ready to be sent; empty if it was
    forgotten. `task` is the image of a task (the last one, if forgotten).
    """

    kind: str
    id: str
    rev: str
    place: tuple[Cursor, int]
    json: bytes
    task: TaskImage | None = None
    before: Before | None = None

    @property
    def gone(self) -> bool:
        """Whether the store forgot it."""
        return not self.json


class Entry(msgspec.Struct, frozen=True, gc=False):
    """What one batch changed. No changes: a heartbeat, which only moves the cursor."""

    cursor: Cursor
    changes: tuple[Change, ...] = ()


class _Field(msgspec.Struct, omit_defaults=True):
    k: str
    i: str
    v: msgspec.Raw = msgspec.Raw()
    b: Before | None = None
    gone: bool = False


class _Written(msgspec.Struct, omit_defaults=True, gc=False):
    """A `_Field` whose image is not JSON yet: one pass writes both."""

    k: str
    i: str
    v: object
    b: Before | None = None
    gone: bool = False


_field = msgspec.json.Decoder(_Field)
_image = msgspec.json.Decoder(TaskImage)


def shown_rev(rev: str) -> str:
    """Return a record's `rev` as it is shown: the change that was announced.

    A record that was stored K times since without news has `+K` behind it.
    """
    return rev.partition("+")[0]


def quiet_rev(rev: str) -> str:
    """Return the rev of a record that is stored again without news."""
    shown, _, times = rev.partition("+")
    return f"{shown}+{int(times or 0) + 1}"


def write_change(
    kind: str, id_: str, image: object, before: Before | None = None, gone: bool = False
) -> bytes:
    """Return a change as a field of the log. `image` is the last one if `gone`."""
    return to_json(_Written(kind, id_, image, before, gone))


def read_change(field: bytes, cursor: Cursor, number: int) -> Change:
    """Return the change that lies in `field`, the one `number` of its entry."""
    told = _field.decode(field)
    rev = f"{cursor}.{number}"
    raw = bytes(told.v)
    return Change(
        told.k,
        told.i,
        rev,
        (cursor, number),
        b"" if told.gone else with_rev(raw, rev),
        _image.decode(raw) if told.k == TASK else None,
        told.b,
    )
