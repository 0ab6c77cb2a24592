"""The keys of herald.toml, from what reads them."""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from herald_monitor.celery_client.schedules.declared_source import KEYS as SCHEDULE_KEYS
from herald_server.alerts.rules import COMMON_KEYS, LIMIT_KEYS
from herald_server.alerts.toml import RECEIVER_KEYS
from herald_server.alerts.toml import TABLE_KEYS as ALERT_KEYS
from herald_server.auth.sso.settings import GROUP_KEYS, USER_KEYS
from herald_server.auth.sso.settings import TABLE_KEYS as SSO_KEYS
from herald_server.auth.tokens.static import TABLE_KEYS as TOKEN_KEYS
from herald_server.catalog.toml import TOP_KEYS, ParamTable, TypeTable
from herald_server.webhooks.endpoint import ENDPOINT_KEYS
from herald_server.webhooks.toml import TOML_KEYS as WEBHOOK_TOML_KEYS
from herald_server.wiring.environments.definitions import SETTING_NAMES
from herald_server.wiring.settings import ServerSettings
from tests.support.reference.settings import show_default
from tests.support.reference.tables import write_table

TABLES: dict[str, Mapping[str, str]] = {
    "tokens.NAME": TOKEN_KEYS,
    "webhooks.NAME": {**ENDPOINT_KEYS, **WEBHOOK_TOML_KEYS},
    "alerts": ALERT_KEYS,
    "alerts.rules.NAME": {**COMMON_KEYS, **LIMIT_KEYS},
    "alerts.receivers.NAME": RECEIVER_KEYS,
    "sso": SSO_KEYS,
    "sso.groups.NAME": GROUP_KEYS,
    "sso.users.NAME": USER_KEYS,
    "schedules.NAME": SCHEDULE_KEYS,
    "environments.NAME": {
        key: ServerSettings.model_fields[setting].description or ""
        for key, setting in SETTING_NAMES.items()
    },
}
"""By table, its keys and their meanings."""


def write_tables() -> str:
    """Return all tables with their keys."""
    return "\n".join(_list_parts())


def _list_parts() -> Iterator[str]:
    yield "## All keys\n"
    yield "### Keys without a table\n"
    yield write_table(("key", "meaning"), _list_rows(TOP_KEYS))
    models: dict[str, type[BaseModel]] = {
        "task_types.NAME": TypeTable,
        "task_types.NAME.params.PARAM": ParamTable,
    }
    for name, model in models.items():
        yield f"### `[{name}]`\n"
        yield write_table(("key", "default", "meaning"), _list_fields(model))
    for name, keys in TABLES.items():
        yield f"### `[{name}]`\n"
        yield write_table(("key", "meaning"), _list_rows(keys))


def _list_rows(keys: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for key, meaning in keys.items():
        yield f"`{key}`", meaning


def _list_fields(model: type[BaseModel]) -> Iterator[tuple[str, str, str]]:
    for name, field in model.model_fields.items():
        yield f"`{name}`", _show(field.default), field.description or ""


def _show(value: Any) -> str:
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    is_shown = isinstance(value, str | int | float) and value != ""
    return f"`{show_default(value)}`" if is_shown else ""
