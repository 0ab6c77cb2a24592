"""Bad input for every door, drawn from a seed, so that it can be had again."""

import json
import random
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

WORDS = (
    *("ids", "name", "state", "worker", "queue", "root", "group", "tag", "topic"),
    *("tasks", "workers", "counts", "changes", "events", "since", "limit", "page"),
    *("after", "before", "timeout", "mode", "fields", "task_type", "params", "kwargs"),
    *("subscribe", "unsubscribe", "auth", "ping", "type", "id", "filter", "token"),
    *("scopes", "only", "ttl", "label", "url", "on", "secret", "cursor", "window"),
    *("taskId", "uri", "arguments", "notifications", "resourceSubscriptions"),
    *("STARTED", "FAILURE", "metrics_snapshot", "read", "admin", "15m", "*", "a*b?"),
)
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "X")
CALLS = (
    *("initialize", "ping", "tools/list", "tools/call", "resources/list"),
    *("resources/read", "resources/templates/list", "resources/subscribe"),
    *("resources/unsubscribe", "prompts/list", "prompts/get", "completion/complete"),
    *("subscriptions/listen", "tasks/get", "tasks/update", "tasks/cancel"),
    *("events/list", "events/poll", "events/stream", "logging/setLevel", "server/x"),
    *("notifications/initialized", "notifications/cancelled", "discover"),
)
VERSIONS = ("2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28", "1999-01-01", "")
META = "io.modelcontextprotocol"


class Noise:
    """Draws from `seed`."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def one(self, *makers: Callable[[], Any]) -> Any:
        """Return what one of `makers` makes."""
        return self.random.choice(makers)()

    def word(self) -> str:
        """Return a word that is known, or a text."""
        return self.random.choice(WORDS) if self.random.random() < 0.7 else self.text()

    def text(self) -> str:
        """Return some text: short or long, of any letters, of none."""
        size = self.random.choice((0, 1, 3, 20, 300, 3_000))
        letters = self.random.choice(
            ("ab", "\x00\n\r\t ", "äß€😀\u202e", "%2F/..\\", "'\"{}[]:,", "0123456789-")
        )
        return "".join(self.random.choice(letters) for _ in range(size))

    def number(self) -> float:
        """Return a number that somebody may have forgotten."""
        rare = (0, -1, 1, 2**31, -(2**63), 2**64, 10**40, 1e308, -0.0, 0.1)
        return self.random.choice((*rare, float("inf"), float("nan")))

    def value(self, depth: int = 3) -> Any:
        """Return a JSON value, or nearly one."""
        leaves = (self.word, self.text, self.number, lambda: None, lambda: True)
        if depth == 0 or self.random.random() < 0.5:
            return self.one(*leaves)
        size = self.random.choice((0, 1, 2, 5))
        if self.random.random() < 0.4:
            return [self.value(depth - 1) for _ in range(size)]
        return {self.word(): self.value(depth - 1) for _ in range(size)}

    def mapping(self, **given: Any) -> dict[str, Any]:
        """Return an object with the keys given, at times with one of them spoiled."""
        made = {**given, **({self.word(): self.value()} if self.chance() else {})}
        if made and self.chance():
            made[self.random.choice(list(made))] = self.value()
        return made

    def chance(self, of: float = 0.4) -> bool:
        """Say yes at times."""
        return self.random.random() < of

    def raw(self) -> bytes:
        """Return bytes that mean nothing."""
        return self.random.randbytes(self.random.choice((0, 1, 7, 100, 5_000)))

    def body(self, **given: Any) -> bytes:
        """Return the body of a request: JSON mostly."""
        made = self.mapping(**given) if self.chance(0.7) else self.value()
        said = json.dumps(made).encode()
        return self.random.choice((said, said, said, said[:-1], self.raw()))

    def path(self, pattern: str) -> str:
        """Return `pattern` or something like it, with a query."""
        if self.chance(0.1):
            pattern += "/" + quote(self.text()[:200], safe="/.%")
        query = "&".join(
            f"{quote(self.word()[:100])}={quote(str(self.word())[:300])}"
            for _ in range(self.random.choice((0, 0, 1, 2, 4)))
        )
        return f"{pattern}?{query}" if query else pattern

    def call(self) -> bytes:
        """Return a message of MCP, or nearly one."""
        meta: dict[str, Any] = {
            f"{META}/protocolVersion": self.random.choice(VERSIONS),
            f"{META}/clientInfo": {"name": "noise", "version": "0"},
            f"{META}/clientCapabilities": {"extensions": {f"{META}/tasks": {}}},
        }
        about = {"name": self.word(), "uri": f"task://{self.word()}", "taskId": "t"}
        params = self.mapping(**about, arguments=self.mapping(task_id="t"), _meta=meta)
        return self.body(
            jsonrpc="2.0", id=1, method=self.random.choice(CALLS), params=params
        )

    def frame(self) -> str | bytes:
        """Return a frame of the WebSocket, or nearly one."""
        kind = self.random.choice(("subscribe", "subscribe", "unsubscribe", "ping"))
        wish = {"id": "a", "filter": {self.word(): self.word()}, "topic": "tasks"}
        said = self.body(type=kind, **wish)
        return said if self.chance(0.1) else said.decode("utf-8", "replace")

    def request(self, token: str) -> bytes:
        """Return a request over HTTP as bytes, and spoil a few."""
        method = self.random.choice(METHODS)
        body = self.raw()
        said = (
            f"{method} /api/v1/tasks HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            f"Authorization: Bearer {token}\r\nContent-Length: {len(body)}\r\n\r\n"
        ).encode() + body
        spoiled = bytearray(said)
        for _ in range(self.random.choice((0, 1, 5, 50))):
            spoiled[self.random.randrange(len(spoiled))] = self.random.randrange(256)
        return self.random.choice((bytes(spoiled), said, self.raw()))
