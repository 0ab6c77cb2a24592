"""Every HTTP route: its methods, and status, headers and shape of its answers."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import httpx2
import pytest
from starlette.routing import Mount, Route, WebSocketRoute

from tests.golden.comparison import compare
from tests.support.clients.route_requests import tries
from tests.support.golden.clients import BEARER
from tests.support.golden.recent import GONE, LIVING, recent
from tests.support.golden.shapes import problem_shape, shape_of, without_stale
from tests.support.golden.stream import GROUP, SENT
from tests.support.herald.server import Server, serving
from tests.support.servers.redis import PrivateValkey

pytestmark = pytest.mark.anyio

TASK = "cafcf131-c90f-4f34-b0d9-d023769d0bc5"
"""A task of the recording that succeeded."""

HEADERS = (
    *("allow", "cache-control", "content-type", "retry-after", "vary"),
    *("x-accel-buffering", "x-content-type-options", "x-frame-options"),
    *("www-authenticate", "content-security-policy", "referrer-policy"),
    *("cross-origin-opener-policy", "permissions-policy", "location"),
    *("access-control-allow-origin", "access-control-allow-headers"),
    *("access-control-allow-methods", "access-control-max-age"),
    "access-control-expose-headers",
)


COMMON = {
    "cache-control": "no-store",
    "content-type": "application/json",
    "x-content-type-options": "nosniff",
}
"""Headers of most answers; the recorded file tells where they differ."""


class Ask(NamedTuple):
    """A request. `{NAME}` in its path is what an earlier answer told."""

    method: str
    path: str
    body: Any = None
    headers: Mapping[str, str] | None = None


TYPE = "metrics_snapshot"
CONFIRMED = "resilience_crisis_activation"
HOOK = "https://192.0.43.8/hook"
V1 = "/api/v1"

ASKS: dict[str, Ask] = {
    # -- the page, and for machines
    "page": Ask("GET", "/"),
    "browser client": Ask("GET", "/herald.js"),
    "file of the page": Ask("GET", "/dashboard/index.html"),
    "no such file": Ask("GET", "/dashboard/none"),
    "asyncapi": Ask("GET", "/asyncapi.json"),
    "healthz": Ask("GET", "/healthz"),
    "readyz": Ask("GET", "/readyz"),
    "metrics": Ask("GET", "/metrics"),
    # -- tasks
    "tasks": Ask("GET", f"{V1}/tasks?limit=2"),
    "tasks by all keys": Ask(
        "GET", f"{V1}/tasks?name=capp.*&state=SUCCESS,FAILURE&worker=w1@h&queue=celery"
    ),
    "suggestions": Ask("GET", f"{V1}/tasks/suggest?q=name:capp&limit=2"),
    "tasks: bad limit": Ask("GET", f"{V1}/tasks?limit=0"),
    "tasks: bad key": Ask("GET", f"{V1}/tasks?stat=x"),
    "tasks: bad time": Ask("GET", f"{V1}/tasks?after=yesterday"),
    "tasks: bad page": Ask("GET", f"{V1}/tasks?page=x"),
    "task": Ask("GET", f"{V1}/tasks/{TASK}"),
    "task: unknown": Ask("GET", f"{V1}/tasks/unknown"),
    "wait": Ask("GET", f"{V1}/tasks/{TASK}/wait"),
    "wait: not in time": Ask("GET", f"{V1}/tasks/{SENT[0]}/wait?timeout=0"),
    "wait: bad timeout": Ask("GET", f"{V1}/tasks/{TASK}/wait?timeout=soon"),
    "why": Ask("GET", f"{V1}/tasks/{SENT[0]}/why"),
    "why: unknown": Ask("GET", f"{V1}/tasks/unknown/why"),
    "tree": Ask("GET", f"{V1}/tasks/{SENT[0]}/tree"),
    "result": Ask("GET", f"{V1}/tasks/{TASK}/result"),
    "result: bad size": Ask("GET", f"{V1}/tasks/{TASK}/result?most=x"),
    # -- orders
    "start": Ask("POST", f"{V1}/tasks", {"task_type": TYPE, "tags": ["a"]}),
    "start: with a key": Ask(
        "POST", f"{V1}/tasks", {"task_type": TYPE, "idempotency_key": "k"}
    ),
    "start: with a key again": Ask(
        "POST", f"{V1}/tasks", {"task_type": TYPE, "idempotency_key": "k"}
    ),
    "start: no type": Ask("POST", f"{V1}/tasks", {}),
    "start: unknown type": Ask("POST", f"{V1}/tasks", {"task_type": "nope"}),
    "start: unknown key": Ask("POST", f"{V1}/tasks", {"task_type": TYPE, "x": 1}),
    "start: bad parameter": Ask(
        "POST", f"{V1}/tasks", {"task_type": TYPE, "params": {"period_days": 0}}
    ),
    "start: no JSON": Ask("POST", f"{V1}/tasks", b"{"),
    "start: too large": Ask("POST", f"{V1}/tasks", b" " * 300_000),
    "start: asks for confirmation": Ask(
        "POST",
        f"{V1}/tasks",
        {"task_type": CONFIRMED, "params": {"severity": "minor", "reason": "a drill"}},
    ),
    "cancel": Ask("POST", f"{V1}/tasks/{{start}}/cancel"),
    "cancel: has ended": Ask("POST", f"{V1}/tasks/{TASK}/cancel"),
    "cancel: unknown": Ask("POST", f"{V1}/tasks/unknown/cancel"),
    "retry": Ask("POST", f"{V1}/tasks/{TASK}/retry", {"kwargs": {}}),
    "retry: unknown": Ask("POST", f"{V1}/tasks/unknown/retry", {}),
    "retry: not ended": Ask("POST", f"{V1}/tasks/{SENT[0]}/retry", {}),
    # -- groups
    "groups": Ask("GET", f"{V1}/groups?limit=5"),
    "groups: bad limit": Ask("GET", f"{V1}/groups?limit=x"),
    "group": Ask("GET", f"{V1}/groups/{GROUP}"),
    "group: unknown": Ask("GET", f"{V1}/groups/unknown"),
    "cancel group": Ask("POST", f"{V1}/groups/{GROUP}/cancel"),
    "cancel group: unknown": Ask("POST", f"{V1}/groups/unknown/cancel"),
    # -- figures
    "series": Ask("GET", f"{V1}/stats/series?window=1h"),
    "series of a name": Ask("GET", f"{V1}/stats/series?window=24h&name=capp.add"),
    "series: bad window": Ask("GET", f"{V1}/stats/series?window=1y"),
    "types": Ask("GET", f"{V1}/types"),
    "failing": Ask("GET", f"{V1}/failing"),
    "suspects": Ask("GET", f"{V1}/suspects"),
    "overview": Ask("GET", f"{V1}/overview"),
    "overview: some fields": Ask("GET", f"{V1}/overview?fields=counts,total"),
    "overview: bad field": Ask("GET", f"{V1}/overview?fields=x"),
    "stats": Ask("GET", f"{V1}/stats"),
    "queues": Ask("GET", f"{V1}/queues"),
    "health": Ask("GET", f"{V1}/health"),
    # -- workers
    "workers": Ask("GET", f"{V1}/workers"),
    "dismiss: gone": Ask("DELETE", f"{V1}/workers/{GONE}"),
    "dismiss: lives": Ask("DELETE", f"{V1}/workers/{LIVING}"),
    "dismiss: unknown": Ask("DELETE", f"{V1}/workers/unknown"),
    # -- webhooks
    "webhook": Ask(
        "POST",
        f"{V1}/webhooks",
        {"url": HOOK, "on": ["LOST"], "filter": {"name": "nothing"}},
    ),
    "webhook: private address": Ask("POST", f"{V1}/webhooks", {"url": "http://[::1]/"}),
    "webhook: bad on": Ask("POST", f"{V1}/webhooks", {"url": HOOK, "on": ["x"]}),
    "webhooks": Ask("GET", f"{V1}/webhooks"),
    "one webhook": Ask("GET", f"{V1}/webhooks/{{webhook}}"),
    "dead letters": Ask("GET", f"{V1}/webhooks/{{webhook}}/dead"),
    "replay": Ask("POST", f"{V1}/webhooks/{{webhook}}/replay", {}),
    "rotate": Ask("POST", f"{V1}/webhooks/{{webhook}}/rotate", {"keep": 5}),
    "enable": Ask("POST", f"{V1}/webhooks/{{webhook}}/enable", {}),
    "delete webhook": Ask("DELETE", f"{V1}/webhooks/{{webhook}}"),
    "delete webhook: unknown": Ask("DELETE", f"{V1}/webhooks/unknown"),
    # -- tokens and the audit log
    "mint": Ask(
        "POST",
        f"{V1}/tokens",
        {"scopes": ["read"], "only": {"ids": [TASK]}, "ttl": "15m", "label": "l"},
    ),
    "mint: bad scope": Ask("POST", f"{V1}/tokens", {"scopes": ["x"]}),
    "tokens": Ask("GET", f"{V1}/tokens"),
    "revoke": Ask("DELETE", f"{V1}/tokens/{{mint}}"),
    "revoke: unknown": Ask("DELETE", f"{V1}/tokens/unknown"),
    "caller and links": Ask("GET", f"{V1}/page"),
    "audit": Ask("GET", f"{V1}/audit?limit=2"),
    "audit: bad limit": Ask("GET", f"{V1}/audit?limit=x"),
    # -- everything else
    "event stream: bad mode": Ask("GET", "/events?mode=x"),
    "event stream: done": Ask("GET", f"/events?ids={TASK}"),
    "nothing there": Ask("GET", f"{V1}/nothing"),
    "another method": Ask("PUT", f"{V1}/stats"),
    "foreign host": Ask("GET", f"{V1}/stats", headers={"Host": "evil.example"}),
    "foreign origin": Ask("GET", f"{V1}/stats", headers={"Origin": "https://evil"}),
    "allowed origin": Ask(
        "GET", f"{V1}/stats", headers={"Origin": "https://page.example"}
    ),
    "preflight": Ask(
        "OPTIONS",
        f"{V1}/tasks",
        headers={
            "Origin": "https://page.example",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization",
        },
    ),
}

ASKING_WORKERS = ("why", "why: unknown", "cancel", "cancel: unknown", "cancel group")
"""Requests that wait for the answers of workers; there are none here."""

TOLD = {"start": "task_id", "webhook": "id", "mint": "id"}
"""Of some answers, the member that a later path names."""


async def test_routes_and_methods(module_valkey: PrivateValkey) -> None:
    async with serving(module_valkey.url) as server:
        found: dict[str, Any] = {}
        for route in server.app.routes:
            assert isinstance(route, Route | Mount | WebSocketRoute)
            methods = route.methods if isinstance(route, Route) else None
            found.setdefault(route.path, set()).update(
                methods or {type(route).__name__}
            )
        compare("routes.json", {path: sorted(found[path]) for path in found})


async def test_answers_without_a_token(module_valkey: PrivateValkey) -> None:
    told: dict[str, Any] = {}
    async with (
        serving(module_valkey.url) as server,
        httpx2.AsyncClient(trust_env=False) as http,
    ):
        for one in tries(server.app, "ID"):
            answer = await http.request(one.method, server.url[:-1] + one.path)
            told[f"{one.method} {one.path}"] = _about(answer, with_shape=False)
    compare("unauthenticated.json", told)


async def test_answers_of_routes(module_valkey: PrivateValkey) -> None:
    told: dict[str, Any] = {}
    names: dict[str, str] = {}
    async with (
        recent(module_valkey) as server,
        httpx2.AsyncClient(trust_env=False, headers=BEARER, timeout=30) as http,
    ):

        async def ask(name: str) -> None:
            answer = await _send(http, server, ASKS[name], names)
            if name in TOLD:
                names[name] = answer.json()[TOLD[name]]
            request = f"{ASKS[name].method} {ASKS[name].path}"
            told[name] = {"request": request, **_about(answer)}

        for name in ASKS:
            if name not in ASKING_WORKERS:
                await ask(name)
        await asyncio.gather(*map(ask, ASKING_WORKERS))
    compare("answers.json", told)


async def _send(
    http: httpx2.AsyncClient, server: Server, ask: Ask, names: dict[str, str]
) -> httpx2.Response:
    url = server.url[:-1] + ask.path.format(**names)
    if isinstance(ask.body, bytes):
        return await http.request(
            ask.method, url, content=ask.body, headers=ask.headers
        )
    return await http.request(ask.method, url, json=ask.body, headers=ask.headers)


def _about(answer: httpx2.Response, *, with_shape: bool = True) -> dict[str, Any]:
    about: dict[str, Any] = {"status": answer.status_code, "headers": _headers(answer)}
    kind = answer.headers.get("content-type", "")
    if kind == "application/problem+json" and answer.content:
        about["body"] = problem_shape(answer.json())
    elif kind == "application/json" and with_shape:
        about["body"] = without_stale(shape_of(answer.json()))
    return about


def _headers(answer: httpx2.Response) -> dict[str, str | None]:
    """Return the headers that are not as those of most answers are."""
    found = {key: answer.headers.get(key) for key in HEADERS}
    if allow := found["allow"]:
        found["allow"] = ", ".join(sorted(allow.split(", ")))
    return {key: one for key, one in found.items() if one != COMMON.get(key)}


async def test_an_outdated_answer(module_valkey: PrivateValkey) -> None:
    async with (
        serving(module_valkey.url) as server,
        httpx2.AsyncClient(trust_env=False, headers=BEARER) as http,
    ):
        url = f"{server.url}api/v1/stats"
        answer = await http.get(url)
        while "stale" not in answer.json():
            answer = await http.get(url)
        header = answer.headers["herald-stale-since"]
        compare("stale.json", {"header": header, "body": shape_of(answer.json())})


async def test_the_description_of_the_websocket(module_valkey: PrivateValkey) -> None:
    async with (
        serving(module_valkey.url) as server,
        httpx2.AsyncClient(trust_env=False) as http,
    ):
        told = (await http.get(f"{server.url}asyncapi.json")).json()
    told["servers"]["here"]["host"] = "HOST"
    compare("asyncapi.json", told)


async def test_what_the_browser_client_exports(module_valkey: PrivateValkey) -> None:
    async with (
        serving(module_valkey.url) as server,
        httpx2.AsyncClient(trust_env=False) as http,
    ):
        text = (await http.get(f"{server.url}herald.js")).text
    exported = re.findall(r"^export \{ (.*) \} from", text, re.MULTILINE)
    compare("herald-js.json", sorted(", ".join(exported).split(", ")))
