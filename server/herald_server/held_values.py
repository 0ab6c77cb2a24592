"""Values in filters that a call watches for as long as it waits, at any door.

They count with those of the subscriptions of the same token
(`HERALD_FILTER_VALUES_PER_TOKEN`).
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from herald_server import caller
from herald_server.cpu_budget import weight_of
from herald_server.permits import TooMany

WAIT_S = 5
"""Seconds after which to ask again: waits end by themselves."""


@contextmanager
def holding_values(number: int) -> Generator[None]:
    """Count `number` values, at least one, for who is being served, within the block.

    Raises `TooMany` if their token has no room for so many.
    """
    number = weight_of(number)
    account = caller.account()
    if account is None:
        yield
        return
    if not account.has_room(number):
        raise TooMany(
            f"at most {account.max_values} values in the filters of all subscriptions "
            "and waits of a token; end some, or ask for fewer",
            WAIT_S,
        )
    account.values += number
    try:
        yield
    finally:
        account.values -= number
