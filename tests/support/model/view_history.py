"""What a watcher was told of one task, and whether the next view goes back.

1. The attempt never falls.
2. Within one attempt a step never follows a later one, and nothing a final state.
   `LOST` is Herald's conclusion and no step: any event ends it.
3. Within one attempt, until it is final, one run is named: its worker's process, and
   when it started. A final state may be that of an earlier attempt that counts.

Where no source tells the attempt it is None. A retry, or what comes after `LOST`, is
another attempt then, without a number either.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from herald_core.model.tasks.views import FINAL_STATES, from_rfc3339

STEPS = {"PENDING": 0, "RECEIVED": 1, "STARTED": 2}
ENDED, FINAL = 3, 4
LATER_S = 2.0
"""Seconds by which the start of one run may be told later than before."""

View = Mapping[str, Any]


class ViewHistory:
    """The attempt that a watcher was told last, how far it was, and whose it is."""

    def __init__(self) -> None:
        self._last: View = {}
        self._step = 0
        self._owner: View = {}

    def follow(self, now: View) -> Iterator[str]:
        """Take the next view; return what goes back."""
        was, before = self._last, self._step
        attempt, last = now.get("attempt") or 0, was.get("attempt") or 0
        goes_on = not attempt and was.get("state") in ("RETRY", "LOST")
        if attempt != last or goes_on:
            self._owner, self._step = {}, 0
        self._last, self._step = now, self._find_step(now)
        if attempt < last:
            yield f"attempt {last} became {attempt}"
        elif attempt == last and self._step < before and not goes_on:
            yield f"{was['state']} of attempt {last} became {now['state']}"
        yield from self._check_owner(now)

    def _find_step(self, now: View) -> int:
        state = now["state"]
        if state in FINAL_STATES:
            return FINAL
        if state == "RETRY":
            # What waits for a retry is in this state, and what ended so.
            ran = now.get("started_at") or not now.get("attempt")
            return ENDED if ran else STEPS["RECEIVED"]
        return self._step if state == "LOST" else STEPS[state]

    def _check_owner(self, now: View) -> Iterator[str]:
        named = now.get("source") == "event" and now.get("started_at")
        if not named or self._step not in (STEPS["STARTED"], ENDED):
            return
        was = self._owner
        self._owner = now
        if not was:
            return
        if (was["worker"], was.get("pid")) != (now["worker"], now.get("pid")):
            yield f"attempt {now['attempt']} of {was['worker']} is {now['worker']}'s"
        later = from_rfc3339(now["started_at"]) - from_rfc3339(was["started_at"])
        if later > LATER_S:
            yield f"attempt {now['attempt']} started again, {later:.3f} s later"


def find_regressions(views: list[View]) -> list[str]:
    """Return what goes back in the views of one task."""
    history = ViewHistory()
    return [said for view in views for said in history.follow(view)]
