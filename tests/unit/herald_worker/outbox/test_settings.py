"""Settings of the outbox come from the environment; an argument goes before it."""

from __future__ import annotations

import pytest

from herald_worker.outbox.settings import (
    OutboxSettings,
    OutboxSettingsError,
    read_settings,
)


def test_without_any_the_broker_holds_the_stream() -> None:
    settings = read_settings({}, {})
    assert settings == OutboxSettings()
    assert (settings.url, settings.stream) == (None, "herald:outbox")
    assert not settings.also_publish


def test_the_environment_is_read() -> None:
    environ = {
        "HERALD_OUTBOX_URL": "redis://events:6379/1",
        "HERALD_OUTBOX_STREAM": "shop",
        "HERALD_OUTBOX_STREAMS": "4",
        "HERALD_OUTBOX_MAX_EVENTS": "10",
        "HERALD_OUTBOX_MAXLEN": "20",
        "HERALD_OUTBOX_MAX_BYTES": "30",
        "HERALD_OUTBOX_ALSO_PUBLISH": "yes",
        "HERALD_RELEASE": "4f1c ",
    }
    assert read_settings({}, environ) == OutboxSettings(
        "redis://events:6379/1", "shop", 4, 10, 20, 30, True, "4f1c"
    )


def test_an_argument_goes_before_the_environment_and_none_does_not() -> None:
    environ = {"HERALD_OUTBOX_STREAM": "a", "HERALD_OUTBOX_URL": "redis://a"}
    settings = read_settings({"stream": "b", "url": None}, environ)
    assert (settings.stream, settings.url) == ("b", "redis://a")


def test_an_empty_variable_is_none() -> None:
    empty = {"HERALD_OUTBOX_URL": "", "HERALD_RELEASE": " "}
    assert read_settings({}, empty) == OutboxSettings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("STREAMS", "many"),
        ("STREAMS", "65"),
        ("MAXLEN", "0"),
        ("MAX_EVENTS", "-1"),
        ("ALSO_PUBLISH", "perhaps"),
    ],
)
def test_what_is_wrong_is_told_in_a_sentence(name: str, value: str) -> None:
    with pytest.raises(OutboxSettingsError, match=f"HERALD_OUTBOX_{name} is '{value}'"):
        read_settings({}, {f"HERALD_OUTBOX_{name}": value})
