"""Every key of a store with its type, TTL and value: shown, dumped and restored."""

from __future__ import annotations

import base64
import contextlib
import json
import re
from collections.abc import Callable
from itertools import chain
from typing import Any, cast

import msgspec
import redis

from tests.golden.product import decode_body

Dump = dict[str, dict[str, Any]]

RECORD = re.compile(rb"(\d+-\d+\.\d+(?:\+\d+)? \S+ \S+ \S+)\n(.+)", re.DOTALL)


def read_keys(client: redis.Redis, prefix: str) -> dict[str, tuple[str, int, Any]]:
    """Return type, TTL (seconds) and value of each key, by its name after `prefix`."""
    plain = cast(Any, client)
    found: dict[str, tuple[str, int, Any]] = {}
    for key in sorted(plain.scan_iter(f"{prefix}:*", count=1_000)):
        kind = plain.type(key).decode()
        name = key.decode().removeprefix(f"{prefix}:")
        found[name] = (kind, plain.ttl(key), READERS[kind](plain, key))
    return found


READERS: dict[str, Callable[[Any, bytes], Any]] = {
    "string": lambda client, key: client.get(key),
    "hash": lambda client, key: client.hgetall(key),
    "zset": lambda client, key: client.zrange(key, 0, -1, withscores=True),
    "list": lambda client, key: client.lrange(key, 0, -1),
    "stream": lambda client, key: client.xrange(key),
}


# -- for people ---------------------------------------------------------------------


def show_keys(client: redis.Redis, prefix: str) -> Dump:
    """Return each key as it is read in a difference of two versions."""
    return {
        name: {"type": kind, "ttl": _round(ttl), "value": _SHOWN[kind](name, value)}
        for name, (kind, ttl, value) in read_keys(client, prefix).items()
    }


def _round(ttl: int) -> int:
    """Return a TTL as it was set, if that was less than a step ago."""
    step = 60 if ttl > 120 else 15
    return -(-ttl // step) * step


def _show_string(name: str, value: bytes) -> Any:
    if name.startswith("x:"):
        return f"bits {value.hex()}"
    if found := RECORD.fullmatch(value):
        return {"head": found[1].decode(), **_show_body(found[2])}
    if name.startswith("m:"):
        return _show_body(value)
    return value.decode()


def _show_body(body: bytes) -> dict[str, Any]:
    return {"flag": body[:1].decode(), "body": decode_body(body)}


def _show_hash(name: str, value: dict[bytes, bytes]) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    for field, one in value.items():
        if name.startswith("r:") or name == "counters":
            numbers = msgspec.msgpack.decode(one)
            shown[field.decode()] = {str(code): n for code, n in numbers.items()}
        else:
            # Redis' own name of its history: another one each time.
            shown[field.decode()] = "REPLID" if field == b"replid" else one.decode()
    return shown


def _show_zset(name: str, value: list[tuple[bytes, float]]) -> dict[str, Any]:
    # Notes run out by the clock of the machine.
    return {m.decode(): "TIME" if name.startswith("v:n:") else s for m, s in value}


def _show_stream(_name: str, value: list[Any]) -> list[Any]:
    return [
        [entry[0].decode(), {f.decode(): v.decode() for f, v in entry[1].items()}]
        for entry in value
    ]


_SHOWN: dict[str, Callable[[str, Any], Any]] = {
    "string": _show_string,
    "hash": _show_hash,
    "zset": _show_zset,
    "list": lambda _, value: [line.decode() for line in value],
    "stream": _show_stream,
}


# -- for the store ------------------------------------------------------------------


def dump_keys(client: redis.Redis, prefix: str) -> Dump:
    """Return each key with all its bytes, as `restore_keys` takes it."""
    return {
        name: {"type": kind, "ttl": _round(ttl), "words": _WORDS[kind](value)}
        for name, (kind, ttl, value) in read_keys(client, prefix).items()
    }


def restore_keys(client: redis.Redis, prefix: str, dump: Dump) -> None:
    """Write a dump below `prefix`, with the TTLs that it had."""
    plain = cast(Any, client)
    for name, one in dump.items():
        key = f"{prefix}:{name}"
        for words in one["words"]:
            command, *rest = map(_from_text, words)
            plain.execute_command(command, key, *rest)
        plain.expire(key, one["ttl"])


def _to_text(word: bytes) -> str:
    """Return bytes as text: themselves, or in base64 behind a mark."""
    with contextlib.suppress(UnicodeDecodeError):
        text = word.decode()
        if json.dumps(text, ensure_ascii=False).isprintable() and text[:1] != "=":
            return text
    return f"={base64.b64encode(word).decode()}"


def _from_text(text: str) -> bytes:
    if text.startswith("="):
        return base64.b64decode(text[1:])
    return text.encode()


def _words(command: str, *words: bytes) -> list[str]:
    return [command, *map(_to_text, words)]


_WORDS: dict[str, Callable[[Any], list[list[str]]]] = {
    "string": lambda value: [_words("SET", value)],
    "hash": lambda value: [_words("HSET", f, v) for f, v in sorted(value.items())],
    "zset": lambda value: [_words("ZADD", repr(s).encode(), m) for m, s in value],
    "list": lambda value: [_words("RPUSH", *value)],
    "stream": lambda value: [
        _words("XADD", id_, *chain(*fields.items())) for id_, fields in value
    ],
}
