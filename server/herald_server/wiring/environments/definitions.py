"""Read which environments there are, and the settings of each.

[environments.staging]
broker = "redis://staging:6379/0"
backend = "redis://staging:6379/1"
store = "redis://staging-store:6379/0"   # by default the server's own, other keys
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from herald_core.errors import InvalidInput
from herald_core.system.toml_tables import read_toml_table
from herald_server.auth.identity import DEFAULT_ENVIRONMENT
from herald_server.wiring.settings import ServerSettings

NAME_PATTERN = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
MAX_ENVIRONMENTS = 16

SETTING_NAMES = {
    "broker": "broker_url",
    "backend": "result_backend",
    "app": "app",
    "store": "store_url",
    "prefix": "store_prefix",
    "outbox": "outbox_url",
    "outbox_stream": "outbox_stream",
    "catalog": "catalog",
}
"""The keys of an environment, and the settings that they are."""

OWN_SETTINGS = (
    *SETTING_NAMES.values(),
    *("transport_options", "backend_options", "celery_settings", "outbox_streams"),
    *("outbox_group", "durable_events", "event_queue"),
)
"""Settings that no environment takes over from the default one."""


def list_environments(settings: ServerSettings) -> dict[str, ServerSettings]:
    """Return the settings of each environment besides the default one, by name.

    They come from HERALD_ENVIRONMENTS, and from the tables `[environments.NAME]` of the
    herald.toml. Raises `InvalidInput` with the environment.
    """
    tables = {**_read_tables(settings.catalog), **settings.environments}
    if len(tables) > MAX_ENVIRONMENTS:
        raise InvalidInput(f"at most {MAX_ENVIRONMENTS} environments can be served")
    return {
        name: _make_settings(name, table, settings) for name, table in tables.items()
    }


def find_environment(settings: ServerSettings, name: str | None) -> ServerSettings:
    """Return the settings of an environment. Raises `InvalidInput` if it is unknown."""
    if name in (None, DEFAULT_ENVIRONMENT):
        return settings
    known = list_environments(settings)
    if name not in known:
        names = ", ".join([DEFAULT_ENVIRONMENT, *known])
        raise InvalidInput(f"there is no environment {name!r}; there are {names}")
    return known[name]


def _read_tables(path: Path | None) -> Mapping[str, object]:
    if path is None:
        return {}
    return read_toml_table(path, "environments", "tables [environments.NAME]")


def _make_settings(name: str, given: object, base: ServerSettings) -> ServerSettings:
    place = f"[environments.{name[:64]}]"
    if not NAME_PATTERN.fullmatch(name) or name == DEFAULT_ENVIRONMENT:
        raise InvalidInput(
            f"{place}: a name is of small letters, digits and -, and not "
            f"{DEFAULT_ENVIRONMENT}"
        )
    values = _parse_table(place, given)
    if not values.keys() & {"broker_url", "app"}:
        raise InvalidInput(f"{place} needs a broker, or an app")
    defaults: dict[str, Any] = {
        key: ServerSettings.model_fields[key].default for key in OWN_SETTINGS
    }
    defaults |= {"store_url": base.store_url, "store_prefix": f"{{herald-{name}}}"}
    chosen: dict[str, Any] = {**defaults, "environments": {}, "root_path": "", **values}
    if chosen["store_url"] == base.store_url and (
        chosen["store_prefix"] == base.store_prefix
    ):
        raise InvalidInput(f"{place} has the store of the default environment")
    return base.model_copy(update=chosen)


def _parse_table(place: str, given: object) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise InvalidInput(f"{place} must be a table with a broker")
    table = cast("dict[str, object]", given)
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in SETTING_NAMES:
            known = ", ".join(SETTING_NAMES)
            raise InvalidInput(f"{place}: unknown key {key!r}; it takes {known}")
        if not isinstance(value, str) or not value.strip():
            raise InvalidInput(f"{place}: {key} must be a text")
        text = value.strip()
        values[SETTING_NAMES[key]] = Path(text) if key == "catalog" else text
    return values
