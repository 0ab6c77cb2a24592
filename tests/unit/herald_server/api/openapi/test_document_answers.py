"""The types of answers: none is only an object, and each recorded member is in one."""

import json
from typing import Any

import pytest

from herald_core.store.memory.store import MemoryStore
from herald_server.api.openapi.document import build_document
from herald_server.wiring.asgi import create_app
from herald_server.wiring.settings import ServerSettings
from tests.support.environment import ROOT
from tests.support.openapi import OpenApi, Schema, is_bare, walk

FOREIGN = {
    ("OpenApiDocument", "paths"): "OpenAPI describes it",
    ("OpenApiDocument", "components"): "OpenAPI describes it",
    ("AsyncApiDocument", "channels"): "AsyncAPI describes it",
    ("AsyncApiDocument", "operations"): "AsyncAPI describes it",
    ("AsyncApiDocument", "components"): "AsyncAPI describes it",
    ("AsyncApiDocument", "servers"): "AsyncAPI describes it",
    ("JsonRpcAnswer", "result"): "MCP describes it",
    ("JsonRpcAnswer", "error"): "MCP describes it",
    ("WorkerDetailAnswer", "autoscale"): "as Celery has it",
    ("WorkerDetailAnswer", "rusage"): "as Celery has it",
    ("WorkerDetailAnswer", "totals"): "as Celery has it",
    ("WorkerDetailAnswer", "settings"): "as Celery has it",
    ("DeadLetter", "body"): "a message, as it was sent",
    ("Order", "details"): "what an order of its kind has",
}
"""Members of types that are left open, and why."""

APP = create_app(ServerSettings(token="a-token-for-tests"), MemoryStore(), None)
API = OpenApi(build_document(APP.routes))
RECORDED: dict[str, Any] = {
    name: one
    for name, one in json.loads(
        (ROOT / "tests/golden/recorded/answers.json").read_text()
    ).items()
    if one["status"] < 300 and isinstance(one.get("body"), dict)
}


@pytest.mark.parametrize("named", list(API.list_answers()), ids=lambda one: one[0])
def test_no_answer_is_only_an_object(named: tuple[str, Schema]) -> None:
    assert not any(is_bare(API.resolve(one)) for one in walk(named[1])), (
        "name the type of the answer in herald_server/api/openapi/operations"
    )


def test_only_what_others_define_is_left_open() -> None:
    found = {
        (name, member)
        for name, schema in API.list_types()
        for member, one in schema.get("properties", {}).items()
        if any(is_bare(part) for part in walk(one))
    }
    assert found == FOREIGN.keys()


@pytest.mark.parametrize("name", RECORDED)
def test_each_recorded_member_is_described(name: str) -> None:
    one = RECORDED[name]
    method, path = one["request"].split(" ")
    schema = API.find_answer(method, path.partition("?")[0], one["status"])
    assert API.list_unknown(one["body"], schema) == []
