"""What an installation with data answers is as `/openapi.json` says, member by member.

Schemathesis finds wrong requests; most of its right ones find nothing in the store.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any
from urllib.parse import quote

import httpx2
import pytest

from tests.support.clients.http import WITH_TOKEN
from tests.support.herald.process import HeraldProcess
from tests.support.openapi import OpenApi
from tests.support.wait import wait_until

pytestmark = [pytest.mark.celery, pytest.mark.xdist_group("demo")]

Validator: Any = import_module("jsonschema").Draft202012Validator
V1 = "/api/v1"
HOOK = {"description": "a test", "url": "https://192.0.43.8/hook"}
SILENCE = {"rule": "queue_*", "for": "2h"}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HeraldProcess]:
    place = tmp_path_factory.mktemp("demo")
    catalog = place / "herald.toml"
    catalog.write_text('allow = ["*"]\n')
    herald = HeraldProcess(place / "log", "demo", HERALD_CATALOG=str(catalog))
    herald.start()
    yield herald
    herald.stop()


class Checker:
    """Sends requests, and holds each answer to the document."""

    def __init__(self, url: str) -> None:
        self._http = httpx2.Client(
            base_url=url, headers=WITH_TOKEN, timeout=30, trust_env=False
        )
        self._api = OpenApi(self._http.get("/openapi.json").json())

    def send(self, method: str, path: str, body: Any = None) -> Any:
        """Return the checked body of a successful answer."""
        answer = self._http.request(method, path, json=body)
        assert answer.is_success, f"{method} {path}: {answer.text}"
        found = answer.json()
        place = httpx2.URL(path).path
        schema = self._api.find_answer(method, place, answer.status_code)
        components = self._api.document["components"]
        Validator({**schema, "components": components}).validate(found)
        unknown = self._api.list_unknown(found, schema)
        assert not unknown, f"{method} {path}: not described: {unknown}"
        return found

    def close(self) -> None:
        """Close the connections."""
        self._http.close()


@pytest.fixture
def checker(demo: HeraldProcess) -> Iterator[Checker]:
    made = Checker(demo.url.rstrip("/"))
    yield made
    made.close()


def wait_for_data(checker: Checker) -> tuple[str, str, str, str]:
    """Return a task, a worker, a cause of failures and a schedule that ran."""

    def read() -> tuple[str, str, str, str] | None:
        failed = checker.send("GET", f"{V1}/tasks?state=FAILURE&limit=1")["tasks"]
        workers = checker.send("GET", f"{V1}/workers")["workers"]
        causes = checker.send("GET", f"{V1}/failures")["failures"]
        schedules = checker.send("GET", f"{V1}/schedules")["schedules"]
        ran = [one["id"] for one in schedules if "last_run" in one]
        if not (failed and workers and causes and ran):
            return None
        names = (workers[0]["hostname"], causes[0]["fingerprint"], ran[0])
        return failed[0]["id"], *names

    found = wait_until(read, 120)
    assert found is not None
    return found


def test_answers_about_data_are_as_described(checker: Checker) -> None:
    task, worker, cause, schedule = (quote(one) for one in wait_for_data(checker))
    for path in (
        *(f"/tasks/{task}{end}" for end in ("", "/why", "/tree", "/result")),
        *("/tasks?limit=5", "/tasks?q=failed", "/tasks/suggest?q=fail"),
        *("/tasks/export?format=json&limit=5", "/groups", "/stats", "/health"),
        *(f"/workers/{worker}", f"/workers/{worker}/history", "/queues"),
        *(f"/schedules/{schedule}", "/environments", "/page", "/alerts"),
        *("/stats/series", "/types", "/failing", "/suspects", "/overview"),
        *(f"/failures/{cause}", "/orders", "/audit", "/tokens", "/webhooks"),
    ):
        checker.send("GET", V1 + path)


def test_answers_to_orders_are_as_described(checker: Checker) -> None:
    task, worker, _, schedule = (quote(one) for one in wait_for_data(checker))
    wish = {"action": "retry", "filter": {"state": "FAILURE"}}
    preview = checker.send("POST", f"{V1}/orders", wish)
    assert preview["examples"]
    order = checker.send(
        "POST", f"{V1}/orders", {"action": "retry", "ids": [task], "expect": 1}
    )
    checker.send("GET", f"{V1}/orders/{order['id']}")
    checker.send("POST", f"{V1}/schedules/{schedule}/mute")
    checker.send("POST", f"{V1}/schedules/{schedule}/run")
    grow = {"command": "pool_grow", "n": 1}
    checker.send("POST", f"{V1}/workers/{worker}/orders?wait=5", grow)
    checker.send("POST", f"{V1}/tasks/{task}/retry")
    checker.send("POST", f"{V1}/tasks/{task}/cancel")


def test_answers_about_deploys_and_alerts_are_as_described(checker: Checker) -> None:
    wait_for_data(checker)
    made = checker.send("POST", f"{V1}/marks", {"what": "deploy 4f1c"})
    checker.send("GET", f"{V1}/marks")
    checker.send("GET", f"{V1}/slower")
    name = checker.send("GET", f"{V1}/types")["types"][0]["name"]
    checker.send("GET", f"{V1}/types/{name}/compare?mark={made['id']}")
    checker.send("DELETE", f"{V1}/marks/{made['id']}")
    silence = checker.send("POST", f"{V1}/alerts/silences", SILENCE)
    checker.send("GET", f"{V1}/alerts")
    checker.send("DELETE", f"{V1}/alerts/silences/{silence['id']}")
    checker.send("POST", f"{V1}/alerts/test")


def test_answers_about_tokens_and_webhooks_are_as_described(checker: Checker) -> None:
    wish = {"scopes": ["read"], "only": {"name": "a.*"}, "hide": ["args"]}
    token = checker.send("POST", f"{V1}/tokens", wish)
    checker.send("GET", f"{V1}/tokens")
    checker.send("DELETE", f"{V1}/tokens/{token['id']}")
    hook = checker.send("POST", f"{V1}/webhooks", HOOK)
    place = f"{V1}/webhooks/{hook['id']}"
    checker.send("GET", place)
    checker.send("POST", f"{place}/rotate")
    checker.send("POST", f"{place}/enable")
    checker.send("GET", f"{place}/dead")
    checker.send("POST", f"{place}/replay")
    checker.send("GET", "/auth/session")
    checker.send("GET", "/asyncapi.json")
