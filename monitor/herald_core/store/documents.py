"""The port for documents, and the mutations that store them.

A document is stored together with its entry in the change log, in one atomic step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from herald_core.model.documents import (
    MAX_DOCUMENT_TTL_S,
    REFRESH_S,
    Document,
    DocumentData,
    DocumentUpdate,
    check_document,
)
from herald_core.model.tasks.views import to_rfc3339
from herald_core.store.records import (
    IndexTerm,
    Mutation,
    RecordKey,
    RecordUpdate,
    StoredRecord,
    to_ms,
)
from herald_core.store.types import WriteResult


class DocumentStore(Protocol):
    """A store of documents, by kind and id. See `herald_core.model.documents`."""

    async def update_documents(
        self,
        kind: str,
        updates: Mapping[str, DocumentUpdate],
        *,
        now: float,
        seconds: float,
    ) -> WriteResult:
        """Apply `updates` (by id) and publish what they change.

        A changed document lives `seconds` from `now` (unix seconds), at most
        `MAX_DOCUMENT_TTL_S`. If an update returns the stored data, only the lifetime is
        prolonged, without a change. Raises `ValueError` for data that cannot be stored.
        """
        ...

    async def delete_documents(
        self, kind: str, ids: Sequence[str], *, now: float
    ) -> int:
        """Delete documents and publish it; return how many there were."""
        ...

    async def list_documents(self, kind: str) -> list[Document]:
        """Return the documents of `kind`, by id. Expired ones may be among them."""
        ...


def make_document_term(kind: str) -> IndexTerm:
    """Return the index term of all documents of `kind`."""
    return (kind, "")


def make_document_mutations(
    kind: str, updates: Mapping[str, DocumentUpdate], now: float, seconds: float
) -> dict[RecordKey, Mutation]:
    """Return one mutation for each of `updates`. Raises `ValueError`."""
    if not 0 < seconds <= MAX_DOCUMENT_TTL_S:
        raise ValueError(
            f"a document cannot live {seconds} s; at most {MAX_DOCUMENT_TTL_S} s"
        )
    check_document(kind, {})
    return {
        (kind, id_): _make_mutation((kind, id_), update, now, now + seconds)
        for id_, update in updates.items()
    }


def _make_mutation(
    key: RecordKey, update: DocumentUpdate, now: float, expires_at: float
) -> Mutation:
    def mutate(known: StoredRecord | None) -> RecordUpdate | None:
        was = known.record if known else None
        assert was is None or isinstance(was, Document)
        data = update(was.data if was else None)
        if data is None:
            return None
        if was is not None and was.data == data:
            if expires_at < was.expires_at + REFRESH_S:
                return None
            new = msgspec.structs.replace(was, expires_at=expires_at)
        else:
            check_document(key[0], data)
            new = Document(*key, data, to_rfc3339(now), expires_at)
        return _make_update(known, new, to_ms(now))

    return mutate


def _make_update(
    known: StoredRecord | None, new: Document, now_ms: str
) -> RecordUpdate:
    return RecordUpdate(
        (new.kind, new.id),
        known,
        known.first_seen_ms if known else now_ms,
        new,
        new,
        (make_document_term(new.kind),),
        is_silent=_has_data(known, new.data),
    )


def _has_data(known: StoredRecord | None, data: DocumentData) -> bool:
    record = known.record if known else None
    return isinstance(record, Document) and record.data == data


def to_stored_document(rev: str, first: str, document: Document) -> StoredRecord:
    """Return a stored document."""
    term = make_document_term(document.kind)
    return StoredRecord(rev, first, document, document, (term,))


def has_ended(known: StoredRecord, now: float) -> bool:
    """Return True if `known` is a document whose lifetime is over at `now`."""
    return isinstance(known.record, Document) and known.record.is_expired(now)
