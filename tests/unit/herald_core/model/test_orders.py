"""An order is a document and back."""

import msgspec
import pytest

from herald_core.model.orders import Order, from_document_data, to_document_data

GROW = Order(
    id="o1",
    kind="pool_grow",
    state="requested",
    who="ops",
    requested_at="2026-11-30T07:30:00.000Z",
    target="w@a",
    details={"n": 2},
)


def test_an_order_survives_its_document() -> None:
    data = to_document_data(GROW)
    assert from_document_data("o1", data) == GROW
    assert "id" not in data  # the document has it
    assert not GROW.is_ended


def test_an_order_that_ended_says_when() -> None:
    ended = msgspec.structs.replace(GROW, ended_at="2026-11-30T07:30:01.000Z")
    assert from_document_data("o1", to_document_data(ended)).is_ended


def test_a_document_of_another_shape_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError):
        from_document_data("o1", {"state": "requested"})
