"""The quick test before a record is decoded: it never drops a task that matches."""

import pytest

from herald_core.model.queries.needles import list_needles
from herald_core.model.queries.query_text import parse_query_text


@pytest.mark.parametrize(
    ("text", "needles"),
    [
        ("", ()),
        ("failed -word took:1s", ()),
        ("Order 12345", (("order",), ("12345",))),
        ("args:a,B", (("a", "b"),)),
        ("id:8F2C", (("8f2c",),)),
        ("kwargs.Order_ID:12345", (("order_id",), ("12345",))),
        ("args.0:12*456", (("456",),)),
        ('kwargs.who:"O\'Brien"', (("brien",), ("who",))),
        ("args.0:*", ()),
        ('args.0:"a@b.c d",x', (("a@b.c d", "x"),)),
        ("args.0:a,*", ()),
        ("kwargs.city:Köln", (("city",), ("ln",))),
    ],
)
def test_needles_of_a_query(text: str, needles: tuple[tuple[str, ...], ...]) -> None:
    assert sorted(list_needles(parse_query_text(text, 0.0))) == sorted(needles)
