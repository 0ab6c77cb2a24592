"""The marks that are known, and finding one of them."""

from __future__ import annotations

from herald_core.errors import HeraldError
from herald_core.model.marks.mark import MARK_KIND, Mark, read_marks
from herald_core.store.documents import DocumentStore

HOW_TO_MARK = (
    'set one with `herald mark "deploy 4f1c"`, POST /api/v1/marks or the tool '
    "mark_deploy; workers with HERALD_RELEASE set their own"
)


class UnknownMark(HeraldError):
    """No such mark is known."""


async def list_marks(reader: DocumentStore, now: float) -> list[Mark]:
    """Return the marks, the newest first.

    Raises `StoreError`, and `ScopedTokenRefused` for task-scoped tokens.
    """
    return read_marks(await reader.list_documents(MARK_KIND), now)


async def find_mark(reader: DocumentStore, id_: str | None, now: float) -> Mark:
    """Return the mark `id_`, or the newest one. Raises `UnknownMark`, `StoreError`."""
    marks = await list_marks(reader, now)
    if id_ is None and marks:
        return marks[0]
    for mark in marks:
        if mark.id == id_:
            return mark
    if id_ is None:
        raise UnknownMark(f"no mark is known yet: {HOW_TO_MARK}")
    raise UnknownMark(
        f"no mark {id_[:80]!r} is known: it was never set, or is older than 7 days; "
        "GET /api/v1/marks lists those that are"
    )
