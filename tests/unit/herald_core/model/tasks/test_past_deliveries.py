"""What is remembered of deliveries whose marks were removed."""

from herald_core.model.tasks.past_deliveries import (
    MAX_BOOTS,
    PastDeliveries,
    join_pasts,
    select_newest_boots,
)

A = PastDeliveries(
    public_attempt=2,
    number=3,
    submitted=5.0,
    numbers={"a": 1, "b": 2},
    boots={"1 w": (4, 9.0)},
)
B = PastDeliveries(
    sendings=2, at=7.0, received_at=8, numbers={"b": 3}, boots={"1 w": (6, 8.0)}
)


def test_what_both_remember_is_joined_by_its_highest() -> None:
    joined = join_pasts(A, B)
    assert joined == PastDeliveries(
        2, 3, 2, 5.0, 7.0, 8, {"a": 1, "b": 3}, {"1 w": (6, 9.0)}
    )
    assert join_pasts(B, A) == joined


def test_a_join_with_nothing_new_is_the_same_object() -> None:
    assert join_pasts(A, None) is A
    assert join_pasts(None, A) is A
    joined = join_pasts(A, B)
    assert join_pasts(joined, B) is joined


def test_the_workers_that_are_remembered_are_bounded() -> None:
    boots = {f"{n} w": (1, float(n)) for n in range(MAX_BOOTS + 2)}
    kept = select_newest_boots(boots)
    assert len(kept) == MAX_BOOTS
    assert {"0 w", "1 w"}.isdisjoint(kept)
