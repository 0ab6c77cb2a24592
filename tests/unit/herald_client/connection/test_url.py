"""Where a client finds its Herald."""

import pytest

from herald_client.connection.url import DEFAULT_URL, find_server_url
from herald_core.errors import InvalidInput


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HERALD_URL", raising=False)
    monkeypatch.delenv("HERALD_TOKEN", raising=False)
    monkeypatch.delenv("HERALD_ENVIRONMENT", raising=False)


def test_default_is_this_machine() -> None:
    assert find_server_url().url == DEFAULT_URL


def test_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HERALD_URL", "https://herald.example/base")
    monkeypatch.setenv("HERALD_TOKEN", "secret-of-mine")
    found = find_server_url()
    assert found.url == "https://herald.example:443/base/"
    assert found.websocket_url == "wss://herald.example:443/base/ws"
    assert found.headers == [("Authorization", "Bearer secret-of-mine")]


def test_url_as_herald_prints_it_brings_its_token(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HERALD_TOKEN", "an-old-one")
    found = find_server_url("http://127.0.0.1:9/#token=fresh-one")
    assert (found.url, found.token) == ("http://127.0.0.1:9/", "fresh-one")


def test_given_token_goes_before_all() -> None:
    assert find_server_url("http://h/#token=other", "mine").token == "mine"


def test_sentences_never_show_the_token() -> None:
    assert "mine" not in find_server_url("http://h/", "mine").url


def test_ipv6_keeps_its_brackets() -> None:
    assert find_server_url("http://[::1]:8787/").url == "http://[::1]:8787/"


@pytest.mark.parametrize(
    ("url", "name", "wanted"),
    [
        ("http://h/", "staging", "http://h:80/env/staging/"),
        ("http://h/base", "staging", "http://h:80/base/env/staging/"),
        ("http://h/base/env/other/", "staging", "http://h:80/base/env/staging/"),
        ("http://h/env/other", "default", "http://h:80/"),
        ("http://h/env/other", None, "http://h:80/env/other/"),
    ],
)
def test_an_environment_is_below_the_url(
    url: str, name: str | None, wanted: str
) -> None:
    assert find_server_url(url, environment=name).url == wanted


def test_the_environment_is_read_from_its_variable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HERALD_ENVIRONMENT", "staging")
    assert find_server_url("http://h/").url == "http://h:80/env/staging/"
    assert find_server_url("http://h/", environment="default").url == "http://h:80/"


@pytest.mark.parametrize("name", ["a/b", "Staging", "..", "a b", "x" * 33])
def test_no_name_of_an_environment_gets_a_sentence(name: str) -> None:
    with pytest.raises(InvalidInput, match="no name of an environment"):
        find_server_url("http://h/", environment=name)


@pytest.mark.parametrize(
    "url",
    [
        "127.0.0.1:8787",
        "localhost:8787",
        "redis://127.0.0.1/",
        "http://",
        "http://host:port/",
        "http://host:99999/",
        "http://[::1/",
        "http://host/a b",
    ],
)
def test_no_url_gets_a_sentence(url: str) -> None:
    with pytest.raises(InvalidInput, match="no URL of a Herald; give one such as"):
        find_server_url(url)


@pytest.mark.parametrize("token", ["two words", "a\r\nHost: evil", "schlüssel"])
def test_no_token_gets_a_sentence(token: str) -> None:
    with pytest.raises(InvalidInput, match="copy it again") as raised:
        find_server_url("http://h/", token)
    assert token not in str(raised.value)
