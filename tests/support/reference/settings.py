"""The settings, from the classes that read them."""

from typing import Any, cast

from herald_core.settings import MonitorSettings
from tests.support.reference.tables import write_table


def write_settings(settings: type[MonitorSettings]) -> str:
    """Return the settings of a class as a table, without those of the monitor that a
    server has too."""
    skipped: set[str] = set()
    if settings is not MonitorSettings:
        skipped = set(MonitorSettings.model_fields)
    rows = [
        (
            f"`HERALD_{name.upper()}`",
            f"`{shown}`" if (shown := show_default(field.default)) else "",
            field.description or "",
        )
        for name, field in settings.model_fields.items()
        if name not in skipped
    ]
    return write_table(("variable", "default", ""), rows)


def show_default(value: Any) -> str:
    """Return a default as one would write it in the environment."""
    if value is None:
        return ""
    if isinstance(value, tuple):
        return ",".join(map(str, cast("tuple[object, ...]", value)))
    return f"{value:g}" if isinstance(value, float) else str(value)
