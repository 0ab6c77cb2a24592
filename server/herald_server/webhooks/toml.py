"""Endpoints that stand in `herald.toml`, as `[webhooks.NAME]`.

[webhooks.alerts]
url = "https://example.org/hooks/celery"
secret_env = "ALERTS_SECRET"            # or secret = "whsec_…"
on = ["FAILURE", "LOST"]
filter = { name = "reports.*" }
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import msgspec

from herald_monitor.errors import BadInput
from herald_server.webhooks.endpoint import MADE, NAME, Endpoint, parse_endpoint


def read_endpoints(
    path: Path, env: Mapping[str, str] = os.environ
) -> tuple[Endpoint, ...]:
    """Return the endpoints of a `herald.toml`. Raises `BadInput` with the place."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput(f"cannot read {path}: {error}") from None
    webhooks = table.get("webhooks", {})
    if not isinstance(webhooks, dict):
        raise BadInput(f"{path}: webhooks must be a table [webhooks.NAME]")
    found: list[Endpoint] = []
    for name, given in cast("dict[str, object]", webhooks).items():
        try:
            found.append(_endpoint(name, given, env))
        except BadInput as error:
            raise BadInput(f"{path}: [webhooks.{name}] {error}") from None
    return tuple(found)


def _endpoint(name: str, given: object, env: Mapping[str, str]) -> Endpoint:
    if not NAME.fullmatch(name) or name.startswith(MADE):
        raise BadInput("must be named with a-z, 0-9, _ and -, not beginning with wh_")
    if not isinstance(given, dict):
        raise BadInput("must be a table")
    told = dict(cast("dict[str, object]", given))
    variable = told.pop("secret_env", None)
    if isinstance(variable, str):
        told["secret"] = env.get(variable)
    if not isinstance(told.get("secret"), str):
        # One that is made here could be shown to nobody.
        raise BadInput(
            "needs secret, or secret_env with the name of a variable that is set; "
            "make one with: python -c 'import base64, os; "
            'print("whsec_" + base64.b64encode(os.urandom(32)).decode())\''
        )
    # When it was written is not known, and must not differ between processes.
    return msgspec.structs.replace(parse_endpoint(told, "", name), created_at="")
