"""Tabs of Chromium that must not fail."""

from collections.abc import Generator
from contextlib import contextmanager

from playwright.sync_api import (
    BrowserContext,
    Page,
)


@contextmanager
def faultless(context: BrowserContext) -> Generator[Page]:
    """A tab, and at its end a look at what went wrong in it."""
    faults: list[str] = []
    page = context.new_page()
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on(
        "console",
        lambda said: (
            faults.append(said.text) if "Content Security" in said.text else None
        ),
    )
    yield page
    assert faults == [], faults
