"""A server of Herald's page whose every frame a test decides: for what a real
server does too seldom, such as losing its log in the middle of a snapshot."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

from playwright.sync_api import Page, Route, WebSocketRoute

from herald_server.api.dashboard import HEADERS
from tests.support.environment import ROOT

HOST = "herald.test"
ORIGIN = f"http://{HOST}/"
DASHBOARD = ROOT / "server" / "herald_server" / "dashboard"
TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}

Frame = dict[str, Any]
Answer = Frame | Callable[[dict[str, str]], Frame]


class ScriptedServer:
    """The page's files from disk, and a WebSocket that follows a script."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.sockets: list[WebSocketRoute] = []
        self.asked: list[Frame] = []
        self.greeting: Frame | None = {"type": "hello", "v": 1, "heartbeat": 15}
        self.answers_pings = True
        self.pings = 0
        self.tokens: list[str] = []
        """Tokens that were given to open connections."""
        self.greetings: list[Frame] = []
        self.answers: dict[str, Frame] = {}
        self.rest: dict[str, Answer] = {}
        page.route(f"{ORIGIN}**", self._serve)
        page.route_web_socket(f"ws://{HOST}/ws", self._accept)

    def send(self, **frame: Any) -> None:
        """Send one frame on the newest connection."""
        self.sockets[-1].send(json.dumps(frame))

    def close(self, code: int, reason: str = "") -> None:
        """Close the newest connection."""
        self.sockets[-1].close(code=code, reason=reason)

    def until_asked(self, count: int, sub: str = "t") -> Frame:
        """Wait for the `count`-th subscription called `sub` and return it."""
        for _ in range(200):
            found = [frame for frame in self.asked if frame["id"] == sub]
            if len(found) >= count:
                return found[count - 1]
            self.page.wait_for_timeout(50)
        raise AssertionError(f"{count} subscriptions of {sub!r} wanted: {self.asked}")

    def connect(
        self, token: str = "a/b+é", renew: str = "undefined", **wanted: Any
    ) -> None:
        """Load `herald.js` alone and subscribe as `t`; see `window.tasks`.

        `renew` is a JavaScript function.
        """
        self.page.goto(f"{ORIGIN}blank")
        self.page.evaluate(
            """async ([token, renew, wanted]) => {
                const { connect } = await import("/herald.js");
                window.words = [];
                const options = { token, renew: eval(renew) };
                window.client = connect({ url: "ws://herald.test/ws", ...options });
                client.observe((state) => words.push(state.word));
                window.changes = [];
                window.tasks = client.subscribe({ id: "t", filter: {}, ...wanted },
                    (_, change) => changes.push(change));
            }""",
            [token, f"({renew})", wanted],
        )
        self.until_asked(1)

    def items(self) -> dict[str, Any]:
        """The collection as the client holds it, in its own order."""
        found = self.page.evaluate("tasks.newest().map((item) => [item.id, item])")
        return {str(key): item for key, item in found}

    def until(self, condition: str) -> None:
        """Wait until a JavaScript expression holds."""
        self.page.wait_for_function(condition, polling=20)

    def _accept(self, socket: WebSocketRoute) -> None:
        self.sockets.append(socket)
        socket.on_message(lambda said: self._hear(socket, json.loads(said)))
        if self.greeting:
            socket.send(json.dumps(self.greeting))
        for frame in self.greetings:
            socket.send(json.dumps(frame))

    def _hear(self, socket: WebSocketRoute, frame: Frame) -> None:
        self.pings += frame["type"] == "ping"
        if frame["type"] == "ping" and self.answers_pings:
            socket.send('{"type":"pong"}')
        if frame["type"] == "auth":
            self.tokens.append(frame["token"])
        if frame["type"] != "subscribe":
            return
        self.asked.append(frame)
        if answer := self.answers.get(frame["id"]):
            socket.send(json.dumps({"type": "data", "id": frame["id"], **answer}))

    def _serve(self, route: Route) -> None:
        path, _, query = route.request.url.removeprefix(ORIGIN).partition("?")
        if answer := self.rest.get(path):
            asked = dict(parse_qsl(query))
            route.fulfill(json=answer(asked) if callable(answer) else answer)
            return
        if path == "blank":
            route.fulfill(body="<!doctype html>", content_type="text/html")
            return
        file = DASHBOARD / (path.removeprefix("dashboard/") or "index.html")
        if not file.is_file():
            route.fulfill(status=404, json={"detail": f"{path} is not here"})
            return
        kind = TYPES.get(file.suffix, "text/html")
        headers = {**HEADERS, "Content-Type": kind}
        route.fulfill(body=file.read_bytes(), headers=headers)
