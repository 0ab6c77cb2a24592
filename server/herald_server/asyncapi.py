"""The AsyncAPI document: the WebSocket and its messages, for people and generators."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib.metadata import version
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from herald_monitor.model.codec import to_json
from herald_monitor.model.shape import TaskImage
from herald_monitor.model.workers import WorkerImage
from herald_server import frames
from herald_server.wire_messages import SAID, TOLD, Count

SCHEMAS = "#/components/schemas"
MESSAGES = "#/components/messages"
ITEMS = (TaskImage, WorkerImage, Count)
"""What `put` holds, one kind a topic."""

ABOUT = (
    "Tasks of a Celery installation, the moment they change. Subscribe, take "
    "`put` and `del` into a map by `id`, keep the newest `cursor`; reconnect and "
    "hand it back as `since`. Close codes below 4400: reconnect and resume. From "
    "4400: mend something first. Clients ignore fields and types that they do not know."
)


@cache
def document() -> dict[str, Any]:
    """Return the document, but for where the server is."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Herald",
            "version": version("celery-herald"),
            "description": ABOUT,
        },
        "defaultContentType": "application/json",
        "channels": {"herald": _channel()},
        "operations": {
            **{f"receive{t.__name__}": _operation("receive", t) for t in SAID},
            **{f"send{t.__name__}": _operation("send", t) for t in TOLD},
        },
        "components": {
            "messages": {t.__name__: _message(t) for t in (*SAID, *TOLD)},
            "schemas": _schemas(),
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "Browsers: the subprotocol bearer.BASE64URL(token).",
                }
            },
        },
    }


def _channel() -> dict[str, Any]:
    names = [t.__name__ for t in (*SAID, *TOLD)]
    return {
        "address": "/ws",
        "title": frames.NAME,
        "description": f"A WebSocket with the subprotocol {frames.NAME}; one JSON "
        "object a text frame.",
        "messages": {name: {"$ref": f"{MESSAGES}/{name}"} for name in names},
        "bindings": {"ws": {"method": "GET", "bindingVersion": "0.1.0"}},
    }


def _operation(action: str, kind: type[msgspec.Struct]) -> dict[str, Any]:
    return {
        "action": action,
        "channel": {"$ref": "#/channels/herald"},
        "messages": [{"$ref": f"#/channels/herald/messages/{kind.__name__}"}],
    }


def _message(kind: type[msgspec.Struct]) -> dict[str, Any]:
    return {
        "name": kind.__struct_config__.tag,
        "title": kind.__name__,
        "summary": " ".join((kind.__doc__ or "").split()),
        "payload": {"$ref": f"{SCHEMAS}/{kind.__name__}"},
    }


def _schemas() -> dict[str, Any]:
    kinds: Iterable[Any] = (*SAID, *TOLD, *ITEMS)
    _, schemas = msgspec.json.schema_components(kinds, ref_template=SCHEMAS + "/{name}")
    # Images travel as they lie in the log, so no type of ours holds them; with
    # `fields` they are in part, and only `id` is sure.
    for kind in ITEMS:
        schemas[kind.__name__]["required"] = ["id"]
    refs = [{"$ref": f"{SCHEMAS}/{kind.__name__}"} for kind in ITEMS]
    schemas["Data"]["properties"]["put"]["items"] = {"anyOf": refs}
    return schemas


def routes() -> list[Route]:
    """Return the route of the document. It needs no token: it tells of no task."""
    return [Route("/asyncapi.json", _show, methods=["GET"])]


async def _show(request: Request) -> Response:
    prefix = request.scope.get("root_path", "")
    server: dict[str, Any] = {
        "host": request.url.netloc,
        "protocol": "wss" if request.url.scheme == "https" else "ws",
        "security": [{"$ref": "#/components/securitySchemes/bearer"}],
        **({"pathname": prefix} if prefix else {}),
    }
    whole = {**document(), "servers": {"here": server}}
    return Response(to_json(whole), media_type="application/json")
