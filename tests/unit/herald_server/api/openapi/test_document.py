"""The OpenAPI document: from routes, their handlers and the table."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from herald_server.api.http.route_scopes import require
from herald_server.api.openapi.document import build_document


class Handlers:
    @require("cancel")
    async def cancel(self, request: Request) -> Response:
        """Cancel a task.

        It may be too late.
        """
        raise NotImplementedError

    async def check(self, request: Request) -> Response:
        """Return 200."""
        raise NotImplementedError


def build(path: str, method: str, endpoint: Any) -> dict[str, Any]:
    document = build_document([Route(path, endpoint, methods=[method])])
    [item] = document["paths"].values()
    described: dict[str, Any] = item[method.lower()]
    return described


def test_a_route_is_described_by_its_handler_and_the_table() -> None:
    one = build("/api/v1/tasks/{id:path}/cancel", "POST", Handlers().cancel)
    assert one["summary"] == "Cancel a task."
    assert one["description"].endswith("It may be too late.\n\nScope: `cancel`.")
    assert [(p["name"], p["in"]) for p in one["parameters"]] == [("id", "path")]
    assert one["responses"]["404"]["content"].keys() == {
        "application/json",
        "application/problem+json",
    }
    assert "security" not in one


def test_a_public_route_needs_no_token() -> None:
    one = build("/healthz", "GET", Handlers().check)
    assert one["security"] == []
    assert "401" not in one["responses"]


def test_a_body_is_of_the_type_of_the_table() -> None:
    one = build("/api/v1/tasks", "POST", Handlers().check)
    content = one["requestBody"]["content"]["application/json"]
    assert content["schema"]["$ref"].endswith("/StartBody")
    assert {"201", "413", "428"} <= one["responses"].keys()


def test_a_route_that_the_table_does_not_know_is_described_all_the_same() -> None:
    one = build("/new", "GET", Handlers().check)
    assert (one["tags"], one["operationId"]) == (["Others"], "getNew")


def test_what_is_no_route_and_what_says_nothing_is_left_out() -> None:
    catch_all = Route("/api/v1/{rest:path}", Handlers().check)
    assert build_document([catch_all])["paths"] == {}
