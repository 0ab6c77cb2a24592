"""What redis-py raises, as our own errors with a sentence each."""

from __future__ import annotations

from redis import exceptions

from herald_monitor.errors import StoreError, StoreUnfit, StoreUnreachable


class UnknownScript(StoreError):
    """The server does not know a script by its hash."""


def told(error: exceptions.RedisError, name: str) -> StoreError:
    """Return `error` as a sentence about the store called `name`."""
    text = str(error).partition(" script: ")[0]
    if isinstance(error, exceptions.AuthenticationError | exceptions.NoPermissionError):
        return StoreUnfit(
            f"the store at {name} does not let Herald in ({text}); give a user and "
            "a password in its URL, and allow it all commands on keys of {herald}:*"
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
    why = str(error).replace("\n", " ") or "no answer in time"
    return StoreUnreachable(
        f"the store at {name} does not answer ({why}); "
        "see that it runs and that HERALD_STORE_URL is right"
    )
