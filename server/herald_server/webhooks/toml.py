"""Endpoints that stand in `herald.toml`, as `[webhooks.NAME]`.

[webhooks.alerts]
url = "https://example.org/hooks/celery"
secret_env = "ALERTS_SECRET"            # or secret = "whsec_…"
on = ["FAILURE", "LOST"]
filter = { name = "reports.*" }
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import msgspec

from herald_core.errors import InvalidInput
from herald_core.system.toml_tables import read_toml_table
from herald_server.webhooks.endpoint import (
    ID_PREFIX,
    NAME_PATTERN,
    WebhookEndpoint,
    parse_endpoint,
)

SECRET_VARIABLE = "secret_env"
TOML_KEYS = {SECRET_VARIABLE: "The variable with that secret"}
"""Keys that an endpoint has only in a herald.toml."""


def read_endpoints(
    path: Path, env: Mapping[str, str] = os.environ
) -> tuple[WebhookEndpoint, ...]:
    """Return the endpoints of a `herald.toml`. Raises `InvalidInput` with the table."""
    webhooks = read_toml_table(path, "webhooks", "a table [webhooks.NAME]")
    found: list[WebhookEndpoint] = []
    for name, given in webhooks.items():
        try:
            found.append(_parse_endpoint(name, given, env))
        except InvalidInput as error:
            raise InvalidInput(f"{path}: [webhooks.{name}] {error}") from None
    return tuple(found)


def _parse_endpoint(
    name: str, given: object, env: Mapping[str, str]
) -> WebhookEndpoint:
    if not NAME_PATTERN.fullmatch(name) or name.startswith(ID_PREFIX):
        raise InvalidInput(
            "must be named with a-z, 0-9, _ and -, not beginning with wh_"
        )
    if not isinstance(given, dict):
        raise InvalidInput("must be a table")
    fields = dict(cast("dict[str, object]", given))
    variable = fields.pop(SECRET_VARIABLE, None)
    if isinstance(variable, str):
        fields["secret"] = env.get(variable)
    if not isinstance(fields.get("secret"), str):
        # A generated one could not be shown to anyone.
        raise InvalidInput(
            "needs secret, or secret_env with the name of a variable that is set; "
            "make one with: python -c 'import base64, os; "
            'print("whsec_" + base64.b64encode(os.urandom(32)).decode())\''
        )
    # When it was written is not known, and must not differ between processes.
    return msgspec.structs.replace(parse_endpoint(fields, "", name), created_at="")
