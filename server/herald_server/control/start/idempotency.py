"""Start a task at most once per idempotency key, across processes."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from hashlib import sha256

import msgspec

from herald_core.errors import HeraldError, InvalidInput
from herald_core.store.key_value import KeyValueStore

NAMESPACE = uuid.UUID("6f0c2e3a-2f0b-5b0e-9a53-6d1f3c1d7a10")
KEY_KIND = "start"
SENT = b"sent"

SENDING_TTL_S = 30.0
"""Seconds after which a key is free again whose process never recorded the outcome."""

SENT_TTL_S = 7 * 86_400.0
"""Seconds for which a key is stored."""

TIMEOUT_S = 8.0
POLL_INTERVAL_S = 0.05


OTHER_PARAMS_MESSAGE = (
    "a task was started with this idempotency_key and other parameters; nothing was "
    "sent: use a new key for another task"
)


class StartInProgress(HeraldError):
    """Another call with the same key is still in progress."""


def make_idempotent_id(who: str, task_type: str, key: str) -> str:
    """Return the task id of a caller's idempotency key: always the same."""
    return str(uuid.uuid5(NAMESPACE, f"{who}\n{task_type}\n{key}"))


def make_fingerprint(params: Mapping[str, object]) -> bytes:
    """Return a hash of the parameters."""
    return sha256(msgspec.json.encode(params, order="sorted")).hexdigest()[:32].encode()


async def run_once(
    store: KeyValueStore,
    task_id: str,
    send: Callable[[], Awaitable[None]],
    what: bytes = b"",
) -> bool:
    """Call `send` unless it was called for `task_id` before; return True if it was
    called.

    `what` is a hash of what is sent: another one under the same id is refused.

    A call that fails does not count. A process that dies while it sends may have sent:
    the next call sends again after `SENDING_TTL_S` seconds, under the same task id.
    Raises `StartInProgress`, `InvalidInput`, and the errors of `send`.
    """
    mine = uuid.uuid4().bytes
    given_up = time.monotonic() + TIMEOUT_S
    while not await store.put_item(KEY_KIND, task_id, mine, SENDING_TTL_S, new=True):
        known = await store.get_item(KEY_KIND, task_id)
        if known is not None and known.startswith(SENT):
            if known not in (SENT, SENT + what):
                raise InvalidInput(OTHER_PARAMS_MESSAGE, "idempotency_key")
            return False
        if time.monotonic() > given_up:
            raise StartInProgress(
                "another call with this idempotency_key is still being sent; "
                f"ask again in {SENDING_TTL_S:.0f} s"
            )
        await asyncio.sleep(POLL_INTERVAL_S)
    try:
        await send()
    except BaseException:
        await store.delete_item(KEY_KIND, task_id)
        raise
    await store.put_item(KEY_KIND, task_id, SENT + what, SENT_TTL_S)
    return True
