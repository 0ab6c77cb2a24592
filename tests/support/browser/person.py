"""A person at the page: what they click and type is counted."""

from __future__ import annotations

import time

from playwright.sync_api import Locator, Page


class Person:
    """Acts on `tab` by mouse and keyboard alone, and counts.

    An action is a click, a key, or a text that is typed in one go.
    """

    def __init__(self, tab: Page) -> None:
        self.tab = tab
        self.clicks = 0
        self.keystrokes = 0
        self.actions = 0
        self._begun = time.monotonic()

    def click(self, what: Locator) -> None:
        """Click."""
        what.click()
        self.clicks += 1
        self.actions += 1

    def type(self, text: str) -> None:
        """Type into what has the focus."""
        self.tab.keyboard.type(text)
        self.keystrokes += len(text)
        self.actions += 1

    def press(self, key: str) -> None:
        """Press one key."""
        self.tab.keyboard.press(key)
        self.keystrokes += 1
        self.actions += 1

    def go(self, screen: str) -> None:
        """Open a screen by the navigation, in the menu if it is there."""
        nav = self.tab.get_by_role("navigation", name="Screens")
        link = nav.get_by_role("link", name=screen)
        if not link.count():
            self.click(nav.get_by_role("button", name="More screens"))
        self.click(link.first)

    @property
    def seconds(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self._begun

    def describe(self) -> str:
        """Return what it took, as a line of a report."""
        return (
            f"{self.actions} actions: {self.clicks} clicks, "
            f"{self.keystrokes} keystrokes, {self.seconds:.1f} s"
        )
