"""The messages of the WebSocket, from the AsyncAPI document; and its close codes."""

from typing import Any

from herald_server.auth.quotas.close_codes import MEANINGS
from herald_server.push.protocol.asyncapi import build_document
from herald_server.push.protocol.schemas import CLIENT_MESSAGES, SERVER_MESSAGES
from tests.support.reference.tables import describe, write_members, write_table


def write_messages() -> str:
    """Return all messages with their members, the types in them, and close codes."""
    document = build_document()
    schemas: dict[str, Any] = document["components"]["schemas"]
    clients = {kind.__name__ for kind in CLIENT_MESSAGES}
    servers = {kind.__name__ for kind in SERVER_MESSAGES}
    others = schemas.keys() - clients - servers
    parts = [
        "## Messages of the client\n",
        *(_write_type(name, schemas[name]) for name in schemas if name in clients),
        "## Messages of the server\n",
        *(_write_type(name, schemas[name]) for name in schemas if name in servers),
        "## Types in messages\n",
        *(_write_type(name, schemas[name]) for name in schemas if name in others),
        "## Close codes\n",
        write_table(("code", "meaning", "then"), MEANINGS),
    ]
    return "\n".join(parts)


def _write_type(name: str, schema: dict[str, Any]) -> str:
    return f"### {name}\n\n{describe(schema)}\n\n{write_members(schema)}"
