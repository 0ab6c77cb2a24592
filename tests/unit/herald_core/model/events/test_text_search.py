"""Long texts are searched in windows, and found in them is what one call finds."""

import re
import threading
import time

import pytest

from herald_core.model.events.redaction import MASK, Redactor
from herald_core.model.events.text_search import (
    OVERLAP_CHARS,
    WINDOW_CHARS,
    search_yielding,
)

MEGABYTE = 1_000_000

HOSTILE = {
    "brackets": "password=" + "{<" * (MEGABYTE // 2),
    "backslashes and quotes": "password=" + "\\\\'" * (MEGABYTE // 3),
    "quotes": "'" * MEGABYTE,
    "keys": "password=a " * (MEGABYTE // 11),
    "schemes without a token": "bearer a " * (MEGABYTE // 9),
    "tokens": "bearer abcdefgh " * (MEGABYTE // 16),
    "addresses": "://a:b " * (MEGABYTE // 7),
    "letters": "a" * MEGABYTE,
    "a value without an end": "password=" + "a" * MEGABYTE,
    "letters beyond ASCII": "é" * MEGABYTE,
}


@pytest.mark.parametrize("before", range(-40, 41, 4))
@pytest.mark.parametrize(
    "edge", [WINDOW_CHARS, WINDOW_CHARS - OVERLAP_CHARS, 2 * WINDOW_CHARS]
)
def test_a_match_at_the_edge_of_a_window_is_found(edge: int, before: int) -> None:
    text = "." * (edge + before) + "password1234" + "." * WINDOW_CHARS
    pattern = re.compile(r"pass\w+")
    ours, whole = search_yielding(pattern, text), pattern.search(text)
    assert ours is not None
    assert whole is not None
    assert ours.span() == whole.span()


def test_a_match_longer_than_a_window_is_found_whole() -> None:
    text = "." * 100 + "a" * (3 * WINDOW_CHARS) + "." * WINDOW_CHARS
    found = search_yielding(re.compile("a+"), text)
    assert found is not None
    assert found.span() == (100, 100 + 3 * WINDOW_CHARS)


def test_nothing_is_found_where_there_is_nothing() -> None:
    assert search_yielding(re.compile("b"), "a" * (3 * WINDOW_CHARS)) is None


@pytest.mark.parametrize(
    "secret",
    ["password='hunter2'", "Authorization: Bearer hunter2x", "redis://u:hunter2@host"],
)
@pytest.mark.parametrize("before", [-10, -1, 0, 7])
def test_a_secret_at_the_edge_of_a_window_is_cut_out(secret: str, before: int) -> None:
    text = "a " * ((WINDOW_CHARS + before) // 2) + secret + " a" * WINDOW_CHARS
    told = Redactor()(text)
    assert "hunter2" not in told
    assert MASK in told


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_twice_the_text_takes_about_twice_the_time(text: str) -> None:
    redact = Redactor()

    def cost(many: str) -> float:
        def once() -> float:
            begun = time.thread_time()
            redact(many)
            return time.thread_time() - begun

        return min(once() for _ in range(2))

    half, whole = cost(text[: len(text) // 2]), cost(text)
    # Some milliseconds are nothing to compare.
    assert whole < max(4 * half, 0.02)
    assert whole < 1.5


@pytest.mark.parametrize("kind", ["schemes without a token", "tokens", "addresses"])
def test_other_threads_go_on_while_a_long_text_is_redacted(kind: str) -> None:
    """No one call holds the interpreter's lock for much of the time."""
    redact = Redactor()
    working = threading.Thread(target=lambda: redact(HOSTILE[kind]))
    begun = last = time.perf_counter()
    working.start()
    longest = 0.0
    while working.is_alive():
        time.sleep(0.001)
        now = time.perf_counter()
        longest, last = max(longest, now - last), now
    assert longest < max((last - begun) / 3, 0.05)
