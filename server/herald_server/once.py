"""Starting a task at most once for a key, whichever process is asked."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from hashlib import sha256

import msgspec

from herald_monitor.errors import BadInput, HeraldError
from herald_monitor.notes import Notes

NAMESPACE = uuid.UUID("6f0c2e3a-2f0b-5b0e-9a53-6d1f3c1d7a10")
KIND = "start"
SENT = b"sent"

SENDING_FOR = 30.0
"""Seconds after which a process that took a key and said no more is given up."""

REMEMBERED = 7 * 86_400.0
"""Seconds for which a key is remembered."""

PATIENCE = 8.0
GLANCE = 0.05


OTHER_PARAMS = (
    "a task was started with this idempotency_key and other parameters; nothing was "
    "sent: use a new key for another task"
)


class BeingStarted(HeraldError):
    """Another call with the same key has not come to an end."""


def id_for(who: str, task_type: str, key: str) -> str:
    """Return the task id for an idempotency key of somebody: always the same."""
    return str(uuid.uuid5(NAMESPACE, f"{who}\n{task_type}\n{key}"))


def fingerprint_of(params: Mapping[str, object]) -> bytes:
    """Return what tells these parameters from others."""
    return sha256(msgspec.json.encode(params, order="sorted")).hexdigest()[:32].encode()


async def once(
    notes: Notes, task_id: str, send: Callable[[], Awaitable[None]], what: bytes = b""
) -> bool:
    """Call `send` unless it was called for `task_id` before; say whether it was now.

    `what` tells apart what is sent: another one under the same id is refused.

    A call that fails counts as none. A process that dies while it sends may have
    sent: the next one sends again then, after `SENDING_FOR` seconds, under the
    same task id. Raises `BeingStarted`, `BadInput`, and what `send` raises.
    """
    mine = uuid.uuid4().bytes
    given_up = time.monotonic() + PATIENCE
    while not await notes.put_note(KIND, task_id, mine, SENDING_FOR, new=True):
        known = await notes.note(KIND, task_id)
        if known is not None and known.startswith(SENT):
            if known not in (SENT, SENT + what):
                raise BadInput(OTHER_PARAMS, "idempotency_key")
            return False
        if time.monotonic() > given_up:
            raise BeingStarted(
                "another call with this idempotency_key is still being sent; "
                f"ask again in {SENDING_FOR:.0f} s"
            )
        await asyncio.sleep(GLANCE)
    try:
        await send()
    except BaseException:
        await notes.drop_note(KIND, task_id)
        raise
    await notes.put_note(KIND, task_id, SENT + what, REMEMBERED)
    return True
