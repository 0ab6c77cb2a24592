"""Options that a person gives beside the URLs."""

import pytest

from herald_core.settings import MonitorSettings
from herald_core.system.options_text import read_options
from herald_monitor.celery_client.app.celery_app import make_app
from herald_monitor.celery_client.app.project_evidence import (
    PREFIXED_MESSAGE,
    read_settings,
)
from herald_monitor.celery_client.app.project_options import change_settings

GIVEN: list[tuple[object, dict[str, object]]] = [
    (("global_keyprefix=shop:", "sep=:"), {"global_keyprefix": "shop:", "sep": ":"}),
    (("priority_steps=[0, 5, 9]",), {"priority_steps": [0, 5, 9]}),
    ("visibility_timeout=86400;global_keyprefix=7", {
        "visibility_timeout": 86400, "global_keyprefix": "7",
    }),
    ('{"sep": ":", "priority_steps": [0, 1]}', {"sep": ":", "priority_steps": [0, 1]}),
    ({"sep": ":"}, {"sep": ":"}),
    ("", {}),
    ((), {}),
]  # fmt: skip


@pytest.mark.parametrize(("given", "options"), GIVEN)
def test_options_are_read_as_they_are_written(
    given: object, options: dict[str, object]
) -> None:
    assert read_options(given) == options


@pytest.mark.parametrize("given", [("x",), ("=x",), "a b=1", "{", '{"a": 1', 3])
def test_what_cannot_be_meant_is_refused_with_a_sentence(given: object) -> None:
    with pytest.raises(ValueError, match=r"NAME=VALUE|JSON object"):
        read_options(given)


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HERALD_TRANSPORT_OPTIONS", '{"sep": ":"}')
    monkeypatch.setenv("HERALD_CELERY_SETTINGS", "event_exchange=ev")
    settings = MonitorSettings()
    assert settings.transport_options == {"sep": ":"}
    assert settings.celery_settings == {"event_exchange": "ev"}
    assert settings.backend_options == {}


TOLD: dict[str, object] = {
    "broker_transport_options": {
        "sep": ":", "priority_steps": [0, 1], "global_keyprefix": "********",
        "socket_timeout": 3, "unacked_key": "********",
    },
    "result_backend_transport_options": {"global_keyprefix": "********"},
    "event_exchange": "ev", "task_default_queue": None, "task_routes": {"a": "b"},
}  # fmt: skip


def test_of_a_workers_settings_only_layouts_are_taken_over() -> None:
    assert read_settings(TOLD) == {
        "broker_transport_options": {"sep": ":", "priority_steps": [0, 1]},
        "event_exchange": "ev",
        PREFIXED_MESSAGE: True,
    }
    assert read_settings({}) == {}


def test_what_was_given_stays() -> None:
    app = make_app("redis://h", transport={"sep": "|"}, event_exchange="mine")
    told = {**read_settings(TOLD)}
    del told[PREFIXED_MESSAGE]
    changed = change_settings(app, told, frozenset(["sep", "event_exchange"]))
    assert changed == {"priority_steps"}
    options = app.conf["broker_transport_options"]
    assert (options["sep"], options["priority_steps"]) == ("|", [0, 1])
    assert options["max_retries"] == 0
    assert change_settings(app, told, frozenset(["sep", "event_exchange"])) == set()
