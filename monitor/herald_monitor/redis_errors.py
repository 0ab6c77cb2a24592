"""What redis-py raises, as our own errors with a sentence each."""

from __future__ import annotations

from redis import exceptions

from herald_monitor.errors import StoreError, StoreUnfit, StoreUnreachable
from herald_monitor.refusals import refusal_of

SETTING = "HERALD_STORE_URL"


class UnknownScript(StoreError):
    """The server does not know a script by its hash."""


def told(error: exceptions.RedisError, name: str) -> StoreError:
    """Return `error` as a sentence about the store called `name`."""
    text = str(error).partition(" script: ")[0]
    if isinstance(error, exceptions.AuthenticationError | exceptions.NoPermissionError):
        cause = refusal_of(error, SETTING)
        return StoreUnfit(
            f"the store at {name} does not let Herald in ({cause.why}: {text}); give a "
            "user and a password in its URL, and allow it all commands on keys of "
            "{herald}:*"
        )
    if isinstance(error, exceptions.ReadOnlyError) or "READONLY" in text:
        return StoreError(
            f"the store at {name} is a replica now and takes no writes; "
            "point HERALD_STORE_URL at the primary"
        )
    if isinstance(error, exceptions.OutOfMemoryError) or text.startswith("OOM"):
        return StoreError(
            f"the store at {name} is out of memory; raise its maxmemory, "
            "or shorten HERALD_RETENTION"
        )
    if isinstance(error, exceptions.ConnectionError | exceptions.TimeoutError):
        return unreachable(error, name)
    return StoreError(f"the store at {name} refused a command: {text}")


def unreachable(error: Exception, name: str) -> StoreUnreachable:
    """Return that the store called `name` does not answer, and why."""
    cause = refusal_of(error, SETTING, "no answer in time")
    return StoreUnreachable(cause.sentence(f"the store at {name}"))
