"""Translation of redis-py's exceptions into Herald's, with a sentence each."""

from __future__ import annotations

from redis import exceptions

from herald_core.errors import (
    StoreError,
    StoreUnreachable,
    StoreUnsupported,
    StoreUnwritable,
)
from herald_core.system.error_sentences import find_cause

STORE_SETTING = "HERALD_STORE_URL"

UNWRITABLE_CODES = ("MISCONF", "NOREPLICAS", "MASTERDOWN", "CLUSTERDOWN")
"""Begin of Redis' answers to any write, while it cannot save it or replicate it."""


class UnknownScript(StoreError):
    """The server does not know a script by its hash."""


def to_store_error(error: exceptions.RedisError, name: str) -> StoreError:
    """Return `error` as a sentence about the store called `name`."""
    text = str(error).partition(" script: ")[0]
    if isinstance(error, exceptions.AuthenticationError | exceptions.NoPermissionError):
        cause = find_cause(error, STORE_SETTING)
        return StoreUnsupported(
            f"the store at {name} does not let Herald in ({cause.reason}: {text}); "
            "give a user and a password in its URL, and allow it all commands on keys "
            "of {herald}:*"
        )
    if isinstance(error, exceptions.ReadOnlyError) or "READONLY" in text:
        return StoreUnwritable(
            f"the store at {name} is a replica now and takes no writes; "
            "point HERALD_STORE_URL at the primary"
        )
    if isinstance(error, exceptions.OutOfMemoryError) or text.startswith("OOM"):
        return StoreUnwritable(
            f"the store at {name} is out of memory; raise its maxmemory, "
            "or shorten HERALD_RETENTION"
        )
    if text.startswith(UNWRITABLE_CODES):
        return StoreUnwritable(f"the store at {name} takes no writes now: {text}")
    if isinstance(error, exceptions.ConnectionError | exceptions.TimeoutError):
        return to_unreachable(error, name)
    return StoreError(f"the store at {name} refused a command: {text}")


def to_unreachable(error: Exception, name: str) -> StoreUnreachable:
    """Return that the store called `name` does not answer, and why."""
    cause = find_cause(error, STORE_SETTING, "no answer in time")
    return StoreUnreachable(cause.format(f"the store at {name}"))
