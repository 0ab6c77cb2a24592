"""Clients that mean harm, each kind in a loop of its own, until a moment comes.

`python -m tests.support.clients.hostile_clients URL --token T --seconds N --ids a,b`
prints as JSON how often each kind came. `ids` are tasks whose results are asked for.
What a kind has open at its end is closed with the process.
"""

import argparse
import json
import random
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPConnection
from urllib.parse import urlsplit

UPGRADE = (
    b"Host: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)
HEAD = b"HTTP/1.1\r\nHost: 127.0.0.1\r\n"
PING, TEXT, UNFINISHED, CONTINUATION = 0x89, 0x81, 0x01, 0x00
HELD = 20
"""Connections that one kind holds open at a time."""


def frame(head: int, payload: bytes = b"") -> bytes:
    """Return a frame of a client, masked with nothing."""
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else b"\xfe" + struct.pack("!H", size)
    return bytes([head]) + length + bytes(4) + payload


def say(**said: object) -> bytes:
    """Return a message to the WebSocket as a frame."""
    return frame(TEXT, json.dumps(said).encode())


class Client:
    """One kind's connections to `url`: a few are kept open, the oldest are closed."""

    def __init__(self, url: str, ids: list[str], token: str) -> None:
        place = urlsplit(url)
        self._place = (place.hostname or "", place.port or 80)
        self._held: deque[socket.socket] = deque()
        self.ids = ids
        self.token = token
        self.bearer = f"Authorization: Bearer {token}\r\n".encode() if token else b""
        self.random = random.Random(7)

    def dial(self, first: bytes = b"", buffer: int = 4_096) -> socket.socket:
        """Connect with a small receive buffer, and say something."""
        line = socket.socket()
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        line.settimeout(0.5)
        line.connect(self._place)
        self._held.append(line)
        if len(self._held) > HELD:
            self._held.popleft().close()
        line.sendall(first)
        return line

    def socket(self, known: bool = True) -> socket.socket:
        """Open a WebSocket."""
        credentials = self.bearer if known else b""
        return self.dial(b"GET /ws HTTP/1.1\r\n" + UPGRADE + credentials + b"\r\n")

    def ask(self, method: str, path: str, body: bytes | None = None) -> int:
        """Ask over plain HTTP; return the status."""
        line = HTTPConnection(*self._place, timeout=30)
        headers = {
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
        }
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        try:
            line.request(method, path, body, headers)
            answer = line.getresponse()
            answer.read(65_536)
            return answer.status
        finally:
            line.close()


# -- connections that are held, and answers that are not read --------------------------


def pings(client: Client) -> None:
    line = client.socket(known=client.random.random() < 0.5)
    for _ in range(100):
        line.sendall(frame(PING, b"x" * 125) * 200)


def fragments(client: Client) -> None:
    client.socket(known=False).sendall(
        frame(UNFINISHED, b"x") + frame(CONTINUATION) * 5_000
    )


def refused_upgrades(client: Client) -> None:
    client.dial(b"GET /ws HTTP/1.1\r\n" + UPGRADE + b"Content-Length: 2\r\n\r\n{}")


def no_token(client: Client) -> None:
    client.socket(known=False)


def half_requests(client: Client) -> None:
    client.dial(
        b"POST /api/v1/tasks "
        + HEAD
        + client.bearer
        + b"Content-Length: 90000\r\n\r\n{"
    )


def unread_answers(client: Client) -> None:
    path = client.random.choice([b"/asyncapi.json", b"/api/v1/tasks?limit=1000"])
    client.dial((b"GET " + path + b" " + HEAD + client.bearer + b"\r\n") * 20)


def unread_streams(client: Client) -> None:
    client.dial(b"GET /events " + HEAD + client.bearer + b"\r\n")


def deaf_watchers(client: Client) -> None:
    line = client.socket()
    for number in range(5):
        line.sendall(say(type="subscribe", id=f"s{number}", filter={"name": "shop*"}))


def long_polls(client: Client) -> None:
    client.dial(
        b"GET /api/v1/tasks/none/wait?timeout=60 " + HEAD + client.bearer + b"\r\n"
    )


# -- work for the server ---------------------------------------------------------------


def results(client: Client) -> None:
    id_ = client.random.choice(client.ids)
    client.ask("GET", f"/api/v1/tasks/{id_}/result?most=1000000")


def many_patterns(client: Client) -> None:
    patterns = [f"*{number}*a" for number in range(180)]
    line = client.socket()
    for number in range(3):
        wish = {"worker": patterns}
        line.sendall(say(type="subscribe", id=f"s{number}", filter=wish))
    client.ask("GET", "/api/v1/tasks?name=" + ",".join(patterns))


def many_values(client: Client) -> None:
    client.ask("GET", "/api/v1/tasks?ids=" + ",".join(map(str, range(1_500))))
    client.ask("GET", "/api/v1/tasks?tag=" + ",".join(map(str, range(1_500))))


def pages(client: Client) -> None:
    number = client.random.randrange(10**13)
    client.ask("GET", f"/api/v1/tasks?limit=1000&name=zz*&page={number}")
    client.ask("GET", "/api/v1/tasks?limit=1000&worker=*x*y*z*")


def cursors(client: Client) -> None:
    line = client.socket()
    for number in range(20):
        since = f"{client.random.randrange(10**13)}-{number}"
        line.sendall(say(type="subscribe", id="s", filter={"tag": "x"}, since=since))


def subscriptions(client: Client) -> None:
    line = client.socket()
    for number in range(50):
        line.sendall(say(type="subscribe", id=f"s{number}", filter={"tag": "none"}))
        line.sendall(say(type="unsubscribe", id=f"s{number}"))


def renewals(client: Client) -> None:
    client.socket().sendall(say(type="auth", token=client.token) * 200)


def bad_tokens(client: Client) -> None:
    client.dial(
        b"GET /metrics " + HEAD + b"Authorization: Bearer " + b"e" * 8_000 + b"\r\n\r\n"
    )


def chunks(client: Client) -> None:
    encoding = b"Transfer-Encoding: chunked\r\n\r\n"
    line = client.dial(b"POST /api/v1/tasks " + HEAD + client.bearer + encoding)
    for _ in range(20):
        line.sendall(b"1\r\nx\r\n" * 500)


def headers(client: Client) -> None:
    many = b"".join(b"a%d: b\r\n" % number for number in range(5_000))
    client.dial(b"GET /healthz " + HEAD + many + b"\r\n")


def large_messages(client: Client) -> None:
    client.ask("POST", "/mcp", b'{"jsonrpc":"2.0","params":[' + b"{}," * 60_000)
    client.ask("POST", "/api/v1/tasks", b'{"params":' + b'{"a":' * 20_000)


def agents(client: Client) -> None:
    hello = {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "x", "version": "1"},
    }
    said = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}
    client.ask("POST", "/mcp", json.dumps(said).encode())


def webhooks(client: Client) -> None:
    client.ask("POST", "/api/v1/webhooks", b'{"url": "https://192.0.2.1/"}')


KINDS: list[Callable[[Client], None]] = [
    *(pings, fragments, refused_upgrades, no_token, half_requests, unread_answers),
    *(unread_streams, deaf_watchers, long_polls, results, many_patterns, many_values),
    *(pages, cursors, subscriptions, renewals, bad_tokens, chunks, headers),
    *(large_messages, agents, webhooks),
]


def come_again(
    kind: Callable[[Client], None],
    client: Client,
    until: float,
    pause: float,
    tries: dict[str, int],
) -> None:
    """Let clients of one `kind` come until a moment (monotonic seconds)."""
    while time.monotonic() < until:
        tries[kind.__name__] = tries.get(kind.__name__, 0) + 1
        # The server hangs up on them: that is what is wanted.
        with suppress(OSError):
            kind(client)
        time.sleep(pause)


def main() -> None:
    """Do what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--ids", required=True)
    parser.add_argument("--token", default="", help="theirs; none, if it is empty")
    parser.add_argument("--pause", type=float, default=0.3)
    parser.add_argument("--only", help="one kind of client")
    given = parser.parse_args()
    ids: list[str] = given.ids.split(",")
    until = time.monotonic() + given.seconds
    tries: dict[str, int] = {}
    working = [
        threading.Thread(
            target=come_again,
            args=(kind, Client(given.url, ids, given.token), until, given.pause, tries),
        )
        for kind in KINDS
        if given.only in (None, kind.__name__)
    ]
    for one in working:
        one.start()
    for one in working:
        one.join()
    print(json.dumps(tries))


if __name__ == "__main__":
    main()
