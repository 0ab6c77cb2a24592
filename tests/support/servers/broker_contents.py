"""What lies in a broker and a result backend, to be compared before and after."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from typing import Any, TypeAlias, cast

import redis

from tests.support.servers.redis import PrivateValkey

Imprint: TypeAlias = dict[str, object]
"""Name of a key or an object → what it is and holds."""

READ: dict[str, Callable[[Any, bytes], object]] = {
    "string": lambda client, key: client.get(key),
    "list": lambda client, key: client.lrange(key, 0, -1),
    "hash": lambda client, key: client.hgetall(key),
    "set": lambda client, key: client.smembers(key),
    "zset": lambda client, key: client.zrange(key, 0, -1, withscores=True),
    "stream": lambda client, key: client.xrange(key),
}


DEADLINES = b"_kombu.binding_deadlines"


def redis_imprint(server: PrivateValkey, databases: int = 2) -> Imprint:
    """Return all keys of the first databases: type, value, and whether it ends."""
    found: Imprint = {}
    for number in range(databases):
        with redis.Redis(port=server.port, db=number) as made:
            client = cast(Any, made)
            for key in client.keys("*"):
                kind = client.type(key).decode()
                value = READ[kind](client, key)
                if key.endswith(DEADLINES):
                    # Each worker renews its own from time to time.
                    value = sorted(
                        member for member, _ in cast("list[tuple[bytes, float]]", value)
                    )
                found[f"{number}:{key.decode()}"] = (kind, value, client.ttl(key) > 0)
    return found


def held_by(server: PrivateValkey) -> set[str]:
    """Return the tags of messages that are given out and not acknowledged."""
    with server.client() as client:
        return {tag.decode() for tag in cast(Any, client).hkeys("unacked")}


OBJECTS = {
    "list_queues": ("name", "durable", "auto_delete", "arguments"),
    "list_exchanges": ("name", "type", "durable", "auto_delete", "arguments"),
    "list_bindings": ("source_name", "destination_name", "routing_key"),
}


def rabbitmq_imprint(vhost: str) -> Imprint:
    """Return the queues, exchanges and bindings of a virtual host."""
    found: Imprint = {}
    for command, columns in OBJECTS.items():
        for line in _rabbitmqctl(vhost, command, *columns):
            found[f"{command} {line}"] = True
    return found


def list_rabbitmq_queues(vhost: str) -> list[str]:
    """Return the names of the queues of a virtual host."""
    return _rabbitmqctl(vhost, "list_queues", "name")


def _rabbitmqctl(vhost: str, *command: str) -> list[str]:
    """Return the lines of an answer; to ask takes half a second of CPU."""
    words = ["rabbitmqctl", "-q", "-p", vhost, *command]
    done = subprocess.run(words, capture_output=True, timeout=30, check=True)
    return done.stdout.decode().splitlines()[1:]
