"""Count filter values that a request watches while it waits.

They count together with those of the token's subscriptions
(`HERALD_FILTER_VALUES_PER_TOKEN`).
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from herald_server.auth import request_context
from herald_server.auth.quotas.cpu_budget import count_values
from herald_server.auth.quotas.start_limits import QuotaExceeded

RETRY_AFTER_S = 5
"""Seconds after which the client may retry. Waits end by themselves."""


@contextmanager
def hold_filter_values(number: int) -> Generator[None]:
    """Count `number` filter values, at least one, for the caller within the block.

    Raises `QuotaExceeded` if the limit of its token is reached.
    """
    number = count_values(number)
    account = request_context.get_account()
    if account is None:
        yield
        return
    if not account.can_add_values(number):
        raise QuotaExceeded(
            f"at most {account.max_values} values in the filters of all subscriptions "
            "and waits of a token; end some, or ask for fewer",
            RETRY_AFTER_S,
        )
    account.values += number
    try:
        yield
    finally:
        account.values -= number
