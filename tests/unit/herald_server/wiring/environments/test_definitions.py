"""Environments come from a variable or a herald.toml, each with settings of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from herald_core.errors import InvalidInput
from herald_server.wiring.environments.definitions import (
    find_environment,
    list_environments,
)
from herald_server.wiring.launcher import make_environment
from herald_server.wiring.settings import ServerSettings, make_settings

TOML = """
[environments.staging]
broker = "redis://staging/0"
store = "redis://store/3"
prefix = "{stage}"
"""


@pytest.fixture
def base(monkeypatch: pytest.MonkeyPatch) -> ServerSettings:
    monkeypatch.setenv("HERALD_RESULT_BACKEND", "redis://secret@production/1")
    return make_settings(
        token="token-of-the-tests",
        broker_url="redis://production/0",
        celery_settings={"event_exchange": "production"},
        environments={"staging": {"broker": "redis://staging/0"}},
    )


def test_an_environment_takes_over_neither_broker_nor_backend(
    base: ServerSettings,
) -> None:
    found = list_environments(base)["staging"]
    assert (found.broker_url, found.result_backend) == ("redis://staging/0", None)
    assert found.celery_settings == {}
    assert (found.store_url, found.store_prefix) == (base.store_url, "{herald-staging}")
    assert found.token == base.token


def test_the_monitor_of_an_environment_gets_nothing_of_the_default_one(
    base: ServerSettings,
) -> None:
    variables = make_environment(list_environments(base)["staging"])
    assert variables["HERALD_BROKER_URL"] == "redis://staging/0"
    assert variables["HERALD_STORE_PREFIX"] == "{herald-staging}"
    assert "HERALD_RESULT_BACKEND" not in variables
    assert not [name for name, text in variables.items() if "production" in text]


def test_a_herald_toml_has_tables_of_environments(tmp_path: Path) -> None:
    path = tmp_path / "herald.toml"
    path.write_text(TOML)
    found = find_environment(make_settings(catalog=path), "staging")
    assert (found.broker_url, found.store_url, found.store_prefix) == (
        "redis://staging/0",
        "redis://store/3",
        "{stage}",
    )
    assert found.catalog is None


def test_the_default_environment_is_that_of_the_settings(base: ServerSettings) -> None:
    assert find_environment(base, None) is base
    assert find_environment(base, "default") is base
    with pytest.raises(InvalidInput, match="no environment 'x'; there are default, st"):
        find_environment(base, "x")


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"Staging": {"broker": "redis://s"}}, "a name is of small letters"),
        ({"default": {"broker": "redis://s"}}, "and not default"),
        ({"s": {}}, "needs a broker, or an app"),
        ({"s": {"store": "redis://s"}}, "needs a broker, or an app"),
        ({"s": {"broker": 7}}, "broker must be a text"),
        ({"s": {"broker": "redis://s", "url": "x"}}, "unknown key 'url'; it takes"),
        ({"s": "redis://s"}, "must be a table with a broker"),
        ({"s": {"broker": "redis://s", "prefix": "{herald}"}}, "has the store of the"),
        ({f"e{n}": {"broker": "redis://s"} for n in range(17)}, "at most 16"),
    ],
)
def test_what_is_wrong_is_told_in_a_sentence(
    given: dict[str, object], sentence: str
) -> None:
    with pytest.raises(InvalidInput, match=sentence):
        list_environments(make_settings(environments=given))


@pytest.mark.parametrize("text", ["staging", "[]", "{"])
def test_the_variable_is_a_json_object(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HERALD_ENVIRONMENTS", text)
    with pytest.raises(InvalidInput, match=r"HERALD_ENVIRONMENTS: .*JSON object"):
        make_settings()
