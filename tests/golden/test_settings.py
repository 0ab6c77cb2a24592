"""Environment variables, and the keys of a herald.toml."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import msgspec

from tests.golden.comparison import compare
from tests.golden.product import (
    ServerSettings,
    read_catalog,
    read_endpoints,
    read_tokens,
)
from tests.support.environment import ROOT

VARIABLE = re.compile(r"\bHERALD_[A-Z][A-Z_]*[A-Z]\b")


def test_settings_their_types_and_defaults() -> None:
    schema = ServerSettings.model_json_schema()["properties"]
    told: dict[str, Any] = {}
    for name, about in schema.items():
        kept = {k: v for k, v in about.items() if k not in ("title", "description")}
        told[f"HERALD_{name.upper()}"] = kept
    compare("settings.json", told)


def test_names_of_all_variables() -> None:
    """Also those that are read where no setting is, such as HERALD_URL."""
    found: set[str] = set()
    for folder in ("monitor", "server"):
        for path in (ROOT / folder).rglob("*.py"):
            found |= set(VARIABLE.findall(path.read_text()))
    named = {f"HERALD_{name.upper()}" for name in ServerSettings.model_fields}
    compare("variables.json", sorted(found | named))


TOML = """
allow = ["reports.*"]
queues = ["reports.*"]

[task_types.monthly]
celery_name = "reports.monthly"
description = "Compute the report of a month"
queue = "reports"
duration = "2-5 minutes"
scope = "admin"
confirm = true

[task_types.monthly.params.month]
type = "string"
format = "date"
required = true
description = "Any day of the month"

[task_types.monthly.params.pages]
type = "integer"
default = 3
minimum = 1
nullable = true

[task_types.monthly.params.kind]
type = "string"
default = "a"
enum = ["a", "b"]

[tokens.grafana]
hash = "sha256:0000000000000000000000000000000000000000000000000000000000000000"
scopes = ["read"]
only = { name = "reports.*", state = ["FAILURE", "LOST"] }

[webhooks.alerts]
url = "https://192.0.43.8/hook"
secret = "whsec_MDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDA="
on = ["FAILURE", "LOST"]
filter = { name = "reports.*" }
format = "cloudevents"
description = "told when reports fail"
"""

TABLES: dict[str, Callable[[Path], Any]] = {
    "task_types.monthly": read_catalog,
    "task_types.monthly.params.month": read_catalog,
    "tokens.grafana": read_tokens,
    "webhooks.alerts": read_endpoints,
}
"""Tables of a herald.toml, and who reads them."""


def test_a_herald_toml_with_every_key(tmp_path: Path) -> None:
    path = tmp_path / "herald.toml"
    path.write_text(TOML)
    types, allow, queues = read_catalog(path)
    tokens = {key.hex(): _plain(who) for key, who in read_tokens(path).items()}
    compare(
        "herald-toml.json",
        {
            "task_types": _plain(types),
            "allow": _plain(allow),
            "queues": _plain(queues),
            "tokens": tokens,
            "webhooks": _plain(read_endpoints(path)),
            "secret_env": _plain(_by_variable(path)),
            "unknown keys": {table: _refusal(path, table) for table in TABLES},
        },
    )


def _by_variable(path: Path) -> Any:
    secret = re.search(r'secret = "(.*)"', TOML)
    assert secret
    path.write_text(TOML.replace(secret[0], 'secret_env = "ALERTS_SECRET"'))
    found = read_endpoints(path, {"ALERTS_SECRET": secret[1]})
    path.write_text(TOML)
    return found


def _refusal(path: Path, table: str) -> str:
    """Return what is said of a key that `table` does not have."""
    path.write_text(TOML.replace(f"[{table}]\n", f"[{table}]\nkeyy = 1\n"))
    try:
        TABLES[table](path)
    except Exception as error:
        return str(error).replace(f"{path}: ", "")
    return "taken"


def _plain(value: object) -> Any:
    """Return what was read as JSON has it, sets as sorted lists."""
    return msgspec.to_builtins(value, enc_hook=_other, str_keys=True, order="sorted")


def _other(value: object) -> Any:
    if isinstance(value, set | frozenset):
        return sorted(cast("set[str]", value))
    # A mark that there is no default.
    return f"<{type(value).__name__}>"
