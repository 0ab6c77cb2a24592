"""Every setting is documented once: from the code.

`python -m tests.unit.repository.test_settings_table` rewrites the tables.
"""

import re
from typing import Any, cast

import pytest

from herald_core.settings import MonitorSettings
from herald_server.wiring.settings import ServerSettings
from tests.support.environment import ROOT

SETTINGS: dict[str, type[MonitorSettings]] = {
    "server/docs/reference/monitor-settings.md": MonitorSettings,
    "server/docs/reference/settings.md": ServerSettings,
}
PLACE = re.compile(r"(<!-- settings -->\n).*?(<!-- /settings -->)", re.DOTALL)


def table(settings: type[MonitorSettings], without: set[str]) -> str:
    """Return the settings as a Markdown table."""
    rows = ["| variable | default | |", "|---|---|---|"]
    for name, field in settings.model_fields.items():
        if name not in without:
            said = f"`{shown(field.default)}`" if shown(field.default) else ""
            rows.append(f"| `HERALD_{name.upper()}` | {said} | {field.description} |")
    return "\n".join(rows) + "\n"


def shown(value: Any) -> str:
    """Return a default as one would write it in the environment."""
    if value is None:
        return ""
    if isinstance(value, tuple):
        return ",".join(map(str, cast("tuple[object, ...]", value)))
    return f"{value:g}" if isinstance(value, float) else str(value)


def written(page: str) -> str:
    """Return a page as it should be."""
    settings = SETTINGS[page]
    own: set[str] = set()
    if settings is not MonitorSettings:
        own = set(MonitorSettings.model_fields)
    text = (ROOT / page).read_text()
    return PLACE.sub(lambda m: m[1] + table(settings, own) + m[2], text)


@pytest.mark.parametrize("page", SETTINGS)
def test_each_setting_stands_in_the_reference(page: str) -> None:
    text = (ROOT / page).read_text()
    assert PLACE.search(text), f"{page} has no place for the settings"
    assert text == written(page), (
        "run python -m tests.unit.repository.test_settings_table"
    )


def test_each_setting_says_what_it_is() -> None:
    for name, field in ServerSettings.model_fields.items():
        assert field.description, name


if __name__ == "__main__":
    for page in SETTINGS:
        (ROOT / page).write_text(written(page))
