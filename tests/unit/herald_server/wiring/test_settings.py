"""Settings in the environment of child processes."""

import pytest

from herald_core.settings import MonitorSettings
from herald_server.wiring.settings import make_settings


def test_children_get_the_settings_of_their_parent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = make_settings(
        host="127.0.0.1",
        token="a-secret-token",
        allowed_hosts="one.example, two.example",
        root_path="herald",
        retention=60.0,
        workers=3,
        transport_options={"sep": "~", "ssl": {"cert": None}},
    )
    for key, value in settings.to_env().items():
        monkeypatch.setenv(key, value)
    assert make_settings() == settings


def test_a_monitor_gets_its_own_settings_alone() -> None:
    settings = make_settings(token="a-secret-token", retention=60.0)
    assert settings.to_env(MonitorSettings.model_fields) == {"HERALD_RETENTION": "60.0"}
