"""Cookies of sessions, and what is encrypted in them."""

from herald_server.auth.sso.cookies import (
    LOGIN,
    SESSION,
    SsoCipher,
    format_cookie,
    read_cookie,
)

SECRET = "a secret of the tests, long enough"


def test_with_tls_a_cookie_is_bound_to_the_host() -> None:
    text = format_cookie(SESSION, "v", 60, is_secure=True, path="/herald/")
    assert text == (
        "__Host-herald-session=v; Path=/; Max-Age=60; HttpOnly; SameSite=Lax; Secure"
    )


def test_without_tls_it_is_bound_to_the_path() -> None:
    text = format_cookie(LOGIN, "v", 0, is_secure=False, path="/herald/")
    assert text.startswith("herald-login=v; Path=/herald/; Max-Age=0;")
    assert "Secure" not in text


def test_a_cookie_is_read_by_the_name_of_its_scheme() -> None:
    header = "a=b; herald-session=plain; __Host-herald-session=safe"
    assert read_cookie(header, SESSION, True) == "safe"
    assert read_cookie(header, SESSION, False) == "plain"
    assert read_cookie(None, SESSION, True) is None
    assert read_cookie("herald-session=", SESSION, False) is None


def test_a_text_is_read_with_the_secret_for_its_purpose_only() -> None:
    cipher = SsoCipher(SECRET)
    sealed = cipher.encrypt(b"text", LOGIN)
    assert cipher.decrypt(sealed, LOGIN) == b"text"
    assert cipher.decrypt(sealed, SESSION) is None
    assert SsoCipher(SECRET + "!").decrypt(sealed, LOGIN) is None
    assert cipher.decrypt("not sealed", LOGIN) is None
    assert cipher.decrypt("", LOGIN) is None
