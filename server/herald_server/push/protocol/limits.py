"""Limits of a connection, close codes, and counters.

Close codes below 4400: reconnect and resume. From 4400: fix the request or credentials
before reconnecting.
"""

from __future__ import annotations

import msgspec

MAX_BURST_MESSAGES = 500
MAX_MESSAGES_PER_S = 100
"""Messages of one WebSocket per second, and the burst."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one connection may ask for. Shown in `hello`.

    A client that resumes may subscribe to everything at once; further
    subscribes come at `subscribes_per_s`.
    """

    subs: int = 50
    ids_per_sub: int = 1_000
    in_bytes: int = 65_536
    snapshot: int = 10_000
    subscribes_per_s: int = 10
    bad_messages: int = 10
