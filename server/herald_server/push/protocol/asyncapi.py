"""Generate the AsyncAPI document of the WebSocket and its messages."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib.metadata import version
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from herald_core.model.codec import to_json
from herald_core.model.tasks.views import TaskView
from herald_core.model.workers.worker import WorkerView
from herald_server.push.protocol import frames
from herald_server.push.protocol.schemas import CLIENT_MESSAGES, SERVER_MESSAGES, Count

SCHEMAS = "#/components/schemas"
MESSAGES = "#/components/messages"
ITEMS = (TaskView, WorkerView, Count)
"""Types of the objects in `put`, one per topic."""

DESCRIPTION = (
    "Tasks of a Celery installation, the moment they change. Subscribe, take "
    "`put` and `del` into a map by `id`, keep the newest `cursor`; reconnect and "
    "hand it back as `since`. Close codes below 4400: reconnect and resume. From "
    "4400: mend something first. Clients ignore fields and types that they do not know."
)


@cache
def build_document() -> dict[str, Any]:
    """Return the document, without the server's address."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Herald",
            "version": version("celery-herald"),
            "description": DESCRIPTION,
        },
        "defaultContentType": "application/json",
        "channels": {"herald": _describe_channel()},
        "operations": {
            **{
                f"receive{t.__name__}": _describe_operation("receive", t)
                for t in CLIENT_MESSAGES
            },
            **{
                f"send{t.__name__}": _describe_operation("send", t)
                for t in SERVER_MESSAGES
            },
        },
        "components": {
            "messages": {
                t.__name__: _describe_message(t)
                for t in (*CLIENT_MESSAGES, *SERVER_MESSAGES)
            },
            "schemas": _build_schemas(),
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "Browsers: the subprotocol bearer.BASE64URL(token).",
                }
            },
        },
    }


def _describe_channel() -> dict[str, Any]:
    names = [t.__name__ for t in (*CLIENT_MESSAGES, *SERVER_MESSAGES)]
    return {
        "address": "/ws",
        "title": frames.PROTOCOL_NAME,
        "description": f"A WebSocket with the subprotocol {frames.PROTOCOL_NAME}; "
        "one JSON "
        "object a text frame.",
        "messages": {name: {"$ref": f"{MESSAGES}/{name}"} for name in names},
        "bindings": {"ws": {"method": "GET", "bindingVersion": "0.1.0"}},
    }


def _describe_operation(action: str, kind: type[msgspec.Struct]) -> dict[str, Any]:
    return {
        "action": action,
        "channel": {"$ref": "#/channels/herald"},
        "messages": [{"$ref": f"#/channels/herald/messages/{kind.__name__}"}],
    }


def _describe_message(kind: type[msgspec.Struct]) -> dict[str, Any]:
    return {
        "name": kind.__struct_config__.tag,
        "title": kind.__name__,
        "summary": " ".join((kind.__doc__ or "").split()),
        "payload": {"$ref": f"{SCHEMAS}/{kind.__name__}"},
    }


def _build_schemas() -> dict[str, Any]:
    kinds: Iterable[Any] = (*CLIENT_MESSAGES, *SERVER_MESSAGES, *ITEMS)
    _, schemas = msgspec.json.schema_components(kinds, ref_template=SCHEMAS + "/{name}")
    # Images are sent as they are in the log, so no type of this package describes them;
    # with `fields` they are partial, and only `id` is certain.
    for kind in ITEMS:
        schemas[kind.__name__]["required"] = ["id"]
    refs = [{"$ref": f"{SCHEMAS}/{kind.__name__}"} for kind in ITEMS]
    schemas["Data"]["properties"]["put"]["items"] = {"anyOf": refs}
    return schemas


def make_routes() -> list[Route]:
    """Return the route of the document. It needs no token: it contains no task data."""
    return [Route("/asyncapi.json", _send_document, methods=["GET"])]


async def _send_document(request: Request) -> Response:
    """Return the AsyncAPI document of the WebSocket and its messages."""
    prefix = request.scope.get("root_path", "")
    server: dict[str, Any] = {
        "host": request.url.netloc,
        "protocol": "wss" if request.url.scheme == "https" else "ws",
        "security": [{"$ref": "#/components/securitySchemes/bearer"}],
        **({"pathname": prefix} if prefix else {}),
    }
    whole = {**build_document(), "servers": {"here": server}}
    return Response(to_json(whole), media_type="application/json")
